//! An upgrade without an end: the supervisor has its roles replaced by those of another program, and becomes that program.
//!
//! ```text
//! slipway upgrade ──▶ supervisor.sock ──▶ 1 check    the other program says that it understands settings, store and this
//!                                         2 prepare  its stack images, its copies in DATA/bin
//!                                         3 replace  engine, then control; either back again if one is not ready
//!                                         4 exec     same process, same sockets, same children
//!                                         5 router   a new one accepts on the same sockets, the older one retires
//! ```
//!
//! Until 4 the older program is in charge, and a failure of the other one is undone by it. After 4 the other one is; if it
//! cannot go on, it becomes the older one again, which takes its roles back. No connection that waits is refused at any
//! time, as every listening socket is held throughout.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::handover::{self, FORM, HandedRole, Handover};
use super::keeper::Keeper;
use super::process::Process;
use super::role::{OURS, Role};
use super::{Error, Supervisor, doing, leave_settings, programs, sockets};
use crate::layout::Layout;
use crate::printer;
use crate::settings::Settings;
use crate::users::{User, Users};

/// Where requests come, under `/run/slipway-ID`; root's alone.
pub(crate) const SOCKET: &str = "supervisor.sock";
/// How long the check of a program may take.
const CHECK: Duration = Duration::from_mins(1);
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

/// What a program says when it is checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Checked {
    /// Its version.
    pub(crate) version: String,
    /// The form of handover it understands.
    pub(crate) form: u32,
    /// The settings as it reads them.
    pub(crate) settings: Settings,
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

    /// Whether the program can take our place; the settings as it reads them. Nothing is changed yet.
    async fn prepare(&mut self, program: &Path) -> io::Result<Settings> {
        self.say(Said::Step(format!("checking {}", program.display()))).await;
        let checked = check(program).await?;
        if checked.form != FORM {
            return Err(io::Error::other("it cannot go on from this version; stop the service and start the new one"));
        }
        let moved = |what| Err(io::Error::other(format!("{what} was changed in the settings: restart for that")));
        if checked.settings.data != self.settings.data {
            return moved("data");
        }
        if checked.settings.listen != self.settings.listen {
            return moved("listen");
        }
        self.say(Said::Step(format!("it is version {}; looking after its stack images", checked.version))).await;
        let mut stack = tokio::process::Command::new(program);
        stack.args(["stack", "build"]).args(handover::words()).stdin(Stdio::null()).kill_on_drop(true);
        let built = tokio::time::timeout(STACK, stack.status()).await??;
        if !built.success() {
            return Err(io::Error::other("its stack images could not be built; the log says why"));
        }
        Ok(checked.settings)
    }

    async fn replace(&mut self, program: &Path, settings: &Settings) -> io::Error {
        let (run, bin) = (&self.supervisor.settings, self.supervisor.layout.at("bin"));
        let laid = leave_settings(run, settings).and_then(|()| programs::renew(program, &bin));
        let failed = match laid {
            Ok(()) => match self.replace_roles(program).await {
                Ok(()) => self.hand_over(program).await,
                Err(error) => error,
            },
            Err(error) => error,
        };
        self.say(Said::Step("it failed; going back".to_owned())).await;
        if let Err(error) = self.go_back().await {
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
        Ok(())
    }

    async fn go_back(&mut self) -> io::Result<()> {
        leave_settings(&self.supervisor.settings, self.settings)?;
        programs::renew_ours(&self.supervisor.layout.at("bin"))?;
        let supervisor = self.supervisor;
        for keeper in &supervisor.keepers {
            keeper.replace(PathBuf::from(OURS)).await?;
        }
        Ok(())
    }

    /// Becomes the program.
    async fn hand_over(&mut self, program: &Path) -> io::Error {
        self.say(Said::Step("handing over".to_owned())).await;
        let before = match File::open(OURS) {
            Ok(before) => OwnedFd::from(before),
            Err(error) => return error,
        };
        let error = match self.supervisor.hand(self.requests, Some(&self.client), Some(&before), None).await {
            Ok(handed) => handed.become_program(program),
            Err(error) => error,
        };
        for keeper in &self.supervisor.keepers {
            keeper.resume().await;
        }
        error
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

async fn check(program: &Path) -> io::Result<Checked> {
    let mut command = tokio::process::Command::new(program);
    command.arg("upgrade-check").args(handover::words()).stdin(Stdio::null()).kill_on_drop(true);
    let output =
        tokio::time::timeout(CHECK, command.output()).await.map_err(|_| io::Error::other("its check hangs"))?;
    let output = output.map_err(|error| io::Error::other(format!("it cannot be run: {error}")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("its check failed: {}", told.trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| io::Error::other(format!("its check is no check: {error}")))
}

/// A handover with the descriptors it is about.
struct Handed<'a> {
    handover: Handover,
    file: PathBuf,
    fds: Vec<std::os::fd::BorrowedFd<'a>>,
    roles: Vec<super::keeper::Handed>,
}

impl Handed<'_> {
    fn become_program(&self, program: &Path) -> io::Error {
        let roles = self.roles.iter().flat_map(|role| handover::borrowed(&role.sockets));
        let kept: Vec<_> = self.fds.iter().copied().chain(roles).collect();
        self.handover.become_program(program, &self.file, &kept)
    }
}

impl Supervisor {
    /// Everything the next program needs. From now on no role is started again, until its keeper resumes.
    async fn hand<'a>(
        &'a self,
        requests: &'a OwnedFd,
        client: Option<&'a UnixStream>,
        before: Option<&'a OwnedFd>,
        failed: Option<String>,
    ) -> io::Result<Handed<'a>> {
        let (mut roles, mut handed) = (vec![], vec![]);
        for keeper in &self.keepers {
            let one = keeper.hand().await?;
            let sockets = handover::numbers(&one.sockets);
            handed.push(HandedRole { name: keeper.name.to_owned(), pid: one.pid, sockets });
            roles.push(one);
        }
        let complaints = self.complaints.as_ref().ok_or_else(|| io::Error::other("control has no pipe"))?;
        let mut fds = vec![self.lock.as_fd(), self.lifeline.0.as_fd(), self.lifeline.1.as_fd(), complaints.as_fd()];
        fds.push(requests.as_fd());
        fds.extend(client.map(AsFd::as_fd));
        fds.extend(before.map(AsFd::as_fd));
        fds.extend(handover::borrowed(&self.listeners));
        let handover = Handover {
            form: FORM,
            process: std::process::id(),
            lock: self.lock.as_raw_fd(),
            lifeline: (self.lifeline.0.as_raw_fd(), self.lifeline.1.as_raw_fd()),
            complaints: complaints.as_raw_fd(),
            requests: requests.as_raw_fd(),
            client: client.map(AsRawFd::as_raw_fd),
            listeners: handover::numbers(&self.listeners),
            roles: handed,
            before: before.map(AsRawFd::as_raw_fd),
            failed,
        };
        Ok(Handed { handover, file: self.layout.in_run("handover.json"), fds, roles })
    }
}

