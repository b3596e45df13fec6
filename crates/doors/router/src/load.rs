//! What all workers know together of each dyno: requests in flight, quarantine, and whether it left the table.
//!
//! A dyno that left is stopped once nothing is under way there, so the count must never miss a request. A worker counts
//! itself in and then looks whether the dyno left; the one who takes the dyno out marks it and then reads the count.
//! With both in one total order (`SeqCst`), either the worker sees the mark or the other sees the count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What is known of one dyno.
#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicU32,
    left: AtomicBool,
    /// Milliseconds after `epoch` until which it is avoided.
    quarantine: AtomicU64,
    epoch: Instant,
    /// Told when a dyno that left comes to none.
    drained: Arc<Notify>,
}

/// A request under way at a dyno; dropping it is the request's end.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Load>);

impl Load {
    /// A dyno without requests; `drained` is told when it left and comes to none.
    pub(crate) fn new(drained: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicU32::new(0),
            left: AtomicBool::new(false),
            quarantine: AtomicU64::new(0),
            epoch: Instant::now(),
            drained,
        })
    }

    /// Counts a request in; `None` if the dyno left the table, so that no request may go there any more.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<InFlight> {
        self.in_flight.fetch_add(1, SeqCst);
        let in_flight = InFlight(Arc::clone(self));
        (!self.has_left()).then_some(in_flight)
    }

    /// How many requests are under way.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(SeqCst)
    }

    /// Marks whether the dyno is in no table any more.
    pub(crate) fn set_left(&self, left: bool) {
        self.left.store(left, SeqCst);
    }

    /// Whether the dyno is in no table any more.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(SeqCst)
    }

    /// Avoids the dyno for a while.
    pub(crate) fn quarantine(&self, time: Duration) {
        self.quarantine.store(self.now() + u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2), SeqCst);
    }

    /// Whether the dyno is avoided.
    pub(crate) fn is_quarantined(&self) -> bool {
        let until = self.quarantine.load(SeqCst);
        until > 0 && self.now() < until
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, SeqCst) == 1 && self.0.has_left() {
            self.0.drained.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dyno_that_left_takes_no_requests_and_says_when_it_has_none() {
        let drained = Arc::new(Notify::new());
        let load = Load::new(Arc::clone(&drained));
        let request = load.enter().unwrap();
        load.set_left(true);
        assert!(load.enter().is_none());
        assert_eq!(load.in_flight(), 1);
        drop(request);
        drained.notified().await;
        assert_eq!(load.in_flight(), 0);
        load.set_left(false);
        assert!(load.enter().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarantine_ends() {
        let load = Load::new(Arc::default());
        assert!(!load.is_quarantined());
        load.quarantine(Duration::from_secs(5));
        assert!(load.is_quarantined());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(!load.is_quarantined());
    }
}
