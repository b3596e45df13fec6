//! The release phase: a job that runs the slug's `release` process and ends the release by how that ended.
//!
//! The job owns the outcome. It may run again after this process died: the instance has the release's id, so that one
//! that still runs is followed on, one that ended is read to its end, and one that is gone is started once more. After
//! [`STARTS`] starts the release fails with the reason.

use crashpoints::Point;
use engine::Exit;
use launch::Run;
use loglines::{LogLine, Source};
use serde::{Deserialize, Serialize};
use store::Write;
use store::jobs::Job;
use store::releases::Release;
use store::slugs::Slug;
use vocabulary::{DynoId, DynoSize, ProcessType, ReleaseEvent, ReleaseId, ReleaseStatus};
use work::{Handler, Outcome};

use crate::follow::{End, patiently};
use crate::record::made_current;
use crate::{Error, Releases, lines};

/// The kind of the room's jobs.
pub const KIND: &str = "release_phase";

/// How often a release command that had begun is started, should its instance be gone without a word.
const STARTS: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    release: ReleaseId,
}

/// How a release phase ended.
enum Verdict {
    Passed,
    Failed(String),
    /// There is nothing left to end.
    Deleted,
    /// The job is to run again.
    Unknown,
}

/// Why the job could not go on.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error(transparent)]
    Release(#[from] Error),
    #[error("could not ask the engine")]
    Engine(#[from] engine::Error),
    #[error(transparent)]
    Follow(#[from] crate::follow::Error),
    #[error("could not keep the output of a release phase")]
    Output(#[from] std::io::Error),
}

impl From<store::Error> for Cut {
    fn from(error: store::Error) -> Self {
        Self::Release(error.into())
    }
}

/// Adds the job of a release to its app's lane.
pub(crate) async fn add(write: &mut Write, release: &Release) -> Result<(), Error> {
    let payload = serde_json::to_string(&Payload { release: release.id })
        .map_err(|_| Error::Store(store::Error::Corrupt("jobs.payload")))?;
    store::jobs::add(write, KIND, &format!("release/{}", release.app_id), &payload).await?;
    Ok(())
}

impl Releases {
    /// The handler of `release_phase` jobs.
    #[must_use]
    pub fn job(&self) -> Handler {
        let (releases, ending) = (self.clone(), self.clone());
        let run = work::handler(move |job| {
            let releases = releases.clone();
            async move { releases.run_job(&job).await }
        });
        run.or_fail(move |job, reason| {
            let releases = ending.clone();
            async move { releases.give_up(&job, &reason).await }
        })
    }

    async fn run_job(&self, job: &Job) -> Outcome {
        let Ok(Payload { release }) = serde_json::from_str(&job.payload) else {
            tracing::error!(job.id, "dropped a release phase without a release");
            return Outcome::Done;
        };
        match self.phase(release, job.attempts).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(release.id = %release, error = &error as &dyn std::error::Error, "a release phase was cut off");
                Outcome::Again
            }
        }
    }

    /// Ends a release whose phase panicked, or could not be run for as long as the runner waits for what is broken to
    /// heal.
    async fn give_up(&self, job: &Job, reason: &str) -> Outcome {
        let Ok(Payload { release: id }) = serde_json::from_str(&job.payload) else { return Outcome::Done };
        match self.fail(id, reason).await {
            Ok(()) => Outcome::Done,
            Err(error) => {
                tracing::error!(release.id = %id, error = &error as &dyn std::error::Error, "a release stays pending");
                Outcome::Again
            }
        }
    }

    async fn fail(&self, id: ReleaseId, reason: &str) -> Result<(), Error> {
        if let Err(error) = self.end_instance(id).await {
            tracing::error!(release.id = %id, %error, "could not end what runs of a release phase that failed");
        }
        let Some(release) = store::releases::get(&self.store, id).await? else { return Ok(()) };
        self.end(&release, None, ReleaseEvent::Fail).await?;
        self.say_api(release.app_id, lines::failed(release.version, reason));
        // An output that cannot be opened has no reader either.
        if let Ok(output) = self.outputs.write(&id.to_string()) {
            output.end();
        }
        Ok(())
    }

    /// Takes the phase's instance away, if it is there; it has the release's id.
    async fn end_instance(&self, id: ReleaseId) -> Result<(), engine::Error> {
        let Ok(id) = id.to_string().parse::<DynoId>() else { return Ok(()) };
        patiently(|| self.engine.remove(id)).await
    }

    async fn phase(&self, id: ReleaseId, attempts: u32) -> Result<Outcome, Cut> {
        let release = store::releases::get(&self.store, id).await?;
        let Some(release) = release.filter(|release| release.status == ReleaseStatus::Pending) else {
            // Its app was deleted, or an earlier run was cut off behind the verdict: nobody else ends what still runs.
            self.end_instance(id).await?;
            return Ok(Outcome::Done);
        };
        let slug = match release.slug_id {
            Some(id) => store::slugs::get(&self.store, id).await?,
            None => None,
        };
        let command = slug.as_ref().and_then(|slug| slug.process_types.command(&ProcessType::release()));
        let verdict = match (&slug, command) {
            (Some(slug), Some(command)) => self.run_phase(&release, slug, command, attempts).await?,
            _ => Verdict::Passed,
        };
        let event = match &verdict {
            Verdict::Unknown => return Ok(Outcome::Again),
            Verdict::Deleted => return Ok(Outcome::Done),
            Verdict::Passed => ReleaseEvent::Succeed,
            Verdict::Failed(_) => ReleaseEvent::Fail,
        };
        self.end(&release, slug.as_ref(), event).await?;
        if let Verdict::Failed(reason) = verdict {
            self.say_api(release.app_id, lines::failed(release.version, &reason));
        }
        self.outputs.write(&id.to_string())?.end();
        Ok(Outcome::Done)
    }

    async fn end(&self, release: &Release, slug: Option<&Slug>, event: ReleaseEvent) -> Result<(), Error> {
        let mut write = self.store.write().await?;
        let ended = store::releases::end(&mut write, release.id, event).await?;
        if ended && event == ReleaseEvent::Succeed {
            made_current(&mut write, release, slug).await?;
        }
        write.commit().await?;
        crashpoints::reach(Point::ReleasePhaseEnded);
        self.wakers.dynos.wake();
        self.wakers.retention.wake();
        self.wakers.changes.tell();
        Ok(())
    }

    async fn run_phase(&self, release: &Release, slug: &Slug, command: &str, attempts: u32) -> Result<Verdict, Cut> {
        let Ok(id) = release.id.to_string().parse::<DynoId>() else {
            return Ok(Verdict::Failed("its id names no instance".to_owned()));
        };
        let name = name(id);
        let known = patiently(|| self.engine.list()).await?.iter().any(|instance| instance.spec.id == id);
        if !known {
            let began = self.outputs.read(&release.id.to_string()).is_ok();
            if began && attempts >= STARTS {
                return Ok(Verdict::Failed("the release command was cut off by the end of the platform".to_owned()));
            }
            if let Err(error) = self.start(release, slug, command, id, &name).await {
                if error.is_away() {
                    return Ok(Verdict::Unknown);
                }
                tracing::error!(release.id = %release.id, error = &error as &dyn std::error::Error, "could not start a release phase");
                return Ok(Verdict::Failed(error.to_string()));
            }
        }
        let end = self.follow(release, id, &name, known).await?;
        let verdict = self.judge(release, &name, &end);
        if !matches!(verdict, Verdict::Unknown) {
            patiently(|| self.engine.remove(id)).await?;
        }
        Ok(verdict)
    }

    async fn start(
        &self,
        release: &Release,
        slug: &Slug,
        command: &str,
        id: DynoId,
        name: &str,
    ) -> Result<(), launch::Error> {
        let config = store::releases::config_vars(&self.store, release.id).await?;
        let formation = store::formation::list(&self.store, release.app_id).await?;
        let row = formation.iter().find(|row| row.process_type.is_release());
        let size = row.map_or(DynoSize::Standard1X, |row| row.size);
        self.say(release, name, lines::starting(command));
        let (app, name) = (release.app_id, name.to_owned());
        let (config, one_off, port) = (&config, None, None);
        let run = Run { id, app, name: name.clone(), size, command, port, release, slug, config, one_off };
        self.launcher.start(&run).await?;
        crashpoints::reach(Point::ReleasePhaseStarted);
        self.say(release, &name, lines::state_changed("starting", "up"));
        Ok(())
    }

    fn judge(&self, release: &Release, name: &str, end: &End) -> Verdict {
        match end {
            End::Gone => Verdict::Unknown,
            End::Deleted => Verdict::Deleted,
            End::TimedOut => Verdict::Failed("the release command took too long".to_owned()),
            End::Exited(Exit { status, .. }) => {
                self.say(release, name, lines::exited(*status));
                self.say(release, name, lines::state_changed("up", "complete"));
                match status {
                    0 => Verdict::Passed,
                    status => Verdict::Failed(format!("the release command exited with status {status}")),
                }
            }
        }
    }

    fn say(&self, release: &Release, name: &str, text: impl Into<String>) {
        self.logs.send(LogLine::now(release.app_id, Source::Heroku, name, text));
    }
}

/// `release.4711`: four digits that look random and are the same each time, taken from the id's random bits.
fn name(id: DynoId) -> String {
    format!("release.{}", 1000 + id.uuid().as_u128() % 9000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_has_four_digits_that_stay() {
        for _ in 0..1000 {
            let id = DynoId::new();
            let digits = name(id).strip_prefix("release.").unwrap().parse::<u32>().unwrap();
            assert!((1000..10_000).contains(&digits));
            assert_eq!(name(id), name(id));
        }
    }
}
