//! Taking the lines every part hands in.

use std::time::Duration;

use loglines::Queue;
use tokio::time::{Instant, MissedTickBehavior};

use crate::book::Book;

/// How long a line that nobody waits for may wait to be written.
const WRITE: Duration = Duration::from_millis(50);
/// How often losses are told.
const TELL: Duration = Duration::from_secs(1);
/// How many lines are taken at once.
const LINES: usize = 512;

/// Takes lines until no sink is left, and has everything written regularly.
pub(crate) async fn gather(book: &Book, mut queue: Queue) {
    let mut lines = Vec::with_capacity(LINES);
    let mut write = tokio::time::interval(WRITE);
    write.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Instant::now();
    loop {
        tokio::select! {
            taken = queue.lines.recv_many(&mut lines, LINES) => {
                if taken == 0 {
                    return;
                }
                book.add(&lines);
                lines.clear();
            }
            _ = write.tick() => {
                book.flush();
                if told.elapsed() >= TELL {
                    told = Instant::now();
                    tell(book, queue.take_dropped());
                }
            }
        }
    }
}

fn tell(book: &Book, dropped: u64) {
    if dropped > 0 {
        tracing::warn!(dropped, "log lines were dropped before they could be taken");
    }
    if let Some((failures, error)) = book.take_failures() {
        tracing::error!(%error, failures, "could not write log lines");
    }
}
