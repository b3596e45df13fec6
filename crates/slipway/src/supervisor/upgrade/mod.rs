//! An upgrade without an end: the supervisor has its roles replaced by those of another program, and becomes that program.
//!
//! ```text
//! slipway upgrade ──▶ supervisor.sock ──▶ 1 check    the other program says that it understands settings, store and this
//!                                         2 prepare  its stack images, its copies in DATA/bin
//!                                         3 replace  engine, then control; either back again if one is not ready
//!                                         4 guard    the older program once more, in a process that only watches
//!                                         5 exec     same process, same sockets, same children
//!                                         6 router   a new one accepts on the same sockets, the older one retires
//! ```
//!
//! Until 5 the older program is in charge, and a failure of the other one is undone by it. After 5 its guard is: if the
//! other program ends, hangs or gives up before it says that it has settled, the guard becomes the supervisor and takes
//! the roles back. No connection that waits is refused at any time, as every listening socket is held throughout.

mod check;
mod hand;
mod take_over;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crashpoints::Point;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{Supervisor, handover, leave_settings, programs, sockets};
use crate::layout::Layout;
use crate::settings::Settings;
use crate::users::User;

pub(super) use check::checked;
pub(super) use take_over::go_on;

/// Where requests come, under `/run/slipway-ID`; root's alone.
pub(crate) const SOCKET: &str = "supervisor.sock";
/// How long its stack images may take.
const STACK: Duration = Duration::from_mins(30);
/// The longest request, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What is asked for, as a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The program to become; absolute.
    pub(crate) program: PathBuf,
}

/// What is answered, a line of JSON each; the last is no step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// What is being done.
    Step(String),
    /// It is done.
    Done(String),
    /// It is not, and all is as it was.
    Failed(String),
}

/// Opens the socket of requests.
pub(super) fn listen(layout: &Layout) -> io::Result<OwnedFd> {
    sockets::unix(&layout.in_run(SOCKET), User { uid: 0, gid: 0 })
}

/// Serves requests; comes back only when that is not possible any more, which ends nothing else.
pub(super) async fn serve(supervisor: &Supervisor, settings: &Settings, requests: OwnedFd) {
    let listener = requests.try_clone().and_then(|socket| {
        let socket = std::os::unix::net::UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        UnixListener::from_std(socket)
    });
    match listener {
        Ok(listener) => loop {
            match listener.accept().await {
                Ok((client, _)) => Upgrade { supervisor, settings, requests: &requests, client }.serve().await,
                Err(error) => {
                    tracing::error!(%error, "cannot take a request for an upgrade");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        },
        Err(error) => tracing::error!(%error, "cannot listen for requests for an upgrade"),
    }
    std::future::pending::<()>().await;
}

struct Upgrade<'a> {
    supervisor: &'a Supervisor,
    settings: &'a Settings,
    requests: &'a OwnedFd,
    client: UnixStream,
}

impl Upgrade<'_> {
    async fn serve(mut self) {
        let failed = match self.read().await {
            Ok(request) => self.run(&request.program).await,
            Err(error) => error,
        };
        tracing::error!(error = %failed, "an upgrade failed; everything is as it was");
        self.say(Said::Failed(failed.to_string())).await;
    }

    async fn read(&mut self) -> io::Result<Request> {
        let mut line = String::new();
        let mut reading = BufReader::new((&mut self.client).take(LONGEST));
        tokio::time::timeout(Duration::from_secs(10), reading.read_line(&mut line)).await??;
        Ok(serde_json::from_str(&line)?)
    }

    async fn say(&mut self, said: Said) {
        say(&mut self.client, said).await;
    }

    /// Comes back only if it fails.
    async fn run(&mut self, program: &Path) -> io::Error {
        match self.prepare(program).await {
            Ok(settings) => self.replace(program, &settings).await,
            Err(error) => error,
        }
    }

    /// Whether the program can take our place; the settings as it writes them. Nothing is changed yet.
    async fn prepare(&mut self, program: &Path) -> io::Result<Value> {
        self.say(Said::Step(format!("checking {}", program.display()))).await;
        let checked = check::ask(program).await?;
        check::fits(&checked, self.settings)?;
        self.say(Said::Step(format!("it is version {}; looking after its stack images", checked.version))).await;
        let mut stack = tokio::process::Command::new(program);
        stack.args(["stack", "build"]).args(handover::words()).stdin(Stdio::null()).kill_on_drop(true);
        let built = tokio::time::timeout(STACK, stack.status()).await;
        let built = built.map_err(|_| io::Error::other("its stack images were not built in time"))??;
        if !built.success() {
            return Err(io::Error::other("its stack images could not be built; the log says why"));
        }
        Ok(checked.settings)
    }

    async fn replace(&mut self, program: &Path, settings: &Value) -> io::Error {
        let (run, bin) = (&self.supervisor.settings, self.supervisor.layout.at("bin"));
        let laid = programs::forget_kept(&bin).and_then(|()| leave_settings(run, settings));
        let laid = laid.and_then(|()| programs::renew(program, &bin));
        let failed = match laid {
            Ok(()) => match self.replace_roles(program).await {
                Ok(()) => self.hand_over(program, settings).await,
                Err(error) => error,
            },
            Err(error) => error,
        };
        self.say(Said::Step("it failed; going back".to_owned())).await;
        let laid = leave_settings(run, self.settings);
        if let Err(error) = laid.and(self.supervisor.take_roles_back().await) {
            return io::Error::other(format!("{failed}; and the way back failed: {error}"));
        }
        failed
    }

    async fn replace_roles(&mut self, program: &Path) -> io::Result<()> {
        let supervisor = self.supervisor;
        for keeper in &supervisor.keepers {
            self.say(Said::Step(format!("replacing {}", keeper.name))).await;
            // A user without rights may not come to where the program lies, but to its copy; the engine needs what lies
            // beside it.
            let program =
                if keeper.name == "engine" { program.to_owned() } else { supervisor.layout.at("bin/slipway") };
            let replaced = keeper.replace(program).await;
            replaced.map_err(|error| io::Error::other(format!("its {} does not start: {error}", keeper.name)))?;
        }
        crashpoints::reach(Point::UpgradeReplaced);
        Ok(())
    }

    /// Becomes the program.
    async fn hand_over(&mut self, program: &Path, settings: &Value) -> io::Error {
        self.say(Said::Step("handing over".to_owned())).await;
        let error = match hand::Handed::of(self.supervisor, self.requests, &self.client).await {
            Ok(handed) => handed.become_program(program, settings, self.settings).await,
            Err(error) => error,
        };
        self.supervisor.resume().await;
        error
    }
}

impl Supervisor {
    /// Has every role run our own program again. All are tried; the error is the first.
    async fn take_roles_back(&self) -> io::Result<()> {
        let mut outcome = programs::renew_ours(&self.layout.at("bin"));
        for keeper in &self.keepers {
            outcome = outcome.and(keeper.take_back().await);
        }
        outcome
    }
}

async fn say(client: &mut UnixStream, said: Said) {
    if let Said::Step(text) | Said::Done(text) = &said {
        tracing::info!(step = text, "upgrade");
    }
    let mut line = serde_json::to_string(&said).unwrap_or_default();
    line.push('\n');
    // Whoever asked may be gone; the upgrade goes on.
    _ = tokio::time::timeout(Duration::from_secs(1), client.write_all(line.as_bytes())).await;
}
