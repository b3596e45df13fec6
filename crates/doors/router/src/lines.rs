//! A worker's log lines on their way to control: gathered, then handed over together.
//!
//! A line handed over alone wakes the receiver and costs half as much as the request itself; in batches the log costs
//! about a hundredth of it. A batch goes at 64 KiB or after 50 ms. The queue of batches is bounded: when control is away
//! for long, batches are dropped and their lines counted, and control is told how many ([`FromRouter::Dropped`]).
//!
//! [`FromRouter::Dropped`]: routes_table::FromRouter::Dropped

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use loglines::{LogLine, Source};
use tokio::sync::mpsc;
use vocabulary::AppId;

/// How many bytes of text are gathered.
const BATCH: usize = 64 * 1024;
/// How long a line waits for others.
const WAIT: Duration = Duration::from_millis(50);
/// How many batches wait for control: about 8 MiB.
const QUEUE: usize = 128;

/// Where one worker puts its lines.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    batch: Rc<RefCell<Batch>>,
    outbox: Outbox,
}

#[derive(Debug, Default)]
struct Batch {
    lines: Vec<LogLine>,
    bytes: usize,
}

/// The queue of batches, as the workers see it.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    batches: mpsc::Sender<Vec<LogLine>>,
    dropped: Arc<AtomicU64>,
}

/// The queue of batches, as the link to control sees it.
#[derive(Debug)]
pub(crate) struct Batches {
    /// The batches, oldest first.
    pub(crate) queue: mpsc::Receiver<Vec<LogLine>>,
    dropped: Arc<AtomicU64>,
}

/// An empty queue.
pub(crate) fn queue() -> (Outbox, Batches) {
    let (batches, queue) = mpsc::channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    (Outbox { batches, dropped: Arc::clone(&dropped) }, Batches { queue, dropped })
}

impl Batches {
    /// How many lines were dropped since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }

    /// Counts lines that could not be sent.
    pub(crate) fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Relaxed);
    }
}

impl Lines {
    /// An empty batch before the queue.
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self { batch: Rc::default(), outbox }
    }

    /// Takes a line of the router's. Never waits.
    pub(crate) fn push(&self, app: AppId, mut text: String) {
        truncate(&mut text);
        let mut batch = self.batch.borrow_mut();
        if batch.lines.is_empty() {
            let later = self.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(WAIT).await;
                later.flush();
            });
        }
        batch.bytes += text.len();
        batch.lines.push(LogLine::now(app, Source::Heroku, "router", text));
        let full = batch.bytes >= BATCH;
        drop(batch);
        if full {
            self.flush();
        }
    }

    /// Hands over what was gathered.
    pub(crate) fn flush(&self) {
        let batch = std::mem::take(&mut *self.batch.borrow_mut());
        let lines = batch.lines.len() as u64;
        if lines > 0 && self.outbox.batches.try_send(batch.lines).is_err() {
            self.outbox.dropped.fetch_add(lines, Relaxed);
        }
    }
}

fn truncate(text: &mut String) {
    if text.len() > LogLine::MAX_TEXT {
        text.truncate(text.floor_char_boundary(LogLine::MAX_TEXT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::LocalSet;

    #[tokio::test(start_paused = true)]
    async fn lines_go_together_after_a_while() {
        let (outbox, mut batches) = queue();
        let lines = Lines::new(outbox);
        LocalSet::new()
            .run_until(async {
                lines.push(AppId::new(), "one".to_owned());
                lines.push(AppId::new(), "two".to_owned());
                assert!(batches.queue.try_recv().is_err());
                let batch = batches.queue.recv().await.unwrap();
                assert_eq!(batch.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_counted() {
        let (outbox, batches) = queue();
        let lines = Lines::new(outbox);
        LocalSet::new()
            .run_until(async {
                for _ in 0..=QUEUE {
                    lines.push(AppId::new(), "line".to_owned());
                    lines.flush();
                }
            })
            .await;
        assert_eq!(batches.take_dropped(), 1);
        assert_eq!(batches.take_dropped(), 0);
    }
}
