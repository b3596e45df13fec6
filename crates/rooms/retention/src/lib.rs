//! Retention: what is kept, for how long, and that the rest goes, so that disks do not fill.
//!
//! Knows the rule and the order in which things go; knows no path: `blobs` and the engine delete. Nothing here is asked
//! for by a user. A reconciler runs when a build ended, a release was made or an app was deleted, and on a timer; it
//! looks at what is there and at what is referred to, and remembers nothing, so that a crash at any point is mended by
//! the next pass.
//!
//! | what | stays as long as |
//! |---|---|
//! | slug | a release that names it is one of the newest 20 of its app, or younger than 30 days, or current, pending, or run by a dyno ([`rule`]); Heroku's rule since 1 October 2025 |
//! | release | its row stays; with its slug it becomes `expired`, and nothing goes back to it |
//! | build cache | it is the app's latest on its stack |
//! | runtime | a slug that is kept has it, or a build asked for it within 30 days |
//! | layer and its blob | a slug that is kept, a build cache or a runtime has it, or somebody holds a pin |
//! | source | its build has not ended; before that, for an hour after its upload, restarts or not |
//! | image on the host | its layer belongs to a cache, a runtime, a slug of one of the newest 5 releases, or an instance; the others are made again from their blobs |
//! | output of a build or release phase | it is one of the newest 20 of its app, or younger than 30 days, or not ended |
//! | repository | its app is there; inside, what nothing leads to goes after a day |
//! | instance of a build | its app has a build that has not ended |
//!
//! Logs are bounded by their own room, and what instances leave behind by the engine, each at its start. An app that is
//! deleted takes all of the above along: its rows go at once, what they referred to with the next pass.
//!
//! **Order.** In one write, slugs are marked, their releases expire, and rows of runtimes and layers go. Whoever goes
//! back to a release checks its slug in a write of his own, so that he comes before, and the slug is kept, or after, and
//! is told. Then files go: blobs ([`blobs`] says why that is safe beside builds), outputs, images ([`engine::Request::Discard`]),
//! repositories. Of these, what is there is listed first and what is referred to is read afterwards: what was made in
//! between is not on the list.

mod pass;
mod rule;
#[cfg(test)]
mod tests;

use std::time::Duration;

use blobs::{Blobs, Outputs};
use engine::Engine;
use store::Store;
use work::Waker;

pub use rule::{Rule, Verdict, judge};

/// Why a pass did not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("could not read or mark what is kept")]
    Store(#[from] store::Error),
    /// A folder could not be read, or a file in it not be deleted.
    #[error("could not delete {0}")]
    Files(&'static str, #[source] std::io::Error),
    /// The engine is away or refused.
    #[error("could not have the engine delete what is its own")]
    Engine(#[from] engine::Error),
}

/// How long things are kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// So many of an app's newest releases keep their slugs, however old they are. 20, as Heroku.
    pub releases: u32,
    /// Releases younger than this keep their slugs, however many there are. 30 days, as Heroku.
    pub age: Duration,
    /// How long a runtime that no slug has waits for the next build that asks for it. 30 days.
    pub runtimes: Duration,
    /// How long an uploaded source waits for the build that names it. 1 hour, as long as its address is good for.
    pub uploads: Duration,
    /// The slugs of so many of an app's newest releases have images on the host, so that going back is as fast as
    /// starting. 5.
    pub warm: u32,
    /// The most files one pass deletes of a kind; the next one goes on. 1,000.
    pub budget: usize,
    /// How often a pass is made that nobody asked for. 10 minutes.
    pub timer: Duration,
    /// How long after a pass the next may begin, and how soon one is made again that left something over. 5 seconds.
    pub pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            releases: 20,
            age: Duration::from_hours(30 * 24),
            runtimes: Duration::from_hours(30 * 24),
            uploads: Duration::from_hours(1),
            warm: 5,
            budget: 1000,
            timer: Duration::from_mins(10),
            pause: Duration::from_secs(5),
        }
    }
}

/// The room.
#[derive(Debug)]
pub struct Retention {
    store: Store,
    waker: Waker,
    blobs: Blobs,
    outputs: Outputs,
    engine: Engine,
    config: Config,
}

impl Retention {
    /// The room over its parts. Nothing goes before [`Retention::run`].
    #[must_use]
    pub fn new(store: Store, waker: Waker, blobs: Blobs, outputs: Outputs, engine: Engine, config: Config) -> Self {
        Self { store, waker, blobs, outputs, engine, config }
    }

    /// The reconciler; runs for ever.
    pub async fn run(self) {
        let mut tidied = pass::Tidied::default();
        loop {
            let wait = match self.pass(&mut tidied).await {
                Ok(freed) => {
                    freed.log();
                    if freed.is_all() { self.config.timer } else { self.config.pause }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a collection was cut short");
                    self.config.timer
                }
            };
            // Many releases at once are one pass.
            tokio::time::sleep(self.config.pause).await;
            self.waker.woken_or(wait).await;
        }
    }
}
