//! `slipway up`: opens the sockets, starts the roles, restarts what ends.
//!
//! ```text
//! supervisor (root) ─┬─ engine  (root)            engine.sock
//!                    ├─ control (slipway)         control.sock, routes.sock, rendezvous.sock
//!                    └─ router  (slipway-router)  the public sockets; outlives us, the next supervisor adopts it
//! ```
//!
//! The supervisor owns every listening socket, so that a role's end closes none: what connects while a role is away
//! waits in the socket's queue. It reads the settings once and leaves them in `/run/slipway-ID/settings.json`; the URL of
//! the database, which may hold a password, lies beside them and is handed to control alone.

mod folders;
mod group;
mod guard;
mod handover;
mod keeper;
mod process;
mod programs;
mod record;
mod role;
mod router_process;
mod routing;
mod sockets;
mod stop;
mod tear_down;
mod upgrade;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use crashpoints::Point;
use rustix::fs::FlockOperation;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

pub(crate) use folders::{Folder, folders};
pub(crate) use guard::run as watch_over;
pub(crate) use handover::{Handover, take as handed};
pub(crate) use programs::copy as copy_programs;
pub(crate) use record::{DATABASE, of_install};
pub(crate) use role::FIRST_FD;
pub(crate) use stop::{down, sweep_dead};
pub(crate) use upgrade::{Request, SOCKET, Said};

use crate::layout::Layout;
use crate::printer;
use crate::settings::Settings;
use crate::users::{User, Users, own_folder};
use keeper::Keeper;
use role::{OURS, Role, ready};
use router_process::RouterProcess;
use routing::{Router, Routing};

/// The hook finds the program by its own place: no path is ever written into a script.
const PRE_RECEIVE: &str = "#!/bin/sh\nexec \"${0%/*}/../bin/slipway\" git-hook pre-receive\n";

/// What went wrong before the platform was up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Namespaces, mounts and cgroups need root.
    #[error("slipway up must be run as root: it makes namespaces, mounts, cgroups and system users")]
    NotRoot,
    /// Another supervisor holds the lock.
    #[error("this data folder is served by another `slipway up` already (lock {0})")]
    Running(PathBuf),
    /// No database is named, and the record is not in the default one.
    #[error(
        "the record of this install is in another database ({0}); name it by --database-url or SLIPWAY_DATABASE_URL, or \
         name sqlite:{1} to go on with what is there"
    )]
    Elsewhere(String, String),
    /// A step failed.
    #[error("could not {doing}")]
    Step {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// Gives an I/O error the sentence it belongs to.
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let doing = what.into();
    move |source| Error::Step { doing, source }
}

/// What a running supervisor holds.
struct Supervisor {
    layout: Layout,
    users: Users,
    settings: PathBuf,
    /// Both ends of the lifeline: the roles hold copies of the first, only we hold the second.
    lifeline: (OwnedFd, OwnedFd),
    /// The control group of the roles.
    group: Option<PathBuf>,
    /// What restarts the roles.
    keepers: Vec<Keeper>,
    /// What restarts the router.
    routing: Option<Routing>,
    /// Control's complaints about routers: its end of the pipe is among its sockets, ours is here.
    complaints: Option<OwnedFd>,
    /// The public sockets, by their addresses.
    listeners: Vec<(String, OwnedFd)>,
    lock: File,
}

/// Brings the platform up, and keeps it up until a signal says otherwise.
pub(crate) async fn up(settings: &Settings) -> Result<(), Error> {
    settings.watch_crash_points();
    let interrupts = Signals::new().map_err(doing("listen for signals"))?;
    let (supervisor, requests) = fresh(settings).await?;
    stay_up(&supervisor, settings, requests, interrupts).await
}

/// Goes on with what the program before us handed over, instead of coming up.
pub(crate) async fn go_on(handover: Handover) -> Result<(), Error> {
    let settings = handover.settings().map_err(doing("read the settings that were handed over"))?;
    crate::roles::log_to_stderr(&settings.log);
    settings.watch_crash_points();
    crashpoints::reach(Point::UpgradeBegun);
    let interrupts = Signals::new().map_err(doing("listen for signals"))?;
    let (supervisor, requests) = upgrade::go_on(handover, &settings).await?;
    stay_up(&supervisor, &settings, requests, interrupts).await
}

async fn stay_up(
    supervisor: &Supervisor,
    settings: &Settings,
    requests: OwnedFd,
    mut interrupts: Signals,
) -> Result<(), Error> {
    crate::roles::tell_systemd("READY=1");
    tokio::select! {
        () = interrupts.wait() => {}
        () = upgrade::serve(supervisor, settings, requests) => {}
    }
    printer::say("stopping control and engine; apps keep serving, `slipway down` stops them too");
    crate::roles::tell_systemd("STOPPING=1");
    Ok(())
}

