//! From a job to a running instance.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use inside_contract::LAUNCH_FD;
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use shim::{FromShim, Job, Placement, Process, ToShim, packets};
use sys::processes::{Fork, Namespaces};

use crate::memory::Memory;
use crate::output::{Ends, Output};
use crate::{Doing, Error, confine, ids, root};

/// Process 1, as the host sees it.
const INIT: &str = "/.slipway/init";

/// A running instance.
pub(crate) struct Instance {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) process: Process,
    pub(crate) output: Output,
    pub(crate) memory: Memory,
}

/// The descriptors that came with the job.
struct Given {
    filter: OwnedFd,
    launch: OwnedFd,
    others: Vec<(OwnedFd, i32)>,
}

/// Starts the instance; returns when its process 1 has become our init.
pub(crate) fn start(job: &Job, fds: Vec<OwnedFd>, engine: &OwnedFd) -> Result<Instance, Error> {
    let given = sort(job, fds)?;
    let user_namespace = ids::namespace(job.first_id)?;
    let (output, ends) = Output::new(job)?;
    let (ours, theirs) = UnixStream::pair().doing("make the pair of sockets")?;
    let folder = match &job.placement {
        Placement::Into(folder) => {
            Some(rustix::fs::open(folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing("open the cgroup")?)
        }
        Placement::Write(_) => None,
    };
    let fork = sys::processes::fork(Namespaces::Instance, folder.as_ref().map(AsFd::as_fd));
    match fork.doing("make the namespaces")? {
        Fork::Child => {
            drop(ours);
            let error = become_instance(job, given, ends, &user_namespace, &theirs).err();
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            drop(std::io::Write::write_all(&mut &theirs, text.as_bytes()));
            sys::processes::end(1)
        }
        Fork::Parent { pid, pidfd } => {
            drop((theirs, ends, given, user_namespace));
            let memory = Memory::watch(job.memory_events.clone());
            match bring_up(job, pid, &ours, engine) {
                Ok(process) => Ok(Instance { pid, pidfd, process, output, memory }),
                Err(error) => {
                    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).unwrap_or(());
                    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).ok();
                    Err(error)
                }
            }
        }
    }
}

fn sort(job: &Job, fds: Vec<OwnedFd>) -> Result<Given, Error> {
    let mut fds = fds.into_iter();
    let (Some(filter), Some(launch)) = (fds.next(), fds.next()) else {
        return Err(Error::Inside("the job came without its descriptors".to_owned()));
    };
    Ok(Given { filter, launch, others: fds.zip(job.fds.iter().copied()).collect() })
}

/// The parent's side: cgroups and network while the child puts its root together, then the word to go.
fn bring_up(job: &Job, pid: Pid, child: &UnixStream, engine: &OwnedFd) -> Result<Process, Error> {
    let path = format!("/proc/{}/ns/net", pid.as_raw_pid());
    let network = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).doing("open its network")?;
    send(engine, &FromShim::Namespaces, &[network.as_fd()])?;
    drop(network);
    if let Placement::Write(files) = &job.placement {
        for file in files {
            std::fs::write(file, pid.as_raw_pid().to_string()).doing(format!("enter {}", file.display()))?;
        }
    }
    let Some((ToShim::Go, _)) = packets::receive(engine.as_fd()).doing("wait for the network")? else {
        return Err(Error::EngineAway);
    };
    std::io::Write::write_all(&mut &*child, b"g").doing("start the program")?;
    // The child's end closes when it becomes our init; until then it can only tell why it did not.
    let mut trouble = String::new();
    { child }.read_to_string(&mut trouble).doing("wait for the program")?;
    if !trouble.is_empty() {
        return Err(Error::Inside(trouble));
    }
    Process::with_id(pid.as_raw_pid()).ok_or_else(|| Error::Inside("process 1 ended at once".to_owned()))
}

fn send(engine: &OwnedFd, message: &FromShim, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    packets::send(engine.as_fd(), message, fds).doing("answer the engine")
}

/// The child's side.
fn become_instance(
    job: &Job,
    given: Given,
    ends: Ends,
    user_namespace: &OwnedFd,
    parent: &UnixStream,
) -> Result<(), Error> {
    let filter = read_all(&given.filter)?;
    root::enter(job, user_namespace)?;
    let mut word = [0];
    { parent }.read_exact(&mut word).doing("wait for the word to start")?;
    sys::processes::leave_cgroup_namespace().doing("part from the host's cgroups")?;
    let mut fds = vec![(ends.out, 1), (ends.err, 2), (given.launch, LAUNCH_FD)];
    if !job.fds.contains(&0) {
        fds.push((rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).doing("open /dev/null")?, 0));
    }
    fds.extend(given.others);
    confine::give_up_rights(user_namespace, &filter)?;
    let init = OsStr::new(INIT);
    let env = BTreeMap::new();
    sys::processes::exec(sys::processes::Program { path: init, arguments: vec![init], env: &env, fds })
        .doing("run process 1")?;
    Ok(())
}

fn read_all(fd: &OwnedFd) -> Result<Vec<u8>, Error> {
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