/// Goes on with what the program before us handed over; if that is not possible, becomes that one again.
pub(super) async fn go_on(mut handover: Handover, settings: &Settings) -> Result<(Supervisor, OwnedFd), Error> {
    let client = handover.client.take().map(client).transpose().map_err(doing("take over"))?;
    let before = handover.before.take().map(handover::take).transpose().map_err(doing("take over"))?;
    let failed = handover.failed.take();
    let requests = handover::take(handover.requests).map_err(doing("take over"))?;
    let (mut supervisor, listeners) = adopt(&handover, settings)?;
    let router = start_router(&mut supervisor, listeners, failed.is_some()).await;
    let mut client = client;
    match (router, failed, before) {
        (Ok(()), None, _) => {
            let version = env!("CARGO_PKG_VERSION");
            printer::say(format!("upgraded: this is version {version} now"));
            if let Some(client) = &mut client {
                say(client, Said::Done(format!("version {version} runs"))).await;
            }
        }
        (_, Some(failed), _) => {
            printer::say(format!("the upgrade failed, this is the version before again: {failed}"));
            if let Some(client) = &mut client {
                say(client, Said::Failed(failed)).await;
            }
        }
        (Err(error), None, Some(before)) => {
            let why =
                format!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default());
            let handed = supervisor.hand(&requests, client.as_ref(), None, Some(why)).await;
            let handed = handed.map_err(doing("go back to the version before"))?;
            let again = PathBuf::from(format!("/proc/self/fd/{}", before.as_raw_fd()));
            return Err(doing("become the version before again")(handed.become_program(&again)));
        }
        (Err(error), None, None) => return Err(error),
    }
    Ok((supervisor, requests))
}

