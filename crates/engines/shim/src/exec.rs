//! One more program in a running instance.
//!
//! ```text
//! shim ── helper: in the instance's cgroups, waits ── in all of its namespaces: gives up its rights, becomes init ── program
//! ```
//!
//! The helper is there because a process that enters a namespace of processes stays outside; only its children are in
//! it. It holds no descriptor, and hands the program's status on as its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use inside_contract::{EXEC, LAUNCH_FD};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions};
use shim::{Job, Size, packets};
use sys::processes::{Fork, Namespaces, Program};

use crate::session::{Helper, Session};
use crate::start::{INIT, cgroup, master, pair, place, read_all};
use crate::streams::{self, Inner};
use crate::{Doing, Error, confine};

/// Process 1 of the instance.
pub(crate) struct Target<'a> {
    pub(crate) pid: Pid,
    pub(crate) pidfd: &'a OwnedFd,
}

/// What the new program is made of.
struct Order {
    inner: Inner,
    launch: OwnedFd,
    filter: Vec<u8>,
    user_namespace: OwnedFd,
}

/// Starts the program; its session has the client `socket` already.
pub(crate) fn start(job: &Job, target: &Target<'_>, size: Option<Size>, fds: Vec<OwnedFd>) -> Result<Session, Error> {
    let mut fds = fds.into_iter();
    let (Some(filter), Some(launch), Some(socket)) = (fds.next(), fds.next(), fds.next()) else {
        return Err(Error::Inside("the order came without its descriptors".to_owned()));
    };
    let started = begin(job, target, size, &filter, launch);
    match started {
        Ok(mut session) => {
            session.attach(socket);
            Ok(session)
        }
        Err(error) => {
            // The client may have left; then nobody wants to know.
            drop(writeln!(std::fs::File::from(socket), "slipway: could not start the program: {error}"));
            Err(error)
        }
    }
}

fn begin(
    job: &Job,
    target: &Target<'_>,
    size: Option<Size>,
    filter: &OwnedFd,
    launch: OwnedFd,
) -> Result<Session, Error> {
    let (inner, outer) = streams::attached(size)?;
    let path = format!("/proc/{}/ns/user", target.pid.as_raw_pid());
    let user_namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let user_namespace = user_namespace.doing("open the user namespace")?;
    let order = Order { inner, launch, filter: read_all(filter)?, user_namespace };
    let (ours, theirs) = pair()?;
    let folder = cgroup(job)?;
    match sys::processes::fork(Namespaces::Same, folder.as_ref().map(AsFd::as_fd)).doing("fork")? {
        Fork::Child => {
            drop((ours, outer));
            let error = help(job, target, order, &theirs).err();
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            drop(packets::send(theirs.as_fd(), &text, &[]));
            sys::processes::end(1)
        }
        Fork::Parent { pid, pidfd } => {
            drop((theirs, order));
            let helper = Helper { pid, pidfd };
            let master = if outer.is_terminal() { Some(master(ours.as_fd())) } else { None };
            let session = master.transpose().and_then(|master| outer.session(master));
            match session {
                Ok(Some(session)) => Ok(session.of(helper)),
                Ok(None) => Err(abandon(&helper, Error::Inside("it has no streams".to_owned()))),
                Err(error) => Err(abandon(&helper, error)),
            }
        }
    }
}

fn abandon(helper: &Helper, error: Error) -> Error {
    rustix::process::pidfd_send_signal(&helper.pidfd, Signal::KILL).unwrap_or(());
    rustix::process::waitpid(Some(helper.pid), WaitOptions::empty()).ok();
    error
}

/// The helper's side; returns only if it failed.
fn help(job: &Job, target: &Target<'_>, order: Order, parent: &OwnedFd) -> Result<Infallible, Error> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).doing("tie the helper to its shim")?;
    place(job)?;
    match sys::processes::fork_inside(target.pidfd.as_fd()).doing("enter the instance")? {
        Fork::Child => become_program(job, order, parent),
        Fork::Parent { pid, .. } => {
            // Nothing of the shim's may stay open here, least of all the ends of streams.
            drop(sys::descriptors::close_from(0));
            let status = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            let status = status.ok().flatten().and_then(|(_, status)| status.exit_status());
            sys::processes::end(status.unwrap_or(1))
        }
    }
}

/// The program's side, now inside, with the host's rights until it gives them up.
fn become_program(job: &Job, order: Order, parent: &OwnedFd) -> Result<Infallible, Error> {
    let tell = |master: OwnedFd| packets::send(parent.as_fd(), &"", &[master.as_fd()]).doing("hand on the terminal");
    let mut fds = order.inner.descriptors(job.first_id, tell)?;
    fds.push((order.launch, LAUNCH_FD));
    confine::give_up_rights(&order.user_namespace, &order.filter)?;
    let (init, exec) = (OsStr::new(INIT), OsStr::new(EXEC));
    let env = BTreeMap::new();
    sys::processes::exec(Program { path: init, arguments: vec![init, exec], env: &env, fds }).doing("run init")
}
