//! Futures that go on after whoever began them has been answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

/// A set of tasks; clones share it. When the last clone is dropped, its tasks end.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// Runs a future beside the caller. Must be called in a tokio runtime.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a task ended badly");
            }
        }
        tasks.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_goes_on_without_its_beginner_and_ends_with_the_set() {
        let tasks = Tasks::default();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (waits, waiter) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async move { sender.send(()).unwrap() });
        tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(waits);
        });
        receiver.await.unwrap();
        drop(tasks);
        assert!(waiter.await.is_err());
    }
}
