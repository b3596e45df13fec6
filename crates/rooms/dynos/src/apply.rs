//! One step. Each may be repeated; what a step changed in the store is told to whoever waits.

use std::collections::HashSet;

use crashpoints::Point;
use loglines::{LogLine, Source};
use store::dynos::Dyno;
use tokio::time::Instant;
use vocabulary::{DynoEvent, DynoId, DynoState, Timestamp};

use crate::backoff::Crashes;
use crate::plan::{New, Step};
use crate::{Dynos, lines};

/// A step that ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) id: DynoId,
    pub(crate) outcome: Outcome,
}

/// What the reconciler has to know of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The store tells the rest.
    Recorded,
    /// The instance runs: of which app, by which name.
    Started(vocabulary::AppId, String),
    /// The engine refused to start it; it counts as a crash.
    StartFailed(Dyno),
    /// The engine was told to stop it; when, at the latest before its grace time began.
    Terminated(Instant),
    /// The instance is gone.
    Removed,
    /// It failed; to be tried again after a rest.
    Rest,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("could not record a dyno's state")]
    Store(#[from] store::Error),
    #[error("could not ask the engine")]
    Engine(#[from] engine::Error),
}

impl Step {
    /// The dyno it is about.
    pub(crate) fn dyno(&self) -> DynoId {
        match self {
            Self::Create(_) => DynoId::new(),
            Self::Start(dyno)
            | Self::Ready(dyno, _)
            | Self::BootTimeout(dyno)
            | Self::Crash(dyno, _)
            | Self::Stop(dyno, _)
            | Self::Finish(dyno, _) => dyno.id,
            Self::Forget(id) | Self::StopOrphan(id) | Self::Remove(id) => *id,
        }
    }
}

impl Dynos {
    /// Carries out a step. `timed_out`: it was told to stop longer ago than the grace time.
    pub(crate) async fn apply(&self, step: Step, timed_out: bool) -> Outcome {
        let id = step.dyno();
        let applied = match step {
            Step::Start(dyno) => self.start(&dyno).await,
            Step::Ready(dyno, address) => self.ready(&dyno, address).await,
            Step::BootTimeout(dyno) => self.boot_timed_out(&dyno).await,
            Step::Crash(dyno, exit) => self.crashed(&dyno, exit).await,
            Step::Stop(dyno, why) => self.stop(&dyno, why).await,
            Step::Finish(dyno, exit) => self.finish(&dyno, exit, timed_out).await,
            Step::StopOrphan(id) => self.terminate(id).await,
            Step::Remove(id) => self.remove(id).await,
            Step::Create(_) | Step::Forget(_) => Ok(Outcome::Recorded),
        };
        applied.unwrap_or_else(|error| {
            tracing::warn!(dyno.id = %id, error = &error as &dyn std::error::Error, "a step will be tried again");
            Outcome::Rest
        })
    }

    /// Records new dynos and forgets old ones, all in one write. `seen` are the rows the plan was made of: where
    /// another one has come since, from a process that is being replaced by this one, its name waits for the next plan.
    pub(crate) async fn record(
        &self,
        steps: Vec<Step>,
        seen: &HashSet<DynoId>,
        crashes: &mut Crashes,
    ) -> Result<(), store::Error> {
        let mut write = self.store.write().await?;
        for step in &steps {
            match step {
                Step::Create(new) => {
                    let rows = store::dynos::list_in(&mut write, new.app).await?;
                    if rows.iter().any(|row| row.name == new.name && !seen.contains(&row.id)) {
                        continue;
                    }
                    if let Some(crashed) = new.follows {
                        store::dynos::delete(&mut write, crashed).await?;
                    }
                    store::dynos::create(&mut write, &row(new)).await?;
                }
                Step::Forget(id) => store::dynos::delete(&mut write, *id).await?,
                _ => {}
            }
        }
        write.commit().await?;
        crashpoints::reach(Point::DynoRecorded);
        for step in &steps {
            if let Step::Create(new) = step {
                self.recorded(new, crashes);
            }
        }
        self.wakers.routes.wake();
        self.wakers.changes.tell();
        Ok(())
    }

    fn recorded(&self, new: &New, crashes: &mut Crashes) {
        if new.asked {
            crashes.forget(new.app, &new.name);
        }
        if new.follows.is_some() {
            let text = lines::state_changed("crashed", "starting");
            self.logs.send(LogLine::now(new.app, Source::Heroku, new.name.to_string(), text));
        }
    }

    /// Moves a dyno in the store and tells those who wait; answers whether it had that move.
    pub(crate) async fn moved(
        &self,
        dyno: &Dyno,
        event: DynoEvent,
        address: Option<std::net::SocketAddrV4>,
    ) -> Result<Option<DynoState>, store::Error> {
        let mut write = self.store.write().await?;
        let state = store::dynos::moved(&mut write, dyno.id, event, address).await?;
        write.commit().await?;
        if state.is_some() {
            if dyno.serves_requests() {
                self.wakers.routes.wake();
            }
            self.wakers.changes.tell();
        }
        Ok(state)
    }
}

fn row(new: &New) -> Dyno {
    let now = Timestamp::now();
    Dyno {
        id: DynoId::new(),
        app_id: new.app,
        name: new.name.clone(),
        release_id: new.release,
        size: new.size,
        command: new.command.clone(),
        state: DynoState::Starting,
        address: None,
        restart_asked: false,
        one_off: None,
        created_at: now,
        updated_at: now,
    }
}
