//! How a slug becomes a running instance: its layers on the host, its spec, its environment.
//!
//! Knows what a dyno is made of; knows neither why one is started nor what its end means. It is no room: nothing
//! happens in it unasked. It lies under `releases` (the release phase) and `dynos` (the formation), which must start
//! the same thing in the same way and may not know each other.

mod environment;
mod layers;
mod limits;
pub mod lines;
mod metadata;

use blobs::Blobs;
use engine::{Engine, Image, InstanceSpec, Kind, Refusal, Started, Stdio, Variant};
use inside_contract::{Launch, Program};
use store::Store;
use store::apps::ConfigVars;
use store::releases::Release;
use store::slugs::Slug;
use vocabulary::{AppId, Digest, DynoId, DynoSize};

pub use environment::{environment, port};
pub use limits::KilledAt;

/// Why an instance could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be read.
    #[error("could not read what to start")]
    Store(#[from] store::Error),
    /// The engine is away or refused.
    #[error("could not start an instance")]
    Engine(#[from] engine::Error),
    /// A slug names a layer the store has no blob of.
    #[error("the layer {0} has no blob")]
    NoLayer(Digest),
    /// A layer's blob could not be opened.
    #[error("could not open the blob of the layer {layer}")]
    Blob {
        /// The layer.
        layer: Digest,
        /// Why.
        source: std::io::Error,
    },
    /// What is to be started was deleted meanwhile.
    #[error("what was to be started is gone")]
    Gone,
}

impl Error {
    /// Whether the engine's process was away: the same start may be asked for again later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Engine(engine::Error::Away))
    }
}

/// One instance of an app to start.
#[derive(Debug)]
pub struct Run<'a> {
    /// Chosen by the caller; starting the same id twice starts one instance.
    pub id: DynoId,
    /// Whose.
    pub app: AppId,
    /// `web.1`, `release.4711`.
    pub name: String,
    /// Of which size.
    pub size: DynoSize,
    /// The command as the Procfile has it.
    pub command: &'a str,
    /// The port it is to listen on, if requests are to reach it.
    pub port: Option<u16>,
    /// Its release.
    pub release: &'a Release,
    /// What it runs.
    pub slug: &'a Slug,
    /// The config vars of its release.
    pub config: &'a ConfigVars,
    /// What only a one-off dyno has.
    pub one_off: Option<OneOff<'a>>,
}

/// What only a one-off dyno has.
#[derive(Debug)]
pub struct OneOff<'a> {
    /// What it finds in its environment beside the config vars, and before them.
    pub env: &'a ConfigVars,
    /// Where its standard streams lead.
    pub stdio: Stdio,
    /// Whether it prints its exit status at the end.
    pub tells_status: bool,
}

/// Starts instances of slugs; clones share its parts.
#[derive(Debug, Clone)]
pub struct Launcher {
    store: Store,
    blobs: Blobs,
    engine: Engine,
    killed_at: KilledAt,
}

impl Launcher {
    /// A launcher onto one engine.
    #[must_use]
    pub fn new(store: Store, blobs: Blobs, engine: Engine, killed_at: KilledAt) -> Self {
        Self { store, blobs, engine, killed_at }
    }

    /// Makes the slug's layers ready on the host and starts the instance. May be repeated.
    pub async fn start(&self, run: &Run<'_>) -> Result<Started, Error> {
        match self.try_to_start(run).await {
            // A layer was discarded between the two steps; from now on the instance would have been its user.
            Err(Error::Engine(engine::Error::Refused(Refusal::NotFound(_)))) => self.try_to_start(run).await,
            done => done,
        }
    }

    async fn try_to_start(&self, run: &Run<'_>) -> Result<Started, Error> {
        layers::make_ready(&self.store, &self.blobs, &self.engine, &run.slug.layers).await?;
        let mut launch = launch(run);
        launch.env.extend(metadata::of(&self.store, run).await?);
        Ok(self.engine.start(spec(run, self.killed_at), &launch, vec![]).await?)
    }
}

fn spec(run: &Run<'_>, killed_at: KilledAt) -> InstanceSpec {
    InstanceSpec {
        id: run.id,
        kind: Kind::Dyno,
        app: run.app,
        name: run.name.clone(),
        image: Image { stack: run.slug.stack.to_string(), variant: Variant::Run, layers: run.slug.layers.clone() },
        port: run.port,
        limits: limits::limits(run.size, killed_at),
        fds: vec![],
        stdio: run.one_off.as_ref().map(|one_off| one_off.stdio).unwrap_or_default(),
    }
}

fn launch(run: &Run<'_>) -> Launch {
    let mut config = run.config.clone();
    let mut tells_status = false;
    if let Some(one_off) = &run.one_off {
        config.extend(one_off.env.clone());
        tells_status = one_off.tells_status;
    }
    Launch { program: shell(run.command, tells_status), env: environment(&config, &run.name, run.port) }
}

/// A command as the shell inside runs it.
#[must_use]
pub fn shell(command: &str, tells_status: bool) -> Program {
    let command = command.to_owned();
    if tells_status { Program::ShellWithStatus { command } } else { Program::Shell { command } }
}
