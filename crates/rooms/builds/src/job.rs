//! The job `build`, lane: the app's id.
//!
//! It may run twice: at every step that was recorded, a second run goes on behind it.
//!
//! | found at the beginning | what happens |
//! |---|---|
//! | pending, no slug | (again) instances are run; those an earlier run left are removed first |
//! | pending, the slug is recorded | the release was made, only the row is behind: the row is brought up |
//! | succeeded or failed | nothing is left but the output's end |
//!
//! A build begins at most three times; then it fails with what was in its way. A run that panics, or whose store fails
//! for as long as the runner waits for one, ends as failed, too ([`Builds::give_up`]).

use std::time::Duration;

use blobs::Output;
use crashpoints::Point;
use serde::{Deserialize, Serialize};
use store::Write;
use store::apps::App;
use store::builds::Build;
use store::jobs::Job;
use store::releases::Release;
use vocabulary::{BuildId, BuildStatus};
use work::Outcome;

use crate::compile::{Made, Trouble, slug_id};
use crate::{Builds, installation, layers, text};

/// How long the instances of a build that broke are waited for.
const CLEAR: Duration = Duration::from_secs(10);
/// How often a build is begun again after an interruption.
const RETRIES: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    build_id: BuildId,
}

/// The job's payload for a build.
pub(crate) fn payload(build_id: BuildId) -> String {
    serde_json::json!({ "build_id": build_id }).to_string()
}

impl Builds {
    pub(crate) async fn run(&self, job: Job) -> Outcome {
        let Ok(Payload { build_id }) = serde_json::from_str(&job.payload) else {
            tracing::error!(job.payload, "dropped a build job without a build");
            return Outcome::Done;
        };
        match self.begin(build_id, job.attempts).await {
            Ok(()) => Outcome::Done,
            Err(reason) => {
                tracing::warn!(build = %build_id, reason, "a build was interrupted; it runs again");
                Outcome::Again
            }
        }
    }

    /// Ends a build whose run panicked or could not even be begun: the push that waits for it is told.
    pub(crate) async fn give_up(&self, job: &Job, reason: &str) -> Outcome {
        let Ok(Payload { build_id }) = serde_json::from_str(&job.payload) else { return Outcome::Done };
        let failed = match self.record_failure(build_id, reason).await {
            Ok(failed) => failed,
            Err(error) => {
                tracing::error!(build = %build_id, error = &error as &dyn std::error::Error, "a build stays pending");
                return Outcome::Again;
            }
        };
        if let Ok(Some(build)) = store::builds::get(&self.store, build_id).await {
            // Before the lane is free: the app's next build would lose its instance. An engine that is away is not waited
            // for; that build clears up itself.
            drop(tokio::time::timeout(CLEAR, self.clear(build.app_id)).await);
        }
        match self.outputs.write(&build_id.to_string()) {
            Ok(mut output) => {
                // Another reason may have come first: somebody cancelled the build.
                if failed {
                    output.append(text::rejected(None, Some(reason)).as_bytes());
                    output.end();
                } else {
                    let build = store::builds::get(&self.store, build_id).await.ok().flatten();
                    end_told(output, build.as_ref());
                }
            }
            Err(error) => tracing::error!(build = %build_id, %error, "could not end the output of a failed build"),
        }
        Outcome::Done
    }

    /// Ends the row as failed; false if it had ended already. Reads nothing else of it: that may be what fails.
    pub(crate) async fn record_failure(&self, id: BuildId, reason: &str) -> Result<bool, store::Error> {
        self.end_failed(self.store.write().await?, id, reason).await
    }

    /// The same within a write of whoever ends it.
    pub(crate) async fn end_failed(&self, mut write: Write, id: BuildId, reason: &str) -> Result<bool, store::Error> {
        let failed = store::builds::fail(&mut write, id, &text::one_line(reason)).await?;
        write.commit().await?;
        self.wakers.retention.wake();
        self.wakers.changes.tell();
        Ok(failed)
    }

