//! Who can be woken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// One waker per reconciler, so that a waker which nobody answers does not go unnoticed.
#[derive(Debug, Clone, Default)]
pub struct Wakers {
    /// `rooms/dynos`: what should run changed, or what runs did.
    pub dynos: Waker,
    /// `rooms/routes`: hosts, maintenance, or which dynos are up changed.
    pub routes: Waker,
    /// The job runner: a job was added.
    pub jobs: Waker,
    /// `rooms/retention`: a build ended, a release was made, an app was deleted.
    pub retention: Waker,
    /// Whoever waits for a release or a dyno to get somewhere, such as a push that verifies its deploy.
    pub changes: Changes,
}

/// Told whenever a dyno, build or release changed its state; whoever waits looks into the store again.
#[derive(Debug, Clone)]
pub struct Changes(watch::Sender<()>);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::channel(()).0)
    }
}

impl Changes {
    /// Says that something changed.
    pub fn tell(&self) {
        self.0.send_replace(());
    }

    /// A receiver whose `changed` ends with the next change. Take it before looking into the store.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// Wakes one reconciler. Waking it many times before it looks is waking it once.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Wakes the reconciler, now or as soon as it waits again.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until woken, or until `timer` has passed: a reconciler does the same work either way.
    pub async fn woken_or(&self, timer: Duration) {
        // Which of the two it was does not matter.
        drop(tokio::time::timeout(timer, self.0.notified()).await);
    }
}
