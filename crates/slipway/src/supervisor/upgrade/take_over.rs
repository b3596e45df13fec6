//! The first steps of the newer program, or of its guard on the way back: it takes over what was handed on.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crashpoints::Point;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::{Said, say};
use crate::layout::Layout;
use crate::printer;
use crate::settings::Settings;
use crate::supervisor::guard::Guard;
use crate::supervisor::handover::{self, HandedRole, Handover};
use crate::supervisor::keeper::Keeper;
use crate::supervisor::process::Process;
use crate::supervisor::role::{OURS, Role};
use crate::supervisor::{DATABASE, Error, Supervisor, doing, group, leave_settings, write_pid};
use crate::users::Users;

/// Goes on with what the program before us handed over. If that is not possible, its guard is told, and the caller has
/// to end.
pub(in crate::supervisor) async fn go_on(
    mut handover: Handover,
    settings: &Settings,
) -> Result<(Supervisor, OwnedFd), Error> {
    let failed = handover.failed.take();
    let guard = handover.partner.take().map(Guard::take).transpose().map_err(doing("find the guard"))?;
    let mut client = handover.client.take().map(client).transpose().map_err(doing("take over"))?;
    let (supervisor, requests) = match take_over(&handover, settings, failed.is_some()).await {
        Ok(taken) => taken,
        Err(error) => {
            if let Some(guard) = guard {
                guard.go_back(&told(&error)).await;
            }
            return Err(error);
        }
    };
    crashpoints::reach(Point::UpgradeRerouted);
    if let Some(guard) = guard
        && let Err(error) = guard.dismiss().await
    {
        // It may have been killed: all is well without it.
        tracing::error!(%error, "could not dismiss the guard");
    }
    let version = env!("CARGO_PKG_VERSION");
    let said = match failed {
        None => {
            printer::say(format!("upgraded: this is version {version} now"));
            Said::Done(format!("version {version} runs"))
        }
        Some(failed) => {
            printer::say(format!("the upgrade failed, this is the version before again: {failed}"));
            Said::Failed(failed)
        }
    };
    if let Some(client) = &mut client {
        say(client, said).await;
    }
    Ok((supervisor, requests))
}

/// An error with its causes, in a line.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn client(number: i32) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(handover::take_fd(number)?);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Takes everything, with roles of our own if we are back; starts a router of our own.
async fn take_over(handover: &Handover, settings: &Settings, is_back: bool) -> Result<(Supervisor, OwnedFd), Error> {
    let requests = handover::take_fd(handover.requests).map_err(doing("take over the requests"))?;
    let mut supervisor = adopt(handover, settings)?;
    write_pid(&supervisor.layout)?;
    crashpoints::reach(Point::UpgradeAdopted);
    let listeners = handover::take_named(&handover.listeners).map_err(doing("take over the public sockets"))?;
    let (replace_router, router_to_replace) = mpsc::channel(1);
    let complaints = handover::take_fd(handover.complaints).map_err(doing("take over control's pipe"))?;
    supervisor.follow_complaints(complaints, replace_router)?;
    if is_back {
        leave_settings(&supervisor.settings, settings).map_err(doing("put our settings back"))?;
        // A role that does not start at once is tried again; without a supervisor nothing would be.
        if let Err(error) = supervisor.take_roles_back().await {
            tracing::error!(%error, "a role did not come back at once");
        }
    }
    supervisor.start_router(listeners, router_to_replace, is_back).await?;
    Ok((supervisor, requests))
}

/// Takes over lock, lifeline and roles.
fn adopt(handover: &Handover, settings: &Settings) -> Result<Supervisor, Error> {
    let taken = |number| handover::take_fd(number).map_err(doing("take over a descriptor"));
    let layout = Layout::create(&settings.data).map_err(doing("read the data folder"))?;
    let users = Users::ensure().map_err(doing("find the system users"))?;
    let mut supervisor = Supervisor {
        settings: layout.in_run("settings.json"),
        group: group::make(&layout.install).map_err(doing("find the control group of the roles"))?,
        lifeline: (taken(handover.lifeline.0)?, taken(handover.lifeline.1)?),
        lock: File::from(taken(handover.lock)?),
        keepers: vec![],
        routing: None,
        complaints: None,
        listeners: vec![],
        layout,
        users,
    };
    for role in &handover.roles {
        supervisor.adopt_role(role)?;
    }
    Ok(supervisor)
}

impl Supervisor {
    fn adopt_role(&mut self, handed: &HandedRole) -> Result<(), Error> {
        let database = Some((DATABASE, self.layout.in_run(DATABASE)));
        let (name, user, secret) = match handed.name.as_str() {
            "engine" => ("engine", None, None),
            "control" => ("control", Some(self.users.control), database),
            _ => return Err(doing("take over a role")(io::Error::other(format!("no role {}", handed.name)))),
        };
        let lifeline = Some(self.lifeline.0.try_clone().map_err(doing("share the lifeline"))?);
        let sockets = handover::take_named(&handed.sockets).map_err(doing("take over a role's sockets"))?;
        let process = handed.process.map(|(pid, handle)| Ok(Process::handed(pid, handover::take_fd(handle)?)));
        let process = process.transpose().map_err(doing("take over a role"))?;
        let (group, program) = (self.group.clone(), PathBuf::from(OURS));
        let role = Role { name, user, sockets, lifeline, secret, group, program };
        self.keepers.push(Keeper::start(role, process, self.settings.clone()));
        Ok(())
    }
}
