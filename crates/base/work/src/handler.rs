//! The code for one kind of job: what runs it, and what records that it failed.

use std::pin::Pin;

use store::jobs::Job;
use tokio::task::{JoinError, JoinSet};

use crate::patience::Patience;

/// Why a job failed that was run too often.
const INTERRUPTED: &str = "the platform was interrupted too often";

/// How a run of a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ended, well or badly, and recorded how.
    Done,
    /// A part of the platform was away; it is to run again. The runner gives up after a while ([`crate::Jobs`]).
    Again,
}

type Step<A> = Box<dyn Fn(A) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// What runs the jobs of one kind.
pub struct Handler {
    run: Step<Job>,
    fail: Option<Step<(Job, String)>>,
}

/// Makes a [`Handler`] of an async function.
pub fn handler<F, R>(run: F) -> Handler
where
    F: Fn(Job) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    Handler { run: Box::new(move |job| Box::pin(run(job))), fail: None }
}

/// Runs a future so that its panic is an error to the caller, not the caller's own. Dropping it ends the future.
pub async fn guarded<T: Send + 'static>(run: impl Future<Output = T> + Send + 'static) -> Result<T, Option<JoinError>> {
    let mut alone = JoinSet::new();
    alone.spawn(run);
    alone.join_next().await.ok_or(None)?.map_err(Some)
}

impl Handler {
    /// Adds what records that a job failed, with the reason, when it panicked or ran too often. It is asked again if it
    /// answers [`Outcome::Again`].
    #[must_use]
    pub fn or_fail<F, R>(mut self, fail: F) -> Self
    where
        F: Fn(Job, String) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        self.fail = Some(Box::new(move |(job, reason)| Box::pin(fail(job, reason))));
        self
    }

    /// The same end for another run, so that tests can make a run that panics.
    #[doc(hidden)]
    #[must_use]
    pub fn with_run<F, R>(self, run: F) -> Self
    where
        F: Fn(Job) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        Self { fail: self.fail, ..handler(run) }
    }

    /// One run of a job, to what becomes of its row. At most `runs` of them; a pause lies between each and the next, in
    /// which the job keeps its place in its lane.
    pub(crate) async fn conduct(&self, job: Job, runs: u32, patience: Patience) -> Outcome {
        if job.attempts >= runs {
            // Its failure could not be recorded the last time.
            return self.give_up(job, INTERRUPTED, runs, patience).await;
        }
        let reason = match guarded((self.run)(job.clone())).await {
            Ok(Outcome::Done) => return Outcome::Done,
            Ok(Outcome::Again) if job.attempts.saturating_add(1) < runs => {
                tokio::time::sleep(patience.pause(job.attempts)).await;
                return Outcome::Again;
            }
            Ok(Outcome::Again) => INTERRUPTED,
            Err(error) => {
                tracing::error!(?error, job.kind, job.id, "a job panicked; it is not run again");
                "a part of the platform broke; its log says more"
            }
        };
        self.give_up(job, reason, runs, patience).await
    }

    /// Records that a job failed. While that cannot be done its row stays, so that nobody waits for what never ends.
    async fn give_up(&self, job: Job, reason: &str, runs: u32, patience: Patience) -> Outcome {
        let Some(fail) = &self.fail else { return Outcome::Done };
        for attempt in 0..runs {
            match guarded(fail((job.clone(), reason.to_owned()))).await {
                Ok(Outcome::Again) => tokio::time::sleep(patience.pause(attempt)).await,
                // Recorded; or it panics, and would again.
                Ok(Outcome::Done) | Err(_) => return Outcome::Done,
            }
        }
        tracing::error!(job.kind, job.payload, reason, "a job failed, and that could not be recorded yet");
        Outcome::Again
    }
}