fn client(number: i32) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(handover::take(number)?);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Takes over sockets, lifeline and children.
fn adopt(handover: &Handover, settings: &Settings) -> Result<(Supervisor, Vec<(String, OwnedFd)>), Error> {
    let taken = |number| handover::take(number).map_err(doing("take over a descriptor"));
    let layout = Layout::create(&settings.data).map_err(doing("read the data folder"))?;
    let users = Users::ensure().map_err(doing("find the system users"))?;
    let mut supervisor = Supervisor {
        settings: layout.in_run("settings.json"),
        group: super::group::make(&layout.install).map_err(doing("find the control group of the roles"))?,
        lifeline: (taken(handover.lifeline.0)?, taken(handover.lifeline.1)?),
        lock: File::from(taken(handover.lock)?),
        keepers: vec![],
        complaints: None,
        listeners: vec![],
        layout,
        users,
    };
    supervisor.complaints = Some(taken(handover.complaints)?);
    for role in &handover.roles {
        let database = Some((super::DATABASE, supervisor.layout.in_run(super::DATABASE)));
        let (name, user, secret) = match role.name.as_str() {
            "engine" => ("engine", None, None),
            "control" => ("control", Some(users.control), database),
            _ => continue,
        };
        let lifeline = Some(supervisor.lifeline.0.try_clone().map_err(doing("share the lifeline"))?);
        let sockets = handover::take_named(&role.sockets).map_err(doing("take over a role's sockets"))?;
        let (group, program) = (supervisor.group.clone(), PathBuf::from(OURS));
        let process = Process::child(role.pid).map_err(doing("take over a role"))?;
        let role = Role { name, user, sockets, lifeline, secret, group, program };
        supervisor.keepers.push(Keeper::start(role, process, supervisor.settings.clone()));
    }
    let listeners = handover::take_named(&handover.listeners).map_err(doing("take over the public sockets"))?;
    Ok((supervisor, listeners))
}

/// Goes on with the router, and on the way back with roles of our own.
async fn start_router(
    supervisor: &mut Supervisor,
    listeners: Vec<(String, OwnedFd)>,
    is_back: bool,
) -> Result<(), Error> {
    let (replace_router, router_to_replace) = mpsc::channel(1);
    let complaints = supervisor.complaints.take().ok_or_else(|| io::Error::other("control has no pipe"));
    supervisor.follow_complaints(complaints.map_err(doing("take over"))?, replace_router)?;
    if is_back {
        programs::renew_ours(&supervisor.layout.at("bin")).map_err(doing("put our programs back"))?;
        for keeper in &supervisor.keepers {
            keeper.replace(PathBuf::from(OURS)).await.map_err(doing("take a role back"))?;
        }
    }
    supervisor.start_router(listeners, router_to_replace).await
}

/// Says, for the supervisor of another version, that this program can take its place.
pub(crate) async fn checked(settings: &Settings) -> Result<Checked, Error> {
    let program = std::env::current_exe().map_err(doing("find our own program"))?;
    for name in ["slipway-shim", "slipway-init", "slipway-buildpacks", "slipway-static"] {
        let beside = program.with_file_name(name);
        fs::metadata(&beside).map_err(doing(format!("find {} beside the program", beside.display())))?;
    }
    let known = Layout::open(&settings.data).map_err(doing("read the data folder"))?;
    let layout = known.ok_or_else(|| io::ErrorKind::NotFound.into()).map_err(doing("read the data folder"))?;
    let database = super::of_install(None, &layout).map_err(doing("find the record"))?;
    // A server may know its users by who they are here.
    Users::find_control().and_then(User::become_it).map_err(doing("act as the owner of the record"))?;
    let fits = store::Store::fits(&database).await.map_err(io::Error::other);
    fits.map_err(doing("go on with the store"))?;
    Ok(Checked { version: env!("CARGO_PKG_VERSION").to_owned(), form: FORM, settings: settings.clone() })
}
