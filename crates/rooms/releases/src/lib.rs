//! Releases. (signatures; the room is being built)
#![allow(missing_docs, clippy::todo, unused_variables, clippy::unused_async, reason = "signatures first")]

use std::collections::BTreeMap;

use store::Write;
use store::apps::{App, ConfigVars};
use store::releases::Release;
use store::slugs::Slug;
use vocabulary::{AccountId, ConfigVarName, ReleaseId, ReleaseStatus, Secret};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Message for 422 invalid_params.
    #[error("{0}")]
    Invalid(String),
    #[error("no such app any more")]
    Gone,
}

#[derive(Debug, Clone)]
pub struct Releases {/* store, wakers, logs, outputs, engine, blobs, settings */}

impl Releases {
    /// v1 `Initial release` and v2 `Enable Logplex`, in the write that makes the app.
    pub async fn initial(&self, write: &mut Write, app: &App, account: AccountId) -> Result<(), Error> {
        todo!()
    }

    /// Records the slug, makes the formation rows new process types need, sets config vars of `bin/release` that the
    /// app lacks, and makes the next release: pending with a `release_phase` job if the slug has a `release` process,
    /// current otherwise. Wakes dynos.
    pub async fn deploy(
        &self,
        app: &App,
        slug: &Slug,
        defaults: &BTreeMap<ConfigVarName, Secret>,
        account: AccountId,
        description: &str,
    ) -> Result<Release, Error> {
        todo!()
    }

    /// Sets and (with None) unsets config vars; a change makes a release, no change makes none. Answers all vars after
    /// it. Over 64 KiB in all is `Error::Invalid`.
    pub async fn set_config(
        &self,
        app: &App,
        changes: &BTreeMap<ConfigVarName, Option<Secret>>,
        account: AccountId,
    ) -> Result<ConfigVars, Error> {
        todo!()
    }

    /// A new release with slug and config vars of `to`. `Error::Invalid` if `to` has no slug or failed.
    pub async fn rollback(&self, app: &App, to: &Release, account: AccountId) -> Result<Release, Error> {
        todo!()
    }

    /// Waits until a release is no longer pending.
    pub async fn ended(&self, id: ReleaseId) -> Result<ReleaseStatus, Error> {
        todo!()
    }

    /// The handler of `release_phase` jobs.
    #[must_use]
    pub fn job(&self) -> work::Handler {
        todo!()
    }
}
