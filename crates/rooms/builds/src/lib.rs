//! Builds: from a source to a slug and its release.
//!
//! Knows the job `build`: which layers a build mounts, which runtimes it asked for, what its output says, and how it
//! ends. Knows no buildpack (they run inside a Build instance, `inside/buildpacks`), no HTTP and no git. The job owns
//! the outcome: whoever asked for the build may go away, and a build that an earlier process left under way begins
//! again ([`job`]). After the release, a task that no job waits for follows the release phase and the first web dyno
//! ([`verify`](mod@verify)), so that a deploy lane is never held by a boot.

mod cancel;
mod compile;
mod config;
mod installation;
mod instance;
mod job;
mod layers;
mod pipes;
mod runtimes;
mod stack_python;
mod text;
mod verify;

use std::sync::Arc;

use blobs::{Blobs, Outputs};
use crashpoints::Point;
use engine::Engine;
use loglines::{LogLine, LogSink, Source};
use releases::Releases;
use store::Store;
use store::apps::App;
use store::builds::Build;
use tokio::sync::Mutex;
use vocabulary::{AccountId, AppId, BuildId, BuildStatus, Digest};
use work::{Tasks, Wakers};

pub use config::Config;
pub use installation::installation;

/// The kind of the job that runs a build.
pub const JOB: &str = "build";

/// Why a build could not be begun or waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Message for 422 invalid_params.
    #[error("{0}")]
    Invalid(String),
    /// The output's file could not be made.
    #[error("could not begin the build's output")]
    Output(#[source] std::io::Error),
    /// The certificates or the client for package sources could not be set up.
    #[error("could not set up the client for package sources")]
    Client(#[source] runtimes::Error),
}

/// A build to begin.
#[derive(Debug)]
pub struct New<'a> {
    /// Its id, made by the caller, so that what belongs to the build can be kept before there is one.
    pub id: BuildId,
    /// The source's blob: tar, tar.gz or tar.zst.
    pub source: Digest,
    /// Whether the top folder of the source is dropped.
    pub strip_top_folder: bool,
    /// The commit, or what the caller calls it.
    pub source_version: Option<&'a str>,
    /// What the caller says of it.
    pub source_version_description: Option<&'a str>,
    /// For this build alone, as the API names them; None: those of the app.
    pub buildpacks: Option<Vec<String>>,
    /// Who asks.
    pub account: AccountId,
}

/// The room; clones share it.
#[derive(Debug, Clone)]
pub struct Builds {
    store: Store,
    wakers: Wakers,
    logs: LogSink,
    outputs: Outputs,
    blobs: Blobs,
    engine: Engine,
    releases: Releases,
    config: Arc<Config>,
    runtimes: runtimes::Runtimes,
    tasks: Tasks,
    /// Held by whoever decides how a build ends: the one who cancels it, or its job from the last look at its row to
    /// the end of its release.
    decisions: Arc<Mutex<()>>,
}

impl Builds {
    /// The room with everything it works on.
    #[expect(clippy::too_many_arguments, reason = "the rooms' common parts, one each; the binary alone calls this")]
    pub fn new(
        store: Store,
        wakers: Wakers,
        logs: LogSink,
        outputs: Outputs,
        blobs: Blobs,
        engine: Engine,
        releases: Releases,
        config: Config,
    ) -> Result<Self, Error> {
        let config = Arc::new(config);
        let runtimes = runtimes::Runtimes::new(store.clone(), blobs.clone(), engine.clone(), Arc::clone(&config))
            .map_err(Error::Client)?;
        let tasks = Tasks::default();
        Ok(Self {
            store,
            wakers,
            logs,
            outputs,
            blobs,
            engine,
            releases,
            config,
            runtimes,
            tasks,
            decisions: Arc::default(),
        })
    }

    /// Records a pending build and its job. Its output can be read at once under the build's id
    /// (`blobs::Outputs::read(id.to_string())`) and ends when the deploy has been verified or has failed.
    pub async fn start(&self, app: &App, new: &New<'_>) -> Result<Build, Error> {
        let id = new.id;
        let buildpacks = new.buildpacks.clone().unwrap_or_default();
        for given in &buildpacks {
            installation::reference(given).map_err(Error::Invalid)?;
        }
        let waits = store::builds::list(&self.store, app.id).await?.iter().any(is_pending);
        let mut output = self.outputs.write(&id.to_string()).map_err(Error::Output)?;
        if waits {
            output.append(text::WAITS.as_bytes());
        }
        let row = store::builds::New {
            id,
            app_id: app.id,
            account_id: new.account,
            stack: app.build_stack,
            source: &new.source,
            strip_top_folder: new.strip_top_folder,
            source_version: new.source_version,
            source_version_description: new.source_version_description,
            buildpacks: &buildpacks,
        };
        match self.record(&row).await {
            Ok(build) => Ok(build),
            Err(error) => {
                output.end();
                Err(error.into())
            }
        }
    }

    async fn record(&self, row: &store::builds::New<'_>) -> Result<Build, store::Error> {
        let mut write = self.store.write().await?;
        let build = store::builds::create(&mut write, row).await?;
        store::uploads::mark_used(&mut write, row.account_id, row.source).await?;
        store::jobs::add(&mut write, JOB, &build.app_id.to_string(), &job::payload(build.id)).await?;
        write.commit().await?;
        crashpoints::reach(Point::BuildRecorded);
        self.wakers.jobs.wake();
        self.wakers.changes.tell();
        Ok(build)
    }

    /// Waits until a build has ended (its row; the output may go on with the verification).
    pub async fn ended(&self, id: BuildId) -> Result<Build, Error> {
        let mut changes = self.wakers.changes.watch();
        loop {
            match store::builds::get(&self.store, id).await? {
                Some(build) if !is_pending(&build) => return Ok(build),
                Some(_) => {}
                None => return Err(Error::Invalid("the build is gone, and its app with it".to_owned())),
            }
            pipes::changed(&mut changes).await;
        }
    }

    /// Ends what runs of a deleted app's builds; their jobs find no rows and end the outputs. Does not wait: the engine
    /// may be away.
    pub fn forget(&self, app: AppId) {
        let builds = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = builds.clear(app).await {
                tracing::warn!(%error, app.id = %app, "could not end the builds of a deleted app");
            }
        });
    }

    /// The handler of `build` jobs.
    #[must_use]
    pub fn job(&self) -> work::Handler {
        let builds = self.clone();
        let ending = self.clone();
        let run = work::handler(move |job| {
            let builds = builds.clone();
            async move { builds.run(job).await }
        });
        run.or_fail(move |job, reason| {
            let builds = ending.clone();
            async move { builds.give_up(&job, &reason).await }
        })
    }

    /// A line of `app[api]` in the app's log.
    fn log(&self, app: &App, text: impl Into<String>) {
        self.logs.send(LogLine::now(app.id, Source::App, "api", text));
    }
}

fn is_pending(build: &Build) -> bool {
    build.status == BuildStatus::Pending
}
