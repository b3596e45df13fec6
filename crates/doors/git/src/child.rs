//! A git child's ends.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use bytes::Bytes;
use engine::{Git as Fds, GitService};
use futures_util::stream;
use rustix::pipe::PipeFlags;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use vocabulary::{AccountId, AppId};
use work::Place;

use crate::Git;

/// How much of git's standard error is kept for our log.
const COMPLAINT: u64 = 4 * 1024;
/// The most bytes git may say of a push once it was told to take it: a line for each of at most 1,000 references.
const LAST_WORDS: u64 = 4 * 1024 * 1024;
/// The most bytes of one piece of an answer.
const PIECE: usize = 64 * 1024;

/// Our ends of a git child that is being started.
pub(crate) struct Child {
    pub(crate) stdin: Sender,
    pub(crate) stdout: Receiver,
    /// For a push: what the hook writes and what it reads.
    pub(crate) hook: Option<(Receiver, Sender)>,
    /// Its exit status; nothing if it could not be run to its end.
    pub(crate) ended: oneshot::Receiver<i32>,
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

impl Git {
    /// Starts git on an app's repository. A task waits for its end and says in our log why it failed.
    pub(crate) fn child(
        &self,
        app: AppId,
        service: GitService,
        protocol: Option<String>,
        place: Place<AccountId>,
    ) -> io::Result<Child> {
        let (stdin, stdin_in) = pipe()?;
        let (stdout, stdout_in) = pipe()?;
        let (stderr, stderr_in) = pipe()?;
        let mut fds = Fds { stdin, stdout: stdout_in, stderr: stderr_in, hook: None };
        let mut hook = None;
        if service == GitService::Receive {
            let (from_hook, hook_writes) = pipe()?;
            let (hook_reads, to_hook) = pipe()?;
            fds.hook = Some((hook_writes, hook_reads));
            hook = Some((Receiver::from_owned_fd(from_hook)?, Sender::from_owned_fd(to_hook)?));
        }
        let complaint = Receiver::from_owned_fd(stderr)?;
        let (tell, ended) = oneshot::channel();
        let engine = self.engine.clone();
        self.tasks.spawn(async move {
            let (status, complaint) = tokio::join!(engine.git(app, service, protocol, fds), read_some(complaint));
            match status {
                Ok(status) => {
                    if status != 0 {
                        tracing::info!(%app, ?service, status, complaint, "git ended badly");
                    }
                    // Only a push is waited for.
                    tell.send(status).unwrap_or_default();
                }
                Err(error) => tracing::warn!(%app, ?service, %error, complaint, "git could not be run to its end"),
            }
            drop(place);
        });
        Ok(Child { stdin: Sender::from_owned_fd(stdin_in)?, stdout: Receiver::from_owned_fd(stdout)?, hook, ended })
    }
}

/// Reads to the end, keeping the beginning.
async fn read_some(mut pipe: Receiver) -> String {
    let mut kept = Vec::new();
    // What cannot be read of a complaint is not worth one of its own.
    drop((&mut pipe).take(COMPLAINT).read_to_end(&mut kept).await);
    drop(tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await);
    String::from_utf8_lossy(&kept).into_owned()
}

/// What git says of a push once it was told to take it waits until the push is on the disk.
#[derive(Debug)]
pub(crate) struct Held {
    /// Whether git was told to take it.
    pub(crate) told: Arc<AtomicBool>,
    /// Whether it did, and it is on the disk.
    pub(crate) lasts: oneshot::Receiver<bool>,
}

/// The body of the answer to a push: what git writes, its last words only when they are true for good. A push of which
/// that is not known is cut off.
pub(crate) fn answer_push(stdout: Receiver, held: Held) -> Body {
    let pieces = stream::unfold(Some((stdout, held)), |state| async move {
        let (mut stdout, held) = state?;
        let mut piece = vec![0; PIECE];
        let read = stdout.read(&mut piece).await;
        match read {
            Ok(0) => None,
            Ok(count) if !held.told.load(Ordering::SeqCst) => {
                piece.truncate(count);
                Some((Ok(Bytes::from(piece)), Some((stdout, held))))
            }
            Ok(count) => {
                piece.truncate(count);
                let rest = (&mut stdout).take(LAST_WORDS).read_to_end(&mut piece).await;
                let lasts = rest.is_ok() && held.lasts.await.unwrap_or(false);
                let unknown = || io::Error::other("whether the push was taken is not known");
                Some((lasts.then(|| piece.into()).ok_or_else(unknown), None))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::from_stream(pieces)
}

/// An answer's body: some bytes, then what git writes until it ends.
pub(crate) fn answer(start: Bytes, stdout: Receiver) -> Body {
    let pieces = stream::unfold((Some(start), stdout), |(start, mut stdout)| async move {
        if let Some(start) = start.filter(|start| !start.is_empty()) {
            return Some((Ok::<_, io::Error>(start), (None, stdout)));
        }
        let mut piece = vec![0; PIECE];
        match stdout.read(&mut piece).await {
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                Some((Ok(piece.into()), (None, stdout)))
            }
            Err(error) => Some((Err(error), (None, stdout))),
        }
    });
    Body::from_stream(pieces)
}
