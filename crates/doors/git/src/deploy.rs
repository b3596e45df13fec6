//! Control's side of a push: the plan, the source, the build, the verdict.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blobs::{Blobs, Draft, Outputs, Pin};
use builds::Builds;
use crashpoints::Point;
use store::Store;
use store::accounts::Account;
use store::apps::App;
use store::builds::Build;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use vocabulary::{BuildId, BuildStatus};

use crate::access::Token;
use crate::frame::{self, Archive, Archived, Kind, PIECE, Updates};
use crate::plan::{Plan, plan};
use crate::pushes::{Kept, Pushes};

/// How long the end of a body may take behind its last byte.
const BODY_END: Duration = Duration::from_secs(10);

/// What a push needs of the platform.
#[derive(Debug, Clone)]
pub(crate) struct Deploys {
    pub(crate) store: Store,
    pub(crate) builds: Builds,
    pub(crate) blobs: Blobs,
    pub(crate) outputs: Outputs,
    /// The most bytes of files in a source.
    pub(crate) source_limit_bytes: u64,
    pub(crate) pushes: Pushes,
}

/// One push.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) app: App,
    pub(crate) account: Account,
    /// What they may push with.
    pub(crate) token: Token,
    /// What the client sent, once all of it arrived.
    pub(crate) body: Option<oneshot::Receiver<Kept>>,
    /// The build it began.
    pub(crate) build: Option<BuildId>,
    /// Whether git was told to take it.
    pub(crate) told: Arc<AtomicBool>,
}