/// Says on standard output that this program can take the place of one that runs with these settings.
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    let checked = crate::block_on(upgrade::checked(settings))?;
    printer::say(serde_json::to_string(&checked).map_err(io::Error::other).map_err(doing("say what was seen"))?);
    Ok(())
}

async fn fresh(settings: &Settings) -> Result<(Supervisor, OwnedFd), Error> {
    let mut supervisor = Supervisor::prepare(settings)?;
    let requests = upgrade::listen(&supervisor.layout).map_err(doing("open the supervisor's socket"))?;
    let listeners = supervisor.listeners(settings)?;
    let (replace_router, router_to_replace) = mpsc::channel(1);
    printer::say("starting the engine …");
    crashpoints::reach(Point::SupervisorPrepared);
    supervisor.start_engine().await?;
    printer::say("starting control …");
    crashpoints::reach(Point::SupervisorEngineUp);
    supervisor.start_control(replace_router).await?;
    printer::say("starting the router …");
    crashpoints::reach(Point::SupervisorControlUp);
    supervisor.start_router(listeners, router_to_replace, false).await?;
    crashpoints::reach(Point::SupervisorRouterUp);
    crate::env::announce(settings, &supervisor.layout);
    Ok((supervisor, requests))
}

impl Supervisor {
    /// Takes the lock, makes users and folders, and leaves the settings for the roles.
    fn prepare(settings: &Settings) -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        let layout = Layout::create(&settings.data)
            .map_err(doing(format!("make the data folder {}", settings.data.display())))?;
        own_folder(&layout.run(), 0o711, None).map_err(doing("make the folder of sockets"))?;
        let lock = take_lock(&layout)?;
        layout.take_slot().map_err(doing("take a range of addresses"))?;
        let users = Users::ensure().map_err(doing("make the system users"))?;
        make_folders(&layout, &users).map_err(doing("make the folders of the data folder"))?;
        let group = group::make(&layout.install).map_err(doing("make the control group of the roles"))?;
        let file = layout.in_run("settings.json");
        leave_settings(&file, settings).map_err(doing("leave the settings for the roles"))?;
        let database = record::database(settings, &layout)?;
        write_private(&layout.in_run(DATABASE), database.reveal().as_bytes())
            .map_err(doing("leave the database's URL for control"))?;
        let (read, write) = io::pipe().map_err(doing("make a pipe"))?;
        Ok(Self {
            layout,
            users,
            settings: file,
            lifeline: (read.into(), write.into()),
            group,
            keepers: vec![],
            routing: None,
            complaints: None,
            listeners: vec![],
            lock,
        })
    }

    fn listeners(&self, settings: &Settings) -> Result<Vec<(String, OwnedFd)>, Error> {
        let running = RouterProcess::find(&self.router_file()).map_err(doing("look for a running router"))?;
        settings
            .listen
            .iter()
            .map(|address| {
                let taken = running.as_ref().and_then(|(router, handle)| router.listener(handle, *address));
                let socket = taken.map_or_else(|| sockets::tcp(*address), Ok);
                Ok((address.to_string(), socket.map_err(doing(format!("listen on {address}")))?))
            })
            .collect()
    }

    async fn start_engine(&mut self) -> Result<(), Error> {
        let socket = sockets::unix(&self.layout.in_run("engine.sock"), self.users.control)
            .map_err(doing("open the engine's socket"))?;
        self.start("engine", None, vec![("engine".to_owned(), socket)], None).await
    }

    async fn start_control(&mut self, replace_router: mpsc::Sender<u32>) -> Result<(), Error> {
        let open = |name: &str| {
            sockets::unix(&self.layout.in_run(name), self.users.router).map_err(doing(format!("open {name}")))
        };
        let (complaints, complain) = io::pipe().map_err(doing("make a pipe"))?;
        let sockets = vec![
            ("control".to_owned(), open("control.sock")?),
            ("routes".to_owned(), open("routes.sock")?),
            ("rendezvous".to_owned(), open("rendezvous.sock")?),
            ("complain".to_owned(), complain.into()),
        ];
        self.follow_complaints(complaints.into(), replace_router)?;
        let database = Some((DATABASE, self.layout.in_run(DATABASE)));
        self.start("control", Some(self.users.control), sockets, database).await
    }

    /// Starts a role, waits until it is ready, and from then on restarts it whenever it ends.
    async fn start(
        &mut self,
        name: &'static str,
        user: Option<User>,
        sockets: Vec<(String, OwnedFd)>,
        secret: Option<(&'static str, PathBuf)>,
    ) -> Result<(), Error> {
        let lifeline = self.lifeline.0.try_clone().map_err(doing("share the lifeline"))?;
        let (group, program) = (self.group.clone(), PathBuf::from(OURS));
        let role = Role { name, user, sockets, lifeline: Some(lifeline), secret, group, program };
        let (process, mut pipe) = role.spawn(&self.settings).map_err(doing(format!("start {name}")))?;
        ready(name, &mut pipe).await.map_err(doing(format!("bring {name} up")))?;
        self.keepers.push(Keeper::start(role, Some(process), self.settings.clone()));
        Ok(())
    }

    /// Passes on what control complains of, and keeps our end for the program after us.
    fn follow_complaints(&mut self, pipe: OwnedFd, replace_router: mpsc::Sender<u32>) -> Result<(), Error> {
        let copy = pipe.try_clone().map_err(doing("share a pipe"))?;
        sockets::forward_pids(pipe, replace_router).map_err(doing("listen to control"))?;
        self.complaints = Some(copy);
        Ok(())
    }

    /// Restarts nothing any more, and lets the roles end with the lifeline. Answers the lock, to be kept meanwhile.
    fn retire(self) -> File {
        self.keepers.iter().for_each(Keeper::abort);
        self.lock
    }

    /// Adopts a router that runs this program on these sockets, or starts one; an older one is asked to retire. After an
    /// upgrade that was gone back from, any router that serves them is better than none.
    async fn start_router(
        &mut self,
        listeners: Vec<(String, OwnedFd)>,
        replace: mpsc::Receiver<u32>,
        is_back: bool,
    ) -> Result<(), Error> {
        let (user, group, program) = (Some(self.users.router), self.group.clone(), PathBuf::from(OURS));
        let role = Role { name: "router", user, sockets: listeners, lifeline: None, secret: None, group, program };
        self.listeners = role.share().map_err(doing("share the public sockets"))?;
        let router = Router { role, file: self.router_file(), settings: self.settings.clone() };
        let running = RouterProcess::find(&router.file).map_err(doing("look for a running router"))?;
        let handle = match running {
            Some((process, handle)) if process.is_current() && process.serves(&router.role) => {
                printer::say(format!("adopted the running router (process {})", process.pid));
                handle
            }
            older => match (router.spawn().await, older) {
                (Ok(handle), Some((_, older))) => {
                    router_process::retire(&older).map_err(doing("ask the older router to retire"))?;
                    tokio::spawn(async move {
                        let ended = process::collect(&older).await;
                        tracing::info!(?ended, "the older router ended");
                    });
                    handle
                }
                (Ok(handle), None) => handle,
                // Who came back from an upgrade has nobody else to go back to, and somebody serves.
                (Err(error), Some((process, handle))) if is_back && process.serves(&router.role) => {
                    tracing::error!(%error, router.pid = process.pid, "no router starts; the one that runs goes on");
                    handle
                }
                (Err(error), _) => return Err(doing("start the router")(error)),
            },
        };
        self.routing = Some(Routing::start(router, handle, replace));
        Ok(())
    }

    fn router_file(&self) -> PathBuf {
        self.layout.in_run("router.json")
    }
}

