//! After the release: follow the release phase, then wait until the first web dyno is up or has crashed.
//!
//! No job waits for this: the deploy lane is free, and a process that ends takes only the telling along. The build has
//! succeeded whatever is said here.

use std::time::Duration;

use blobs::Output;
use store::apps::App;
use store::releases::Release;
use tokio::time::{Instant, timeout_at};
use vocabulary::{BuildId, DynoState, ProcessType, ReleaseStatus};

use crate::{Builds, pipes, text};

/// How long a release phase may take to begin its output or to end (Heroku: 1 hour, the release phase's own limit).
const RELEASE_PHASE: Duration = Duration::from_mins(70);

/// What became of the first web dyno.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Boot {
    /// It listens, or there is none to wait for.
    Up,
    /// It ended, or never listened.
    Crashed(String),
    /// Neither yet.
    Waiting,
}

impl Builds {
    /// Says what becomes of a release, beside the caller, and ends the output, whatever happens: a push reads it.
    pub(crate) fn verify_later(&self, build: BuildId, app: App, release: Release, mut output: Output) {
        let (builds, outputs) = (self.clone(), self.outputs.clone());
        let verify = async move {
            if let Err(error) = builds.verify(&app, &release, &mut output).await {
                tracing::warn!(%error, app = %app.name, "could not follow a deploy to its end");
            }
            output.end();
        };
        self.tasks.spawn(async move {
            if let Err(error) = work::guarded(verify).await {
                tracing::error!(?error, %build, "the telling of a deploy broke");
                // One that cannot be opened again cannot be read either.
                if let Ok(output) = outputs.write(&build.to_string()) {
                    output.end();
                }
            }
        });
    }

    async fn verify(&self, app: &App, release: &Release, output: &mut Output) -> Result<(), store::Error> {
        let pending = release.status == ReleaseStatus::Pending;
        if pending {
            output.append(text::RELEASE_COMMAND.as_bytes());
        }
        output.append(text::released(release.version, &self.config.url_of(&app.name)).as_bytes());
        if pending && !self.release_phase(app, release, output).await? {
            return Ok(());
        }
        let text = match self.booted(app, release).await? {
            Boot::Up => "Verifying deploy... done.\n".to_owned(),
            Boot::Crashed(dyno) => text::boot_failed(&dyno, release.version, app.name.as_str()),
            Boot::Waiting => text::boot_slow(release.version, app.name.as_str()),
        };
        output.append(text.as_bytes());
        Ok(())
    }

    /// Follows the release phase; whether the release is current now.
    async fn release_phase(&self, app: &App, release: &Release, output: &mut Output) -> Result<bool, store::Error> {
        output.append(b"Running release command...\n\n");
        let deadline = Instant::now() + RELEASE_PHASE;
        let copied = timeout_at(deadline, self.copy_release_output(release, output)).await;
        if let Ok(Err(error)) = copied {
            return Err(error);
        }
        let status = match timeout_at(deadline, self.releases.ended(release.id)).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not wait for a release");
                ReleaseStatus::Failed
            }
            Err(_) => ReleaseStatus::Pending,
        };
        if status == ReleaseStatus::Succeeded {
            output.append(b"Waiting for release.... done.\n\n");
            return Ok(true);
        }
        let serving = store::releases::current(&self.store, app.id).await?.map(|current| current.version.to_string());
        output.append(text::release_failed(release.version, serving).as_bytes());
        Ok(false)
    }

    async fn copy_release_output(&self, release: &Release, output: &mut Output) -> Result<(), store::Error> {
        let mut changes = self.wakers.changes.watch();
        let name = release.id.to_string();
        loop {
            if let Ok(mut reader) = self.outputs.read(&name) {
                while let Ok(Some(piece)) = reader.next().await {
                    output.append(&piece);
                }
                return Ok(());
            }
            // Its output is made with its first dyno. A release that ended without one has none.
            let status = store::releases::get(&self.store, release.id).await?.map(|release| release.status);
            if status != Some(ReleaseStatus::Pending) {
                return Ok(());
            }
            pipes::changed(&mut changes).await;
        }
    }

    async fn booted(&self, app: &App, release: &Release) -> Result<Boot, store::Error> {
        let deadline = Instant::now() + self.config.verify;
        let mut changes = self.wakers.changes.watch();
        loop {
            let boot = self.look(app, release).await?;
            if boot != Boot::Waiting || timeout_at(deadline, pipes::changed(&mut changes)).await.is_err() {
                return Ok(boot);
            }
        }
    }

    async fn look(&self, app: &App, release: &Release) -> Result<Boot, store::Error> {
        if !self.wants_web(app, release).await? {
            return Ok(Boot::Up);
        }
        let dynos = store::dynos::list(&self.store, app.id).await?;
        let web: Vec<_> = dynos.iter().filter(|dyno| dyno.release_id == release.id && dyno.serves_requests()).collect();
        if web.iter().any(|dyno| dyno.state == DynoState::Up) {
            return Ok(Boot::Up);
        }
        let crashed = web.iter().find(|dyno| dyno.state == DynoState::Crashed);
        Ok(crashed.map_or(Boot::Waiting, |dyno| Boot::Crashed(dyno.name.to_string())))
    }

    /// Whether a web dyno of this release is to be expected: the slug has the type, it is scaled up, and no newer
    /// release took its place.
    async fn wants_web(&self, app: &App, release: &Release) -> Result<bool, store::Error> {
        let slug = match release.slug_id {
            Some(id) => store::slugs::get(&self.store, id).await?,
            None => None,
        };
        let has_web = slug.is_some_and(|slug| slug.process_types.command(&ProcessType::web()).is_some());
        let current = store::releases::current(&self.store, app.id).await?;
        let is_current = current.is_some_and(|current| current.id == release.id);
        let formation = store::formation::list(&self.store, app.id).await?;
        let scaled = formation.iter().any(|entry| entry.process_type.is_web() && entry.quantity > 0);
        Ok(has_web && is_current && scaled)
    }
}