/// Why a push was not answered to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the hook went away or said nonsense")]
    Hook(#[from] io::Error),
    #[error("the hook's words are not of the expected shape")]
    Shape(#[from] serde_json::Error),
    #[error("could not keep a pushed source")]
    Blob(#[source] io::Error),
    #[error(transparent)]
    Builds(#[from] builds::Error),
}

/// The source of a push.
struct Source {
    /// Held until the build is recorded.
    blob: Pin,
    archived: Archived,
}

impl Deploys {
    /// Speaks with the hook of one push until the verdict is given. The build goes on if the hook does not.
    pub(crate) async fn answer(&self, push: &mut Push, from: &mut Receiver, to: &mut Sender) -> Result<(), Error> {
        let Updates(updates) = match frame::receive(from).await? {
            (Kind::Updates, body) => serde_json::from_slice(&body)?,
            _ => return Err(nonsense().into()),
        };
        tracing::debug!(target: "timing", step = "hook speaks", app.name = %push.app.name);
        crashpoints::reach(Point::PushIndexed);
        let taken = match plan(&updates) {
            Plan::Take(text) => {
                print(to, text.as_bytes()).await?;
                self.may_still(push, to).await?
            }
            Plan::Refuse(text) => {
                print(to, text.as_bytes()).await?;
                false
            }
            Plan::Deploy(commit) => self.deploy(push, &commit, from, to).await?,
        };
        tracing::debug!(target: "timing", step = "verdict", app.name = %push.app.name);
        push.told.store(taken, Ordering::SeqCst);
        frame::send(to, Kind::Verdict, &[u8::from(taken)]).await?;
        crashpoints::reach(Point::PushAnswered);
        Ok(())
    }

    async fn deploy(&self, push: &mut Push, commit: &str, from: &mut Receiver, to: &mut Sender) -> Result<bool, Error> {
        let order = Archive { commit: commit.to_owned(), limit_bytes: self.source_limit_bytes };
        frame::send(to, Kind::Archive, &serde_json::to_vec(&order)?).await?;
        let source = match self.source(from).await? {
            Ok(source) => source,
            Err(reason) => {
                print(to, format!(" !     The source cannot be built: {reason}\n").as_bytes()).await?;
                return Ok(false);
            }
        };
        tracing::debug!(target: "timing", step = "source kept", app.name = %push.app.name);
        crashpoints::reach(Point::PushSourceKept);
        if !self.may_still(push, to).await? {
            return Ok(false);
        }
        print(to, b"Compressing source files... done.\nBuilding source:\n\n").await?;
        for path in &source.archived.submodules {
            let text = format!(
                " !     The submodule {path:?} is left out: submodules are not fetched. Its folder is missing in the build.\n"
            );
            print(to, text.as_bytes()).await?;
        }
        let id = BuildId::new();
        // Before there is a build: from then on the branch has to move if it succeeds, whatever happens to this process.
        self.keep(push, id).await;
        crashpoints::reach(Point::PushKept);
        let build = self.build(&push.app, &push.account, (id, commit), &source).await;
        let build = build.inspect_err(|_| self.pushes.forget(id))?;
        push.build = Some(id);
        self.follow(&push.app, &build, to).await
    }

    /// Whether the push is still allowed now that all of it is here; tells the pusher if not.
    async fn may_still(&self, push: &Push, to: &mut Sender) -> Result<bool, Error> {
        let denied = push.token.still_pushes(&self.store, push.app.id).await.err();
        if let Some(denied) = &denied {
            print(to, format!(" !     {denied} The permission ended while the push was under way.\n").as_bytes())
                .await?;
        }
        Ok(denied.is_none())
    }

    /// Keeps what the client sent until its build has ended: should the push be cut off, its branch moves all the same.
    async fn keep(&self, push: &mut Push, build: BuildId) {
        // Git's hook speaks when git has read the whole pack, so that only the body's end is still to come.
        let Some(body) = push.body.take() else { return };
        let Ok(Ok(body)) = tokio::time::timeout(BODY_END, body).await else { return };
        if let Err(error) = self.pushes.keep(&body, build) {
            tracing::warn!(%error, %build, "could not keep a push; its branch will not move if it is cut off");
        }
    }

    /// Receives the tree into a blob; the inner error is what to tell the pusher.
    async fn source(&self, from: &mut Receiver) -> Result<Result<Source, String>, Error> {
        let mut draft = self.blobs.draft().map_err(Error::Blob)?;
        // Heads and padding of a tar come on top of the files; a small file doubles.
        let limit = self.source_limit_bytes.saturating_mul(2);
        let mut bytes = 0;
        loop {
            match frame::receive(from).await? {
                (Kind::Tar, piece) => {
                    bytes += piece.len() as u64;
                    if bytes > limit {
                        return Ok(Err(format!("it has more than {limit} bytes")));
                    }
                    draft.write(&piece).map_err(Error::Blob)?;
                }
                (Kind::Archived, body) => {
                    let archived = serde_json::from_slice(&body)?;
                    return Ok(Ok(Source { blob: finish(draft).await?, archived }));
                }
                (Kind::Failed, text) => return Ok(Err(String::from_utf8_lossy(&text).into_owned())),
                _ => return Err(nonsense().into()),
            }
        }
    }

    async fn build(
        &self,
        app: &App,
        account: &Account,
        (id, commit): (BuildId, &str),
        source: &Source,
    ) -> Result<Build, Error> {
        let subject = source.archived.subject.as_str();
        let new = builds::New {
            id,
            source: (*source.blob).clone(),
            strip_top_folder: false,
            source_version: Some(commit),
            source_version_description: (!subject.is_empty()).then_some(subject),
            buildpacks: None,
            account: account.id,
        };
        Ok(self.builds.start(app, &new).await?)
    }

    /// Copies the build's output to the pusher; whether the push is taken.
    async fn follow(&self, app: &App, build: &Build, to: &mut Sender) -> Result<bool, Error> {
        let mut output = self.outputs.read(&build.id.to_string()).map_err(Error::Blob)?;
        while let Some(piece) = output.next().await.map_err(Error::Blob)? {
            print(to, &piece).await?;
        }
        let taken = self.builds.ended(build.id).await?.status == BuildStatus::Succeeded;
        if !taken {
            print(to, format!("Verifying deploy...\n\n!\tPush rejected to {}.\n\n", app.name).as_bytes()).await?;
        }
        Ok(taken)
    }
}

async fn finish(draft: Draft) -> Result<Pin, Error> {
    let finished = tokio::task::spawn_blocking(move || draft.finish()).await;
    let (blob, _) = finished.map_err(io::Error::other).and_then(|finished| finished).map_err(Error::Blob)?;
    Ok(blob)
}

async fn print(to: &mut Sender, text: &[u8]) -> io::Result<()> {
    for piece in text.chunks(PIECE) {
        frame::send(to, Kind::Print, piece).await?;
    }
    Ok(())
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the hook said what only control says")
}