    /// Runs the build unless it has ended. An error says why the job has to run again.
    async fn begin(&self, id: BuildId, attempt: u32) -> Result<(), String> {
        let build = store::builds::get(&self.store, id).await.map_err(|error| error.to_string())?;
        let app = match &build {
            Some(build) => store::apps::get(&self.store, build.app_id).await.map_err(|error| error.to_string())?,
            None => None,
        };
        let mut output = self.outputs.write(&id.to_string()).map_err(|error| error.to_string())?;
        let (Some(build), Some(app)) = (build.as_ref().filter(|build| build.status == BuildStatus::Pending), app)
        else {
            end_told(output, build.as_ref());
            return Ok(());
        };
        if attempt > 0 {
            output.append(text::again(attempt).as_bytes());
        } else {
            self.log_started(&app, build).await;
        }
        tracing::debug!(target: "timing", step = "build begins", app.name = %app.name);
        crashpoints::reach(Point::BuildBegun);
        match self.attempt(&app, build, &mut output).await {
            Ok(release) => {
                self.log(&app, "Build succeeded");
                self.verify_later(id, app, release, output);
                Ok(())
            }
            Err(Trouble::Again(reason)) if attempt < RETRIES => Err(reason),
            Err(Trouble::Again(reason)) => {
                let reason = format!("the platform was interrupted too often: {reason}");
                self.fail(&app, build, output, &Trouble::failed(reason)).await
            }
            Err(trouble) => self.fail(&app, build, output, &trouble).await,
        }
    }

    async fn log_started(&self, app: &App, build: &Build) {
        let account = store::accounts::get(&self.store, build.account_id).await.ok().flatten();
        let email = account.map_or_else(|| "unknown".to_owned(), |account| account.email);
        self.log(app, format!("Build started by user {email}"));
    }

    /// One run: compile, release, record.
    async fn attempt(&self, app: &App, build: &Build, output: &mut Output) -> Result<Release, Trouble> {
        if store::slugs::get(&self.store, slug_id(build)).await?.is_some() {
            return self.released_before(build, output).await;
        }
        self.clear(app.id).await?;
        let compile = tokio::select! {
            trouble = self.canceled(build.id) => Ok(Err(trouble)),
            made = tokio::time::timeout(self.config.timeout, self.compile(app, build, output)) => made,
        };
        // However it ended, nothing of it stays on the host; the next build would clear what this cannot.
        if let Err(error) = self.clear(app.id).await {
            tracing::warn!(%error, build = %build.id, "could not remove a build's instances");
        }
        tracing::debug!(target: "timing", step = "compiled", app.name = %app.name);
        let made = compile.unwrap_or_else(|_| Err(Trouble::failed(text::timed_out(self.config.timeout))))?;
        output.append(text::compressed(made.app_layer.row.blob_bytes.unsigned_abs()).as_bytes());
        self.release(app, build, &made).await
    }

    /// Records layers, makes the release, and ends the build well. Layers come first: a slug names them.
    async fn release(&self, app: &App, build: &Build, made: &Made) -> Result<Release, Trouble> {
        let mut write = self.store.write().await?;
        let recorded: Vec<_> = [&made.app_layer].into_iter().chain(&made.cache_layer).collect();
        layers::record(&mut write, &recorded).await?;
        if let Some(cache) = &made.cache_layer {
            store::layers::set_build_cache(&mut write, app.id, build.stack, &cache.row.digest).await?;
        }
        write.commit().await?;
        crashpoints::reach(Point::BuildLayersRecorded);
        let _decision = self.decisions.lock().await;
        if !self.is_wanted(build.id).await? {
            return Err(self.canceled(build.id).await);
        }
        let description = description(build.source_version.as_deref());
        let release = self.releases.deploy(app, &made.slug, &made.defaults, build.account_id, &description).await;
        let release = release.map_err(release_trouble)?;
        tracing::debug!(target: "timing", step = "release made", app.name = %app.name);
        self.succeed(build, &release, &made.buildpacks, &made.detected).await?;
        Ok(release)
    }

