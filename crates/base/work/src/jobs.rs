//! The job runner.
//!
//! A job that is to run again does so after a pause that grows from 1 s to 30 s, and at most [`RUNS`] times: a minute
//! and a half in all. Then, and when it panics, what the kind's [`Handler`] has for it records that it failed. The
//! runner's own writes are tried for [`STORE`]'s limit; then it ends with the error, and so does whoever runs it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use store::Store;
use store::jobs::Job;
use tokio::task::{JoinError, JoinSet};

use crate::Waker;
use crate::handler::{Handler, Outcome};
use crate::patience::Patience;

/// How often the queue is looked at without being woken.
const TIMER: Duration = Duration::from_secs(5);
/// How often a job begins, restarts of the platform included.
const RUNS: u32 = 8;
/// Between two runs of a job: what was away needs time to come back.
const BETWEEN_RUNS: Patience =
    Patience { first: Duration::from_secs(1), most: Duration::from_secs(30), limit: Duration::from_secs(90) };
/// For the queue's own rows.
const STORE: Patience =
    Patience { first: Duration::from_millis(100), most: Duration::from_secs(5), limit: Duration::from_mins(1) };

/// The queue with its handlers.
pub struct Jobs {
    store: Store,
    waker: Waker,
    handlers: HashMap<&'static str, Arc<Handler>>,
    at_once: usize,
    between_runs: Patience,
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
        Self { store, waker, handlers: HashMap::new(), at_once, between_runs: BETWEEN_RUNS }
    }

    /// Adds the code for a kind of job.
    #[must_use]
    pub fn on(mut self, kind: &'static str, handler: Handler) -> Self {
        self.handlers.insert(kind, Arc::new(handler));
        self
    }

    /// Runs jobs until the store fails for longer than it is waited for. What an earlier process had under way is queued
    /// again first.
    pub async fn run(self) -> Result<(), store::Error> {
        let orphans = STORE.keep("queue jobs again", || self.requeue_orphans()).await?;
        if orphans > 0 {
            tracing::info!(jobs = orphans, "queued jobs again that an earlier process left under way");
        }
        let mut running: JoinSet<(i64, Outcome)> = JoinSet::new();
        loop {
            while running.len() < self.at_once {
                let Some(job) = STORE.keep("take a job", || self.take()).await? else { break };
                let Some(handler) = self.handlers.get(job.kind.as_str()).cloned() else {
                    tracing::error!(job.kind, "dropped a job that no code runs");
                    self.ended(job.id, &Outcome::Done).await?;
                    continue;
                };
                let between_runs = self.between_runs;
                running.spawn(async move { (job.id, handler.conduct(job, RUNS, between_runs).await) });
            }
            tokio::select! {
                () = self.waker.woken_or(TIMER) => {}
                Some(ended) = running.join_next() => self.settle(ended).await?,
            }
        }
    }

    async fn settle(&self, ended: Result<(i64, Outcome), JoinError>) -> Result<(), store::Error> {
        match ended {
            Ok((id, outcome)) => self.ended(id, &outcome).await,
            // A handler's panics are caught around it; its job stays taken until the next start.
            Err(error) => {
                tracing::error!(%error, "a job's conduct broke");
                Ok(())
            }
        }
    }

    async fn ended(&self, id: i64, outcome: &Outcome) -> Result<(), store::Error> {
        match outcome {
            Outcome::Done => STORE.keep("forget an ended job", || self.finish(id)).await,
            Outcome::Again => STORE.keep("queue a job again", || self.again(id)).await,
        }
    }

    async fn requeue_orphans(&self) -> Result<u64, store::Error> {
        let mut write = self.store.write().await?;
        let orphans = store::jobs::requeue_orphans(&mut write).await?;
        write.commit().await?;
        Ok(orphans)
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
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::handler;

    const AT_ONCE: Patience = Patience { first: Duration::ZERO, most: Duration::ZERO, limit: Duration::ZERO };

    async fn queue(kinds: &[&str]) -> Store {
        let (store, _folder) = store::scratch().await;
        let mut write = store.write().await.unwrap();
        for kind in kinds {
            store::jobs::add(&mut write, kind, "lane", "{}").await.unwrap();
        }
        write.commit().await.unwrap();
        store
    }

    async fn run_all(store: &Store, mut jobs: Jobs) {
        jobs.between_runs = AT_ONCE;
        let running = tokio::spawn(jobs.run());
        while store::jobs::count(store).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        running.abort();
    }

    #[tokio::test]
    async fn a_job_runs_until_it_is_done_and_a_panic_does_not_stop_the_queue() {
        let store = queue(&["panics", "unknown", "counts"]).await;
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
        run_all(&store, jobs).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_job_that_panics_or_runs_too_often_is_recorded_as_failed_once_its_record_can_be_written() {
        let store = queue(&["panics", "repeats"]).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = |told: &Arc<Mutex<Vec<String>>>| {
            let told = Arc::clone(told);
            move |job: Job, reason: String| {
                let mut told = told.lock().unwrap();
                told.push(format!("{} after {}: {reason}", job.kind, job.attempts));
                let outcome = if told.len() == 1 { Outcome::Again } else { Outcome::Done };
                std::future::ready(outcome)
            }
        };
        let panics = handler(|_| async { panic!("on purpose") }).or_fail(tell(&told));
        let repeats = handler(|_| async { Outcome::Again }).or_fail(tell(&told));
        let jobs = Jobs::new(store.clone(), Waker::default(), 2).on("panics", panics).on("repeats", repeats);
        run_all(&store, jobs).await;
        let broke = "panics after 0: a part of the platform broke; its log says more";
        assert_eq!(*told.lock().unwrap(), [broke, broke, "repeats after 7: the platform was interrupted too often"]);
    }
}
