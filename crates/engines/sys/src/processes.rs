//! New processes: in new namespaces, in a new session, and as another program.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use rustix::process::Pid;
use rustix::thread::ThreadNameSpaceType;

use crate::{check, descriptors, signals};

/// Which namespaces a new process gets for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// None: those of its parent.
    Same,
    /// A user namespace alone, without maps yet.
    User,
    /// Mounts, processes, IPC, host name, network: what an instance lives in.
    Instance,
}

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one.
    Parent {
        /// The child's process id.
        pid: Pid,
        /// The child, whatever becomes of its id.
        pidfd: OwnedFd,
    },
}

/// Forks into new namespaces, and on cgroup v2 straight into the cgroup whose folder is given.
///
/// Refused in a process with more than one thread, where a child could find locks held by threads it does not have.
pub fn fork(namespaces: Namespaces, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    refuse_threads()?;
    clone(namespaces, cgroup)
}

/// Enters every namespace of another process but its user namespace, and forks there: the child lives among that
/// process's own, with the rights that this one has. This process itself is of use only to wait for it.
///
/// Refused in a process with more than one thread, as [`fork`] is.
pub fn fork_inside(other: BorrowedFd<'_>) -> io::Result<Fork> {
    refuse_threads()?;
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::CONTROL_GROUP;
    rustix::thread::move_into_thread_name_spaces(other, all)?;
    clone(Namespaces::Same, None)
}

/// The process must have one thread.
fn clone(namespaces: Namespaces, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    let own = match namespaces {
        Namespaces::Same => 0,
        Namespaces::User => libc::CLONE_NEWUSER,
        Namespaces::Instance => {
            libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNET
        }
    };
    let mut pidfd: RawFd = -1;
    // SAFETY: all-zero is a valid `clone_args`: plain numbers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(own.cast_unsigned()) | u64::from(libc::CLONE_PIDFD.cast_unsigned());
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    if let Some(cgroup) = cgroup {
        // CLONE_INTO_CGROUP lies above 32 bits, beyond the type libc gives the other flags.
        arguments.flags |= 0x2_0000_0000;
        arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or(u64::MAX);
    }
    // SAFETY: without CLONE_VM the child has its own copy of all memory and, as the process has one thread, no lock
    // is held in it; `arguments` is read and `pidfd` written during the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    let Some(pid) = Pid::from_raw(i32::try_from(check(pid)?).unwrap_or(0)) else { return Ok(Fork::Child) };
    // SAFETY: the kernel has just opened it for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Fork::Parent { pid, pidfd })
}

/// Forks without anything new; `None` in the child. By the old call, as the filter of an instance knows no clone3: a
/// filter cannot look into the memory that holds clone3's flags.
///
/// Refused in a process with more than one thread, as [`fork`] is.
pub fn plain_fork() -> io::Result<Option<Pid>> {
    refuse_threads()?;
    // SAFETY: the process has one thread, so that no lock is held in the child.
    let pid = unsafe { libc::fork() };
    check(pid.into())?;
    Ok(Pid::from_raw(pid))
}

fn refuse_threads() -> io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() == 1 {
        Ok(())
    } else {
        Err(io::Error::other("a process with threads cannot fork"))
    }
}

/// Gives this process its own cgroup namespace: from now on its cgroup looks like the root.
pub fn leave_cgroup_namespace() -> io::Result<()> {
    // SAFETY: CLONE_NEWCGROUP shares nothing with other threads and touches no memory.
    let left = unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    check(left.into()).map(drop)
}

/// A program to become.
#[derive(Debug)]
pub struct Program<'a> {
    /// Its path, not searched for.
    pub path: &'a OsStr,
    /// Its arguments, the first one being its own name.
    pub arguments: Vec<&'a OsStr>,
    /// Its whole environment.
    pub env: &'a BTreeMap<String, String>,
    /// Its descriptors; all others are closed.
    pub fds: Vec<(OwnedFd, RawFd)>,
}

/// Becomes another program, with every signal unblocked and at its default. Returns only if that failed; the process
/// has then lost its descriptors' old numbers and should end.
pub fn exec(program: Program<'_>) -> io::Result<Infallible> {
    let path = c_string(program.path)?;
    let arguments = program.arguments.into_iter().map(c_string).collect::<io::Result<Vec<_>>>()?;
    let env = program.env.iter().map(|(name, value)| c_string(OsStr::new(&format!("{name}={value}"))));
    let env = env.collect::<io::Result<Vec<_>>>()?;
    descriptors::arrange(program.fds)?;
    signals::reset()?;
    let arguments = pointers(&arguments);
    let env = pointers(&env);
    // SAFETY: both arrays end with a null pointer and point to C strings that live until the call returns.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), env.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// Ends this process at once, without running anything of its parent's that it has a copy of.
pub fn end(status: i32) -> ! {
    // SAFETY: _exit touches no memory and does not return.
    unsafe { libc::_exit(status) }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a zero byte in an argument"))
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}