    async fn succeed(
        &self,
        build: &Build,
        release: &Release,
        used: &[String],
        detected: &[String],
    ) -> Result<(), Trouble> {
        let set = store::buildpacks::list(&self.store, build.app_id).await?;
        let detected: Vec<_> = detected.iter().filter_map(|name| installation(name).ok()).collect();
        let outcome = store::builds::Outcome { slug_id: slug_id(build), release_id: release.id, buildpacks: used };
        let mut write = self.store.write().await?;
        store::builds::succeed(&mut write, build.id, &outcome).await?;
        if set.is_empty() && !detected.is_empty() {
            store::buildpacks::replace(&mut write, build.app_id, &detected).await?;
        }
        write.commit().await?;
        crashpoints::reach(Point::BuildSucceeded);
        self.wakers.retention.wake();
        self.wakers.changes.tell();
        Ok(())
    }

    /// The release an earlier run of this job made before it was cut off.
    async fn released_before(&self, build: &Build, output: &mut Output) -> Result<Release, Trouble> {
        let releases = store::releases::list(&self.store, build.app_id).await?;
        let release = releases.into_iter().find(|release| release.slug_id == Some(slug_id(build)));
        let release = release.ok_or_else(|| Trouble::failed("the build's slug was never released"))?;
        output.append(b"-----> Launching...\n");
        self.succeed(build, &release, &build.buildpacks, &[]).await?;
        Ok(release)
    }

    async fn fail(&self, app: &App, build: &Build, mut output: Output, trouble: &Trouble) -> Result<(), String> {
        let (language, reason, told) = match trouble {
            Trouble::Failed { language, reason, told } => (language.as_deref(), reason, *told),
            Trouble::Again(reason) => (None, reason, false),
        };
        self.record_failure(build.id, reason).await.map_err(|error| error.to_string())?;
        let url = format!("heroku builds:output -a {}", app.name);
        self.log(app, format!("Build failed -- check your build output: {url}"));
        let language = language.map(text::one_line);
        output.append(text::rejected(language.as_deref(), (!told).then_some(reason)).as_bytes());
        output.end();
        Ok(())
    }
}

/// Ends the output of a build that had ended when its turn came (cancelled, or its app deleted, before it or between two
/// attempts), or that an earlier process ended: whoever reads is told why, and told once.
fn end_told(mut output: Output, build: Option<&Build>) {
    let reason = match build {
        None => Some(text::APP_GONE),
        Some(build) => build.failure.as_deref(),
    };
    // What cannot be read back is better said twice.
    if let Some(reason) = reason.filter(|_| !output.ends_with(text::PUSH_FAILED.as_bytes()).unwrap_or(false)) {
        output.append(text::rejected(None, Some(reason)).as_bytes());
    }
    output.end();
}

/// `Deploy 1234abcd` for a commit, `Deploy` and what the caller calls it otherwise.
fn description(version: Option<&str>) -> String {
    let version = version.map(text::one_line).unwrap_or_default();
    let is_commit = version.len() >= 8 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    match version.get(..8).filter(|_| is_commit) {
        Some(short) => format!("Deploy {short}"),
        None if version.is_empty() => "Deploy".to_owned(),
        None => format!("Deploy {version}"),
    }
}

fn release_trouble(error: releases::Error) -> Trouble {
    match error {
        releases::Error::Store(error) => error.into(),
        error => Trouble::failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_described_by_its_commit() {
        assert_eq!(description(Some("1234abcd5678ef901234abcd5678ef901234abcd")), "Deploy 1234abcd");
        assert_eq!(description(Some("v1.2")), "Deploy v1.2");
        assert_eq!(description(None), "Deploy");
    }
}
