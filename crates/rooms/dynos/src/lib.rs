//! Dynos: keeps running what the formation asks for.
//!
//! A dyno is one run of one process of an app: a row in the store and, under the same id, an instance of the engine.
//! Its states and moves are `vocabulary::DynoState`'s; this room alone makes them.
//!
//! Requests record what should be ([`Dynos::scale`], [`Dynos::restart`]) and wake the reconciler ([`Dynos::run`]). It
//! reads formation, current releases and rows from the store, knows from the engine what runs (`observe`), plans the
//! steps between the two (`plan`, pure) and applies them side by side (`apply`: `boot`, `stop`, `crash`). It works the
//! same whether woken by a request, by the engine or by its timer.
//!
//! What is promised:
//!
//! - A release that never boots takes no traffic: the old web dynos stay until a new one of the same name is up.
//! - A web dyno gets SIGTERM only after every router acknowledged a table without it and its requests ended, or 30 s.
//! - No two dynos of one name run at once, except a web dyno and the one that replaces it.
//! - Nothing is remembered only in memory that a restart of this process could miss: rows and the engine's list tell
//!   which steps are still to do. Only the back-off of crashes and running time limits begin anew.
//! - With nothing to change, nothing is asked of the engine but its list.
//!
//! One-off dynos ([`Dynos::run_one_off`]) are rows as well. They start once, outlive releases and restarts of the
//! formation, and are forgotten when they end. Whoever holds the secret of an attached one meets it by
//! [`Dynos::join`]; what they say to each other passes by this room.
//!
//! Not here: R14 (`rooms/metrics`). Not built: the daily restart of the formation, sleeping.

mod apply;
mod attach;
mod backoff;
mod boot;
mod config;
mod crash;
mod lines;
mod meetings;
mod observe;
mod one_off;
mod plan;
mod read;
mod reconcile;
mod restart;
mod scale;
mod stop;

use std::sync::Arc;

use blobs::Blobs;
use engine::Engine;
use launch::Launcher;
use loglines::{LogLine, LogSink, Source};
use meetings::Meetings;
use routes_table::Departures;
use store::Store;
use store::dynos::Dyno;
use vocabulary::AppId;
use work::Wakers;

pub use attach::{Joined, Unjoined};
pub use config::Config;
pub use one_off::Wish;
pub use restart::Which;
pub use scale::{Quantity, Scale};

/// Why a request to this room failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Message for 422 invalid_params.
    #[error("{0}")]
    Invalid(String),
    /// For 404: what was not found.
    #[error("Couldn't find that {0}.")]
    NotFound(&'static str),
}

/// The room; clones share its parts.
#[derive(Debug, Clone)]
pub struct Dynos {
    store: Store,
    wakers: Wakers,
    logs: LogSink,
    engine: Engine,
    departures: Departures,
    launcher: Launcher,
    meetings: Meetings,
    config: Arc<Config>,
}

impl Dynos {
    /// The room over its parts. Nothing runs before [`Dynos::run`].
    #[must_use]
    pub fn new(
        store: Store,
        wakers: Wakers,
        logs: LogSink,
        engine: Engine,
        departures: Departures,
        blobs: Blobs,
        config: Config,
    ) -> Self {
        let launcher = Launcher::new(store.clone(), blobs, engine.clone(), config.killed_at);
        let meetings = Meetings::default();
        Self { store, wakers, logs, engine, departures, launcher, meetings, config: Arc::new(config) }
    }

    /// A write that the user with this email asked for.
    async fn write_by(&self, email: &str) -> Result<store::Write, store::Error> {
        match store::accounts::by_email(&self.store, email).await? {
            Some(account) => self.store.write_by(account.id).await,
            None => self.store.write().await,
        }
    }

    /// A platform's line about a dyno.
    fn say(&self, dyno: &Dyno, text: impl Into<String>) {
        self.logs.send(LogLine::now(dyno.app_id, Source::Heroku, dyno.name.to_string(), text));
    }

    /// A line about what a user did.
    fn say_api(&self, app: AppId, text: impl Into<String>) {
        self.logs.send(LogLine::now(app, Source::App, "api", text));
    }
}
