//! From a job to a running instance.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use inside_contract::LAUNCH_FD;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Pid;
use shim::{FromShim, Job, Placement, Process, ToShim, packets};
use sys::processes::{Fork, Namespaces};

use crate::memory::Memory;
use crate::output::Output;
use crate::session::Session;
use crate::streams::{self, Inner};
use crate::{Doing, Error, confine, ids, root};

/// Process 1, as the host sees it.
pub(crate) const INIT: &str = "/.slipway/init";

/// A running instance.
pub(crate) struct Instance {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) process: Process,
    pub(crate) output: Output,
    /// Its streams, if somebody attaches to them.
    pub(crate) session: Option<Session>,
    pub(crate) memory: Memory,
}

/// The descriptors that came with the job.
struct Given {
    filter: OwnedFd,
    disk: OwnedFd,
    launch: OwnedFd,
    others: Vec<(OwnedFd, i32)>,
}

/// Starts the instance; returns when its process 1 has become our init.
pub(crate) fn start(job: &Job, fds: Vec<OwnedFd>, engine: &OwnedFd) -> Result<Instance, Error> {
    let given = sort(job, fds)?;
    let user_namespace = ids::namespace(job.first_id)?;
    let mut output = Output::new(job)?;
    let (inner, outer) = streams::new(job.streams, &mut output)?;
    let (ours, theirs) = pair()?;
    let folder = cgroup(job)?;
    let fork = sys::processes::fork(Namespaces::Instance, folder.as_ref().map(AsFd::as_fd));
    match fork.doing("make the namespaces")? {
        Fork::Child => {
            drop((ours, outer));
            let error = become_instance(job, given, inner, &user_namespace, &theirs).err();
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            drop(packets::send(theirs.as_fd(), &text, &[]));
            sys::processes::end(1)
        }
        Fork::Parent { pid, pidfd } => {
            drop((theirs, inner, given, user_namespace));
            let memory = Memory::watch(job.memory_events.clone());
            let brought_up = bring_up(pid, &ours, engine, outer.is_terminal())
                .and_then(|(process, master)| Ok((process, outer.session(master)?)));
            match brought_up {
                Ok((process, session)) => Ok(Instance { pid, pidfd, process, output, session, memory }),
                Err(error) => {
                    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).unwrap_or(());
                    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).ok();
                    Err(error)
                }
            }
        }
    }
}

/// Two ends over which a child tells its master end and its troubles.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .doing("make the pair of sockets")
}

/// The folder a process is made in, on v2.
pub(crate) fn cgroup(job: &Job) -> Result<Option<OwnedFd>, Error> {
    match &job.placement {
        Placement::Into(folder) => {
            let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            folder.doing("open the cgroup").map(Some)
        }
        Placement::Write(_) => Ok(None),
    }
}

/// Puts this process, of one thread, into the instance's cgroups, on v1.
///
/// By `tasks` and the number 0, which stands for the writer: any other way the kernel first waits, for every controller, until
/// no process on the machine forks or ends (kernel/cgroup/cgroup.c, `cgroup_procs_write_start`; 10 ms where nobody did so
/// just before).
pub(crate) fn place(job: &Job) -> Result<(), Error> {
    let Placement::Write(files) = &job.placement else { return Ok(()) };
    for file in files {
        std::fs::write(file, "0").doing(format!("enter {}", file.display()))?;
    }
    Ok(())
}

/// What a child says first: the master end of its terminal, if it has one.
pub(crate) fn master(child: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    match packets::receive::<String>(child).doing("wait for the terminal")? {
        Some((trouble, _)) if !trouble.is_empty() => Err(Error::Inside(trouble)),
        Some((_, fds)) => {
            fds.into_iter().next().ok_or_else(|| Error::Inside("the terminal did not come along".to_owned()))
        }
        None => Err(Error::Inside("the program's process ended at once".to_owned())),
    }
}

fn sort(job: &Job, fds: Vec<OwnedFd>) -> Result<Given, Error> {
    let mut fds = fds.into_iter();
    let (Some(filter), Some(disk), Some(launch)) = (fds.next(), fds.next(), fds.next()) else {
        return Err(Error::Inside("the job came without its descriptors".to_owned()));
    };
    Ok(Given { filter, disk, launch, others: fds.zip(job.fds.iter().copied()).collect() })
}

/// The parent's side: the network while the child puts its root together, then the word to go.
fn bring_up(pid: Pid, child: &OwnedFd, engine: &OwnedFd, terminal: bool) -> Result<(Process, Option<OwnedFd>), Error> {
    let path = format!("/proc/{}/ns/net", pid.as_raw_pid());
    let network = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).doing("open its network")?;
    send(engine, &FromShim::Namespaces, &[network.as_fd()])?;
    drop(network);
    let Some((ToShim::Go, _)) = packets::receive(engine.as_fd()).doing("wait for the network")? else {
        return Err(Error::EngineAway);
    };
    packets::send(child.as_fd(), &"go", &[]).doing("start the program")?;
    let master = if terminal { Some(master(child.as_fd())?) } else { None };
    // The child's end closes when it becomes our init; until then it can only tell why it did not.
    if let Some((trouble, _)) = packets::receive::<String>(child.as_fd()).doing("wait for the program")? {
        return Err(Error::Inside(trouble));
    }
    let process = Process::with_id(pid.as_raw_pid());
    Ok((process.ok_or_else(|| Error::Inside("process 1 ended at once".to_owned()))?, master))
}

fn send(engine: &OwnedFd, message: &FromShim, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    packets::send(engine.as_fd(), message, fds).doing("answer the engine")
}

/// The child's side.
fn become_instance(
    job: &Job,
    given: Given,
    inner: Inner,
    user_namespace: &OwnedFd,
    parent: &OwnedFd,
) -> Result<(), Error> {
    // First, so that everything it makes counts as its own.
    place(job)?;
    let filter = read_all(&given.filter)?;
    root::enter(job, user_namespace, given.disk)?;
    packets::receive::<String>(parent.as_fd()).doing("wait for the word to start")?;
    sys::processes::leave_cgroup_namespace().doing("part from the host's cgroups")?;
    let tell = |master: OwnedFd| packets::send(parent.as_fd(), &"", &[master.as_fd()]).doing("hand on the terminal");
    let mut fds = inner.descriptors(job.first_id, tell)?;
    fds.retain(|(_, number)| !job.fds.contains(number));
    fds.push((given.launch, LAUNCH_FD));
    fds.extend(given.others);
    confine::give_up_rights(user_namespace, &filter)?;
    let init = OsStr::new(INIT);
    let env = BTreeMap::new();
    sys::processes::exec(sys::processes::Program { path: init, arguments: vec![init], env: &env, fds })
        .doing("run process 1")?;
    Ok(())
}

pub(crate) fn read_all(fd: &OwnedFd) -> Result<Vec<u8>, Error> {
    // Every shim shares this memory and with it its position: read from fixed offsets.
    let mut bytes = vec![0; 64 * 1024];
    let mut filled = 0;
    while let Some(space) = bytes.get_mut(filled..).filter(|space| !space.is_empty()) {
        match rustix::io::pread(fd, space, filled as u64).doing("read the filter of kernel calls")? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