/// What the roles read; only root may, as a package source's URL may hold a password.
fn leave_settings(file: &std::path::Path, settings: &impl serde::Serialize) -> io::Result<()> {
    write_private(file, &serde_json::to_vec(settings)?)
}

fn write_private(path: &std::path::Path, text: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    io::Write::write_all(&mut file, text)
}

fn take_lock(layout: &Layout) -> Result<File, Error> {
    let path = layout.in_run("lock");
    let lock = File::create(&path).map_err(doing("make the lock"))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => write_pid(layout).map(|()| lock),
        Err(_) => Err(Error::Running(path)),
    }
}

fn write_pid(layout: &Layout) -> Result<(), Error> {
    let pid = std::process::id().to_string();
    fs::write(layout.in_run("supervisor.pid"), pid).map_err(doing("write the process id down"))
}

fn make_folders(layout: &Layout, users: &Users) -> io::Result<()> {
    for Folder { path, mode, owner } in folders(layout, users) {
        own_folder(&path, mode, owner)?;
    }
    programs::copy(&layout.at("bin"))?;
    let hook = layout.at("hooks").join("pre-receive");
    fs::write(&hook, PRE_RECEIVE)?;
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))
}

/// The signals that end the supervisor.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl RouterProcess {
    /// Whether it listens where this role is to listen, no more and no less.
    fn serves(&self, role: &Role) -> bool {
        let wanted: Vec<String> = role.sockets.iter().map(|(name, _)| name.clone()).collect();
        let listening: Vec<String> = self.listeners.iter().map(|(address, _)| address.to_string()).collect();
        wanted == listening
    }
}
