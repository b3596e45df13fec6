//! The guard of an upgrade: the older program in a process of its own, beside the newer one that takes over.
//!
//! ```text
//! supervisor (older) ──starts──▶ guard (older): holds copies of every descriptor of the handover
//!      │ exec                        │ ready ▶ the supervisor executes the newer program
//! supervisor (newer) ──settled────▶  │ ends
//!      ╳ ends, hangs, or says why ─▶ │ becomes a supervisor itself, with the same sockets and roles
//! ```
//!
//! While it watches it is the main process in systemd's eyes, so that the end of the other one is no end of the unit; it
//! gives that back when the newer program has settled. Whatever the newer program does between its first instruction and
//! the word that it has settled, somebody who works holds the sockets.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::handover::{self, Handover, Partner};
use super::process::Process;
use super::role::OURS;
use super::{Error, Signals, doing};
use crate::roles::tell_systemd;

/// The guard's word that it watches.
const READY: u8 = 1;
/// The supervisor's word that it needs no guard; no reason begins with it.
const SETTLED: u8 = 2;
/// How long a guard may take to begin or to end.
const MOMENT: Duration = Duration::from_secs(10);
/// How long the newer program may take: it starts a router, which may take a minute.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest reason that is listened to, in bytes.
const LONGEST: u64 = 4096;

/// The supervisor's hold on its guard. Dropped without a word, or with the process, it has the guard go back.
pub(super) struct Guard {
    process: Process,
    socket: UnixStream,
}

impl Guard {
    /// Starts one with a handover to itself; the descriptors in it are being handed on already.
    pub(super) async fn start(handover: &Handover, file: &Path) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs.into_std()?);
        let process = {
            handover::hand_on(&[theirs.as_fd()], true)?;
            let socket =
                Partner { pid: i32::try_from(std::process::id()).unwrap_or_default(), socket: theirs.as_raw_fd() };
            Handover { partner: Some(socket), ..handover.clone() }.write(file)?;
            let mut command = Command::new(OURS);
            command.arg0("slipway").arg("upgrade-guard").args(handover::words());
            let child = command.env(handover::VARIABLE, file).stdin(Stdio::null()).spawn()?;
            Process::child(i32::try_from(child.id()).map_err(io::Error::other)?)?
        };
        drop(theirs);
        let mut guard = Self { process, socket: ours };
        let mut word = [0];
        match tokio::time::timeout(MOMENT, guard.socket.read_exact(&mut word)).await {
            Ok(Ok(_)) if word == [READY] => Ok(guard),
            _ => {
                guard.process.kill().await?;
                Err(io::Error::other("its guard does not start"))
            }
        }
    }

    /// One that the program before us started.
    pub(super) fn take(handed: Partner) -> io::Result<Self> {
        let socket = StdUnixStream::from(handover::take_fd(handed.socket)?);
        socket.set_nonblocking(true)?;
        Ok(Self { process: Process::child(handed.pid)?, socket: UnixStream::from_std(socket)? })
    }

    /// What the next program needs of it.
    pub(super) fn handed(&self) -> Partner {
        Partner { pid: self.process.pid, socket: self.socket.as_raw_fd() }
    }

    /// Its end of the connection, to be handed on.
    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// From now on systemd is to look at the guard.
    pub(super) fn stand_in(&self) {
        tell_systemd(&format!("MAINPID={}", self.process.pid));
    }

    /// It is not needed any more; comes back when it is gone.
    pub(super) async fn dismiss(mut self) -> io::Result<()> {
        self.socket.write_all(&[SETTLED]).await?;
        match tokio::time::timeout(MOMENT, self.process.ended()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => self.process.kill().await,
        }
    }

    /// Says why it has to go back; the caller is to end.
    pub(super) async fn go_back(mut self, why: &str) {
        // It goes back without a reason as well.
        _ = self.socket.write_all(why.as_bytes()).await;
    }
}

/// The guard's own process: `slipway upgrade-guard`, with the words of `slipway up`.
pub(crate) async fn run() -> Result<(), Error> {
    let missing = || io::Error::other("nothing was handed over");
    let file = crate::settings::handover().ok_or_else(missing).map_err(doing("begin"))?;
    let handover = handover::read(&file).map_err(doing("read what was handed over"))?;
    let handover = handover.ok_or_else(missing).map_err(doing("begin"))?;
    let begin = doing("watch the supervisor");
    let (mut watch, mut signals) = match (Watch::start(&handover).await, Signals::new()) {
        (Ok(watch), Ok(signals)) => (watch, signals),
        (Err(error), _) | (_, Err(error)) => return Err(begin(error)),
    };
    let why = tokio::select! {
        outcome = watch.outcome() => outcome,
        () = signals.wait() => {
            // Somebody wants all of it to end: not the newer program alone.
            watch.supervisor.end().await.map_err(doing("end the supervisor"))?;
            return Ok(());
        }
    };
    let Some(why) = why.map_err(doing("watch the supervisor"))? else {
        tell_systemd(&format!("MAINPID={}", watch.supervisor.pid));
        return Ok(());
    };
    tracing::error!(why, "the newer program did not settle; going back");
    let (process, failed) = (std::process::id(), Some(why));
    let back = Handover { process, partner: None, failed, ..handover };
    let ours: PathBuf = file.with_file_name("handover.json");
    back.write(&ours).map_err(doing("write down what there is"))?;
    Err(doing("become the supervisor")(handover::become_program(Path::new(OURS), &ours)))
}

/// Looks at the supervisor.
struct Watch {
    supervisor: Process,
    socket: UnixStream,
}

impl Watch {
    /// Begins, and says so.
    async fn start(handover: &Handover) -> io::Result<Self> {
        let parent = || rustix::process::getppid().map(Pid::as_raw_nonzero).map(std::num::NonZero::get);
        let handed = handover.partner.ok_or_else(|| io::Error::other("it names no supervisor"))?;
        let Guard { process: supervisor, mut socket } = Guard::take(handed)?;
        // Before the handle was taken the supervisor might have ended and its id been given to another.
        if parent() != Some(handed.pid) {
            return Err(io::Error::other("the supervisor ended before it handed over"));
        }
        socket.write_all(&[READY]).await?;
        Ok(Self { supervisor, socket })
    }

    /// Nothing if the newer program has settled, or else why it has to be gone back from; it is gone then.
    async fn outcome(&mut self) -> io::Result<Option<String>> {
        let mut word = [0];
        let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut word)).await;
        let why = match read {
            Ok(Ok(1)) if word == [SETTLED] => return Ok(None),
            Ok(Ok(1)) => {
                let mut rest = Vec::new();
                let mut reason = (&mut self.socket).take(LONGEST);
                // Whatever of it came in time.
                _ = tokio::time::timeout(MOMENT, reason.read_to_end(&mut rest)).await;
                String::from_utf8_lossy(&[&word[..], &rest].concat()).into_owned()
            }
            Ok(_) => "the new program ended while it took over; the log may say why".to_owned(),
            Err(_) => format!("the new program did not take over within {} s", PATIENCE.as_secs()),
        };
        if tokio::time::timeout(MOMENT, self.supervisor.ended()).await.is_err() {
            self.supervisor.kill().await?;
        }
        Ok(Some(why))
    }
}
