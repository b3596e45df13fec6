//! Pushes whose build is under way: what the client sent is kept until their branch stands where it belongs.
//!
//! A branch moves when git's hook says yes, and the hook waits for the build. If the client or this process goes away
//! meanwhile, git ends and takes the pushed objects along, but the job goes on: it owns the outcome. Once its build
//! succeeded, what the client sent is given to git again from here, so that the branch stands where the release is
//! ([`Git::settle`]).
//!
//! ```text
//! pushes/BUILD-ID   a request's body as git reads it; gone once the push is settled
//! pushes/N.part     the same while it arrives, and of a push that builds nothing
//! ```

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::GitService;
use tokio::sync::watch;
use vocabulary::{AppId, BuildId, BuildStatus};

use crate::Git;
use crate::frame::{self, Kind};

/// How often git is given a push again while the engine comes back.
const ATTEMPTS: u32 = 6;

/// The folder of kept pushes; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Pushes {
    folder: PathBuf,
    next: Arc<AtomicU64>,
    /// How many pushes of an app have a git child now.
    live: watch::Sender<HashMap<AppId, usize>>,
}

/// A body that arrives.
#[derive(Debug)]
pub(crate) struct Arriving {
    file: BufWriter<File>,
    kept: Kept,
}

/// A body that arrived whole; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Kept(PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        // One that was given a build's name is no longer here.
        drop(fs::remove_file(&self.0));
    }
}

impl Arriving {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    pub(crate) fn finish(mut self) -> io::Result<Kept> {
        self.file.flush()?;
        // What is kept is what stands in for git's own copy, should the power fail with the push under way.
        self.file.get_ref().sync_all()?;
        Ok(self.kept)
    }
}

/// A push that has a git child.
#[derive(Debug)]
pub(crate) struct Live {
    app: AppId,
    live: watch::Sender<HashMap<AppId, usize>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.live.send_modify(|live| {
            let left = live.get(&self.app).map_or(0, |count| count.saturating_sub(1));
            match left {
                0 => live.remove(&self.app),
                left => live.insert(self.app, left),
            };
        });
    }
}

impl Pushes {
    /// Opens or makes the folder. What was arriving when an earlier process ended is gone.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "part") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { folder: folder.to_owned(), next: Arc::default(), live: watch::channel(HashMap::new()).0 })
    }

    /// A body that is about to arrive.
    pub(crate) fn begin(&self) -> io::Result<Arriving> {
        let path = self.folder.join(format!("{}.part", self.next.fetch_add(1, Ordering::Relaxed)));
        let file = BufWriter::with_capacity(frame::PIECE, File::create_new(&path)?);
        Ok(Arriving { file, kept: Kept(path) })
    }

    /// Keeps a body for a build that has begun.
    pub(crate) fn keep(&self, kept: &Kept, build: BuildId) -> io::Result<()> {
        fs::rename(&kept.0, self.path(build))?;
        File::open(&self.folder)?.sync_all()
    }

    /// The push is settled.
    pub(crate) fn forget(&self, build: BuildId) {
        match fs::remove_file(self.path(build)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, %build, "could not remove a settled push");
            }
            _ => {}
        }
    }

    /// Pushes that an earlier process did not settle.
    pub(crate) fn unsettled(&self) -> io::Result<Vec<BuildId>> {
        let names = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().parse().ok()));
        names.filter_map(Result::transpose).collect()
    }

    /// Counts a push that has a git child, until it is dropped.
    pub(crate) fn enter(&self, app: AppId) -> Live {
        self.live.send_modify(|live| *live.entry(app).or_default() += 1);
        Live { app, live: self.live.clone() }
    }

    /// Waits until no push of an app has a git child.
    async fn quiet(&self, app: AppId) {
        // The sender lives in `self`.
        drop(self.live.subscribe().wait_for(|live| !live.contains_key(&app)).await);
    }

    fn path(&self, build: BuildId) -> PathBuf {
        self.folder.join(build.to_string())
    }
}

impl Git {
    /// Settles what an earlier process left unsettled, beside the caller.
    pub(crate) fn settle_all(&self) -> io::Result<()> {
        for build in self.pushes.unsettled()? {
            let git = self.clone();
            self.tasks.spawn(async move { git.settle(build).await });
        }
        Ok(())
    }

    /// Moves the branch of a push that was cut off if its build succeeds, once it has ended.
    pub(crate) async fn settle(&self, build: BuildId) {
        match self.deploys.builds.ended(build).await {
            Ok(ended) if ended.status == BuildStatus::Succeeded => self.push_patiently(ended.app_id, build).await,
            // The build failed, or is gone with its app: the branch stays.
            Ok(_) | Err(builds::Error::Invalid(_)) => {}
            Err(error) => return tracing::warn!(%error, %build, "could not settle a push; the next start will"),
        }
        self.pushes.forget(build);
    }

    async fn push_patiently(&self, app: AppId, build: BuildId) {
        // A push that goes on compares with the branch it saw: it comes first. If it moves the branch, this one no
        // longer does.
        self.pushes.quiet(app).await;
        for attempt in 0..ATTEMPTS {
            match self.push_again(app, build).await {
                Ok(status) => return tracing::info!(%app, %build, status, "settled a push that was cut off"),
                Err(error) => tracing::warn!(%app, %build, %error, "could not settle a push that was cut off"),
            }
            tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
        }
    }

    /// Gives git what the client sent, and its hook a yes; answers git's exit status.
    async fn push_again(&self, app: AppId, build: BuildId) -> io::Result<i32> {
        let mut body = tokio::fs::File::open(self.pushes.path(build)).await?;
        let place = self.places.wait().await;
        let child = self.child(app, GitService::Receive, None, place)?;
        let (mut from, mut to) = child.hook.ok_or_else(|| io::Error::other("git has no hook"))?;
        let (mut stdin, mut stdout) = (child.stdin, child.stdout);
        let give = async move { tokio::io::copy(&mut body, &mut stdin).await };
        let read = async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await };
        let agree = async move {
            // Git that refuses the push itself calls no hook.
            if let Ok((Kind::Updates, _)) = frame::receive(&mut from).await {
                frame::send(&mut to, Kind::Verdict, &[1]).await?;
            }
            Ok::<_, io::Error>(())
        };
        let (given, _, agreed) = tokio::join!(give, read, agree);
        given?;
        agreed?;
        child.ended.await.map_err(|_| io::Error::other("git was not run to its end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_push_is_kept_until_it_is_forgotten_and_an_unfinished_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let pushes = Pushes::open(folder.path()).unwrap();
        let build = BuildId::new();
        let mut arriving = pushes.begin().unwrap();
        arriving.write(b"pack").unwrap();
        let kept = arriving.finish().unwrap();
        pushes.keep(&kept, build).unwrap();
        drop(kept);
        drop(pushes.begin().unwrap());
        std::mem::forget(pushes.begin().unwrap());
        let pushes = Pushes::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(pushes.unsettled().unwrap(), [build]);
        pushes.forget(build);
        assert!(pushes.unsettled().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_app_is_quiet_when_none_of_its_pushes_runs() {
        let folder = tempfile::tempdir().unwrap();
        let pushes = Pushes::open(folder.path()).unwrap();
        let (app, other) = (AppId::new(), AppId::new());
        let (one, two, _three) = (pushes.enter(app), pushes.enter(app), pushes.enter(other));
        drop(one);
        let waits = tokio::time::timeout(Duration::from_millis(1), pushes.quiet(app)).await;
        assert!(waits.is_err());
        drop(two);
        pushes.quiet(app).await;
    }
}
