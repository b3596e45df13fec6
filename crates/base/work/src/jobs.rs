//! The job runner.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use store::Store;
use store::jobs::Job;
use tokio::task::JoinSet;

use crate::Waker;

/// How often the queue is looked at without being woken.
const TIMER: Duration = Duration::from_secs(5);
/// How long a job that is to run again keeps its place before it does: what was away needs time to come back, and a
/// job whose record cannot be written must not spin.
const PAUSE: Duration = Duration::from_secs(1);

/// How a run of a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ended, well or badly, and recorded how.
    Done,
    /// A part of the platform was away; it is to run again. The job's own code decides, by [`Job::attempts`], when to
    /// give up.
    Again,
}

/// What runs the jobs of one kind.
pub type Handler = Box<dyn Fn(Job) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// Makes a [`Handler`] of an async function.
pub fn handler<F, R>(run: F) -> Handler
where
    F: Fn(Job) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    Box::new(move |job| Box::pin(run(job)))
}

/// The queue with its handlers.
pub struct Jobs {
    store: Store,
    waker: Waker,
    handlers: HashMap<&'static str, Handler>,
    at_once: usize,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("kinds", &self.handlers.keys()).finish_non_exhaustive()
    }
}

impl Jobs {
    /// A runner of at most `at_once` jobs at a time.
    #[must_use]
    pub fn new(store: Store, waker: Waker, at_once: usize) -> Self {
        Self { store, waker, handlers: HashMap::new(), at_once }
    }

    /// Adds the code for a kind of job.
    #[must_use]
    pub fn on(mut self, kind: &'static str, handler: Handler) -> Self {
        self.handlers.insert(kind, handler);
        self
    }

    /// Runs jobs for ever. What an earlier process had under way is queued again first.
    pub async fn run(self) -> Result<(), store::Error> {
        let mut write = self.store.write().await?;
        let orphans = store::jobs::requeue_orphans(&mut write).await?;
        write.commit().await?;
        if orphans > 0 {
            tracing::info!(jobs = orphans, "queued jobs again that an earlier process left under way");
        }
        let mut running: JoinSet<(i64, Outcome)> = JoinSet::new();
        let mut ids = HashMap::new();
        loop {
            while running.len() < self.at_once {
                let Some(job) = self.take().await? else { break };
                let id = job.id;
                if let Some(handler) = self.handlers.get(job.kind.as_str()) {
                    let run = handler(job);
                    let handle = running.spawn(async move {
                        let outcome = run.await;
                        if outcome == Outcome::Again {
                            tokio::time::sleep(PAUSE).await;
                        }
                        (id, outcome)
                    });
                    ids.insert(handle.id(), id);
                } else {
                    tracing::error!(job.kind, "dropped a job that no code runs");
                    self.finish(id).await?;
                }
            }
            tokio::select! {
                () = self.waker.woken_or(TIMER) => {}
                Some(ended) = running.join_next_with_id() => self.ended(ended, &mut ids).await?,
            }
        }
    }

    async fn ended(
        &self,
        ended: Result<(tokio::task::Id, (i64, Outcome)), tokio::task::JoinError>,
        ids: &mut HashMap<tokio::task::Id, i64>,
    ) -> Result<(), store::Error> {
        match ended {
            Ok((task, (id, outcome))) => {
                ids.remove(&task);
                match outcome {
                    Outcome::Done => self.finish(id).await,
                    Outcome::Again => self.again(id).await,
                }
            }
            Err(error) => {
                tracing::error!(%error, "a job panicked; it is not run again");
                match ids.remove(&error.id()) {
                    Some(id) => self.finish(id).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn take(&self) -> Result<Option<Job>, store::Error> {
        if store::jobs::queued(&self.store).await? == 0 {
            return Ok(None);
        }
        let mut write = self.store.write().await?;
        let job = store::jobs::take(&mut write).await?;
        write.commit().await?;
        Ok(job)
    }

    async fn finish(&self, id: i64) -> Result<(), store::Error> {
        let mut write = self.store.write().await?;
        store::jobs::finish(&mut write, id).await?;
        write.commit().await
    }

    async fn again(&self, id: i64) -> Result<(), store::Error> {
        let mut write = self.store.write().await?;
        store::jobs::queue_again(&mut write, id).await?;
        write.commit().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_job_runs_until_it_is_done_and_a_panic_does_not_stop_the_queue() {
        let (store, _folder) = store::scratch().await;
        let mut write = store.write().await.unwrap();
        for kind in ["panics", "unknown", "counts"] {
            store::jobs::add(&mut write, kind, "lane", "{}").await.unwrap();
        }
        write.commit().await.unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let counts = handler(move |job| {
            let seen = Arc::clone(&seen);
            async move {
                seen.fetch_add(1, Ordering::SeqCst);
                if job.attempts < 2 { Outcome::Again } else { Outcome::Done }
            }
        });
        let panics = handler(|_| async { panic!("on purpose") });
        let jobs = Jobs::new(store.clone(), Waker::default(), 2).on("counts", counts).on("panics", panics);
        let running = tokio::spawn(jobs.run());
        while store::jobs::count(&store).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
