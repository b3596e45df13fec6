//! Where lines are handed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::LogLine;

/// How many lines may wait for `rooms/logs`.
const QUEUE: usize = 16 * 1024;

/// The handle a part writes lines to. Never waits, never fails: what does not fit is dropped and counted.
#[derive(Debug, Clone)]
pub struct LogSink {
    lines: mpsc::Sender<LogLine>,
    dropped: Arc<AtomicU64>,
}

/// The other end, for the one reader.
#[derive(Debug)]
pub struct Queue {
    /// The lines, in order of arrival.
    pub lines: mpsc::Receiver<LogLine>,
    dropped: Arc<AtomicU64>,
}

impl LogSink {
    /// A sink and the queue behind it.
    #[must_use]
    pub fn new() -> (Self, Queue) {
        let (sender, lines) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        (Self { lines: sender, dropped: Arc::clone(&dropped) }, Queue { lines, dropped })
    }

    /// Hands in a line.
    pub fn send(&self, line: LogLine) {
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts lines that were lost before they came here.
    pub fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Queue {
    /// How many lines were dropped since the last call.
    #[must_use]
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}
