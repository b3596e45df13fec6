//! Releases: a slug and the config vars of a moment, numbered within the app.
//!
//! Knows how a release comes about (the app itself, a deploy, config vars, a rollback), what it is called, and its
//! release phase. Knows no dyno of the formation: it records what is current and wakes `dynos`.
//!
//! ```text
//! pending ──release phase exits 0──▶ succeeded      a release without a release phase begins here
//!    └──── exits otherwise, 1 h ───▶ failed         the release before it stays current
//! ```
//!
//! The current release is the newest that succeeded. Releases become current in the order of their versions: one that
//! follows a pending release is pending, too, and its job runs after the other's, whether it has a release phase or
//! not. A release phase runs as the instance `release.NNNN` whose id is the release's, so that a restart of this
//! process finds it again ([`Releases::job`]).

mod config;
mod config_vars;
mod deploy;
mod describe;
mod follow;
mod initial;
mod lines;
mod of_slug;
mod phase;
mod record;
mod rollback;

use std::sync::Arc;

use blobs::{Blobs, Outputs};
use engine::Engine;
use launch::Launcher;
use loglines::{LogLine, LogSink, Source};
use store::Store;
use vocabulary::{AccountId, AppId, ReleaseId, ReleaseStatus};
use work::Wakers;

pub use config::Config;
pub use describe::deploy as deploy_description;
pub use phase::KIND;

/// Why a request to this room failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Message for 422 invalid_params.
    #[error("{0}")]
    Invalid(String),
    /// The app was deleted meanwhile.
    #[error("no such app any more")]
    Gone,
}

/// The room; clones share its parts.
#[derive(Debug, Clone)]
pub struct Releases {
    store: Store,
    wakers: Wakers,
    logs: LogSink,
    outputs: Outputs,
    engine: Engine,
    launcher: Launcher,
    config: Arc<Config>,
}

impl Releases {
    /// The room over its parts. Release phases run when [`Releases::job`] is given to the job runner.
    #[must_use]
    pub fn new(
        store: Store,
        wakers: Wakers,
        logs: LogSink,
        outputs: Outputs,
        blobs: Blobs,
        engine: Engine,
        config: Config,
    ) -> Self {
        let launcher = Launcher::new(store.clone(), blobs, engine.clone(), config.killed_at);
        Self { store, wakers, logs, outputs, engine, launcher, config: Arc::new(config) }
    }

    /// Waits until a release is no longer pending.
    pub async fn ended(&self, id: ReleaseId) -> Result<ReleaseStatus, Error> {
        let mut changes = self.wakers.changes.watch();
        loop {
            let release = store::releases::get(&self.store, id).await?.ok_or(Error::Gone)?;
            if release.status != ReleaseStatus::Pending {
                return Ok(release.status);
            }
            // The sender lives in `self`, so that waiting cannot fail.
            changes.changed().await.map_err(|_| Error::Gone)?;
        }
    }

    fn say_api(&self, app: AppId, text: impl Into<String>) {
        self.logs.send(LogLine::now(app, Source::App, "api", text));
    }

    async fn email(&self, account: AccountId) -> Result<String, Error> {
        let account = store::accounts::get(&self.store, account).await?;
        Ok(account.map_or_else(|| "unknown".to_owned(), |account| account.email))
    }
}
