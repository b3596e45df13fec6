//! `slipway down`: stops everything of an install, apps included.
//!
//! Apps are asked to end and have their time for it. What cannot be ended so, as its data folder is gone or the engine
//! does not start, is killed. A `down` that was cut off is finished by the next one.

use std::fs::{self, File};
use std::io;
use std::time::Duration;

use engine::{Engine, InstanceState};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::router_process::{self, RouterProcess};
use super::{Error, Supervisor, doing, take_lock, tear_down};
use crate::layout::Layout;
use crate::printer;
use crate::settings::Settings;

/// How long apps have to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// Stops the supervisor if one runs, then every instance, then the router.
pub(crate) async fn down(settings: &Settings) -> Result<(), Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let known = Layout::open(&settings.data).map_err(doing("read the data folder"))?;
    let is_whole = known.is_some();
    let Some(layout) = known.or_else(|| left_behind(settings)) else {
        printer::say(format!("nothing runs from {}: it was never up", settings.data.display()));
        return Ok(());
    };
    stop_supervisor(&layout).await.map_err(doing("stop the running supervisor"))?;
    stop_router(&layout).await.map_err(doing("stop the router"))?;
    let _lock = if is_whole {
        stop_instances(settings, &layout).await?
    } else {
        printer::say(format!("{} is gone; ending what still runs from it", settings.data.display()));
        take_lock(&layout)?
    };
    tear_down::engine_ended(&layout).await;
    tear_down::tear_down(&layout).await.map_err(doing("take away what is left in the kernel"))?;
    printer::say("everything is stopped");
    Ok(())
}

/// An install whose data folder was deleted while something of it was there: found by the settings it left for its
/// roles.
fn left_behind(settings: &Settings) -> Option<Layout> {
    let folders = fs::read_dir("/run").into_iter().flatten().flatten();
    folders.into_iter().find_map(|folder| {
        let install = folder.file_name().to_str()?.strip_prefix("slipway-")?.to_owned();
        let left: Settings = serde_json::from_slice(&fs::read(folder.path().join("settings.json")).ok()?).ok()?;
        (left.data == settings.data).then(|| Layout { data: settings.data.clone(), install })
    })
}

/// Takes away what is left of an install of which no process runs any more, and answers what that was. While anything
/// of it runs, or somebody starts or stops it, nothing is touched.
pub(crate) async fn sweep_dead(layout: &Layout) -> io::Result<Vec<String>> {
    let lock = match File::open(layout.in_run("lock")) {
        Ok(lock) if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() => return Ok(vec![]),
        Ok(lock) => Some(lock),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let left = tear_down::left(layout)?;
    if !left.is_empty() {
        tear_down::tear_down(layout).await?;
    }
    drop(lock);
    Ok(left)
}

async fn stop_supervisor(layout: &Layout) -> io::Result<()> {
    // Nobody holds the lock: whoever wrote the process id is gone, and it may be another's by now.
    match File::open(layout.in_run("lock")) {
        Ok(lock) if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() => {}
        _ => return Ok(()),
    }
    let Ok(text) = fs::read_to_string(layout.in_run("supervisor.pid")) else { return Ok(()) };
    let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) else { return Ok(()) };
    // Only a process that runs our program: the id may be another's by now.
    let program = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()));
    // An upgrade put another file in the place of the one that runs, of which the kernel then says so.
    let known = ["slipway", "slipway (deleted)"];
    let ours =
        program.is_ok_and(|program| program.file_name().is_some_and(|name| known.iter().any(|one| name == *one)));
    let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) else { return Ok(()) };
    if !ours {
        return Ok(());
    }
    rustix::process::pidfd_send_signal(&handle, Signal::TERM)?;
    router_process::ended(handle).await
}

async fn stop_router(layout: &Layout) -> io::Result<()> {
    let Some((_, handle)) = RouterProcess::find(&layout.in_run("router.json"))? else { return Ok(()) };
    router_process::terminate(&handle)?;
    router_process::ended(handle).await
}

/// Starts an engine of our own for as long as it takes to stop what runs. Answers the lock on the data folder. What
/// stands in the way of a gentle end is told, and left to the tear-down.
async fn stop_instances(settings: &Settings, layout: &Layout) -> Result<File, Error> {
    let mut supervisor = match Supervisor::prepare(settings) {
        Ok(supervisor) => supervisor,
        Err(error @ Error::Running(_)) => return Err(error),
        Err(error) => {
            told(&error);
            return take_lock(layout);
        }
    };
    if let Err(error) = ask_to_end(&mut supervisor).await {
        told(&error);
    }
    Ok(supervisor.retire())
}

fn told(error: &Error) {
    printer::fail(error);
    printer::warn("the apps cannot be asked to end; killing them");
}

async fn ask_to_end(supervisor: &mut Supervisor) -> Result<(), Error> {
    supervisor.start_engine().await?;
    let epoch = vocabulary::Timestamp::now().micros();
    let (engine, connection) = Engine::new(supervisor.layout.in_run("engine.sock"), epoch);
    tokio::spawn(connection);
    let failed = |error: engine::Error| doing("stop the instances")(io::Error::other(error));
    let mut instances = engine.list().await.map_err(failed)?;
    if !instances.is_empty() {
        printer::say(format!("stopping {} dynos and builds …", instances.len()));
    }
    for instance in &instances {
        engine.stop(instance.spec.id, GRACE).await.map_err(failed)?;
    }
    while instances.iter().any(|instance| matches!(instance.state, InstanceState::Running { .. })) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        instances = engine.list().await.map_err(failed)?;
    }
    for instance in &instances {
        engine.remove(instance.spec.id).await.map_err(failed)?;
    }
    Ok(())
}
