//! Builds. (signatures; the room is being built)
#![allow(missing_docs, clippy::todo, unused_variables, clippy::unused_async, reason = "signatures first")]

use store::apps::App;
use store::builds::Build;
use vocabulary::{AccountId, BuildId, Digest};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Message for 422 invalid_params.
    #[error("{0}")]
    Invalid(String),
}

#[derive(Debug)]
pub struct New<'a> {
    /// The source's blob: tar, tar.gz or tar.zst.
    pub source: Digest,
    pub strip_top_folder: bool,
    pub source_version: Option<&'a str>,
    pub source_version_description: Option<&'a str>,
    /// For this build alone, as the API names them; None: those of the app.
    pub buildpacks: Option<Vec<String>>,
    pub account: AccountId,
}

#[derive(Debug, Clone)]
pub struct Builds {/* store, wakers, logs, outputs, blobs, engine, releases, settings */}

impl Builds {
    /// Records a pending build and its job. Its output can be read at once under the build's id
    /// (`blobs::Outputs::read(id.to_string())`) and ends when the deploy has been verified or has failed.
    pub async fn start(&self, app: &App, new: &New<'_>) -> Result<Build, Error> {
        todo!()
    }

    /// Waits until a build has ended (its row; the output may go on with the verification).
    pub async fn ended(&self, id: BuildId) -> Result<Build, Error> {
        todo!()
    }

    /// The handler of `build` jobs.
    #[must_use]
    pub fn job(&self) -> work::Handler {
        todo!()
    }
}

/// What a buildpack's name or URL given to the API becomes: `heroku/nodejs` → (`urn:buildpack:heroku/nodejs`,
/// `heroku/nodejs`), a git or tarball URL → itself twice; or the message for 422.
pub fn installation(given: &str) -> Result<store::buildpacks::Installation, String> {
    todo!()
}
