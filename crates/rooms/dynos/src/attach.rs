//! Joining a client with its program.

use std::os::fd::OwnedFd;
use std::time::Duration;

use engine::Refusal;
use inside_contract::Launch;
use store::apps::{App, ConfigVars};
use store::dynos::{Attached, Dyno};
use tokio::time::Instant;
use vocabulary::{DynoId, DynoState, Secret};

use crate::meetings::{Meeting, Program};
use crate::{Dynos, Error, one_off};

/// How long a client waits for its dyno to run: layers may have to come from the blobs first.
const START: Duration = Duration::from_mins(1);
/// How often it is looked at while nothing is said to have changed.
const LOOK: Duration = Duration::from_secs(1);

/// The other end of a program's streams.
#[derive(Debug)]
pub struct Joined {
    /// A stream socket, as [`engine::Request::Attach`] has it.
    pub streams: OwnedFd,
    /// Whether the program has a terminal.
    pub is_terminal: bool,
}

/// Why a client and its program do not meet.
#[derive(Debug, thiserror::Error)]
pub enum Unjoined {
    /// No such secret, any more or ever.
    #[error("nobody is waiting for this secret")]
    Unknown,
    /// The dyno could not be started; its log has more.
    #[error("the dyno could not be started")]
    NotStarted,
    /// The dyno ended, or was stopped, before the client came.
    #[error("the dyno is gone")]
    Gone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The engine failed.
    #[error("could not reach the program's streams")]
    Engine(#[from] engine::Error),
}

impl Dynos {
    /// Arranges one more program in a running dyno; it starts when its client comes.
    pub async fn run_inside(
        &self,
        app: &App,
        dyno: &Dyno,
        command: &str,
        env: &ConfigVars,
        attached: Attached,
    ) -> Result<Secret, Error> {
        if dyno.state != DynoState::Up && dyno.state != DynoState::Starting {
            return Err(Error::Invalid(format!("The dyno {} does not run.", dyno.name)));
        }
        let gone = || Error::NotFound("release");
        let release = store::releases::get(&self.store, dyno.release_id).await?.ok_or_else(gone)?;
        let slug = store::slugs::get(&self.store, release.slug_id.ok_or_else(gone)?).await?.ok_or_else(gone)?;
        let command = one_off::command(command, &slug.process_types)?;
        let mut config = store::releases::config_vars(&self.store, release.id).await?;
        config.extend(env.clone());
        let port = dyno.serves_requests().then(|| launch::port(dyno.id));
        let launch = Launch {
            program: launch::shell(&command.text, command.tells_status),
            env: launch::environment(&config, &dyno.name.to_string(), port),
        };
        tracing::info!(app.name = %app.name, dyno.name = %dyno.name, "a program was asked for inside a dyno");
        let too_many =
            || Error::Invalid("Too many programs wait for their clients in this dyno. Try again.".to_owned());
        self.meetings.inside(dyno.id, launch, attached).ok_or_else(too_many)
    }

    /// Joins whoever has a secret with the program it was made for.
    pub async fn join(&self, secret: &str) -> Result<Joined, Unjoined> {
        let Meeting { program, terminal, .. } = self.meetings.take(secret).ok_or(Unjoined::Unknown)?;
        let streams = match program {
            Program::OneOff(id) => self.attach(id).await?,
            Program::Inside(id, launch) => self.engine.exec(id, terminal, &launch).await?,
        };
        Ok(Joined { streams, is_terminal: terminal.is_some() })
    }

    /// Waits until a one-off dyno runs, and takes its streams.
    async fn attach(&self, id: DynoId) -> Result<OwnedFd, Unjoined> {
        let deadline = Instant::now() + START;
        let mut events = self.engine.events();
        let mut changes = self.wakers.changes.watch();
        loop {
            match self.engine.attach(id).await {
                Ok(streams) => return Ok(streams),
                // Not there yet, or the engine is being replaced; the row tells whether it will ever be.
                Err(engine::Error::Refused(Refusal::NotFound(_)) | engine::Error::Away) => {}
                Err(error) => return Err(error.into()),
            }
            let dynos = store::dynos::all(&self.store).await?;
            match dynos.iter().find(|dyno| dyno.id == id).map(|dyno| dyno.state) {
                Some(DynoState::Crashed) => return Err(Unjoined::NotStarted),
                None | Some(DynoState::Down) => return Err(Unjoined::Gone),
                Some(_) if Instant::now() >= deadline => return Err(Unjoined::NotStarted),
                Some(_) => {}
            }
            tokio::select! {
                // What was said does not matter here; whoever lags behind looks again as well.
                _ = events.recv() => {}
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
