//! The router's process, which outlives the supervisor: how the next one finds it and takes its sockets back.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

/// A router as it is written down in `/run/slipway-ID/router.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouterProcess {
    /// Its process id.
    pub(crate) pid: i32,
    /// The kernel's start time of that process, in clock ticks since boot: tells it from a later one with its id.
    started: u64,
    /// Inode and change time of the program it runs.
    program: (u64, i64),
    /// Its listening sockets: address, and the descriptor's number in its process.
    pub(crate) listeners: Vec<(SocketAddr, i32)>,
}

impl RouterProcess {
    /// Writes down a router that was just started.
    pub(crate) fn record(file: &Path, pid: i32, listeners: Vec<(SocketAddr, i32)>) -> io::Result<()> {
        let router = Self { pid, started: start_time(pid)?, program: program()?, listeners };
        fs::write(file, serde_json::to_vec(&router)?)
    }

    /// The router that was written down, with a handle to it, if it still runs.
    pub(crate) fn find(file: &Path) -> io::Result<Option<(Self, OwnedFd)>> {
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let Ok(router) = serde_json::from_slice::<Self>(&bytes) else { return Ok(None) };
        let Some(pid) = Pid::from_raw(router.pid) else { return Ok(None) };
        // The handle first, the start time after it: then the handle is of the process whose time was read.
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) else { return Ok(None) };
        Ok(start_time(router.pid).is_ok_and(|started| started == router.started).then_some((router, handle)))
    }

    /// Whether it runs the program that we are.
    pub(crate) fn is_current(&self) -> bool {
        program().is_ok_and(|program| program == self.program)
    }

    /// Its socket that listens on an address: the same socket, with all connections that wait in it.
    pub(crate) fn listener(&self, handle: &OwnedFd, address: SocketAddr) -> Option<OwnedFd> {
        let (_, number) = self.listeners.iter().find(|(listening, _)| *listening == address)?;
        rustix::process::pidfd_getfd(handle, *number, PidfdGetfdFlags::empty()).ok()
    }
}

/// Asks a router to retire: to let another one accept, and to lose nobody it has.
pub(crate) fn retire(handle: impl AsFd) -> io::Result<()> {
    match rustix::process::pidfd_send_signal(handle, Signal::USR1) {
        // It ended meanwhile, which is what was wanted.
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

/// Asks a process to end.
pub(crate) fn terminate(handle: impl AsFd) -> io::Result<()> {
    Ok(rustix::process::pidfd_send_signal(handle, Signal::TERM)?)
}

/// Ends the recorded router at once, if it has this process id.
pub(crate) fn kill(pid: u32, file: &Path) -> io::Result<()> {
    match RouterProcess::find(file)? {
        Some((router, handle)) if u32::try_from(router.pid) == Ok(pid) => {
            Ok(rustix::process::pidfd_send_signal(handle, Signal::KILL)?)
        }
        _ => Ok(()),
    }
}

/// Waits until a process has ended.
#[expect(deprecated, reason = "its successor is unsafe for types whose descriptor may change; an OwnedFd's does not")]
pub(crate) async fn ended(handle: OwnedFd) -> io::Result<()> {
    let handle = AsyncFd::with_interest(handle, tokio::io::Interest::READABLE)?;
    handle.readable().await.map(drop)
}

/// Field 22 of /proc/PID/stat (proc(5)); the command's name before it may hold anything, so count from its end.
fn start_time(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest);
    after_name
        .and_then(|rest| rest.split(' ').nth(19)?.parse().ok())
        .ok_or_else(|| io::Error::other("the kernel's process status cannot be read"))
}

fn program() -> io::Result<(u64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata("/proc/self/exe")?;
    // Not when it was changed: that its name was given to another program changes that of a file as well.
    Ok((metadata.ino(), metadata.mtime()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_process_is_found_with_its_socket_and_another_under_its_id_is_not() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("router.json");
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        RouterProcess::record(&file, me, vec![(address, socket.as_raw_fd())]).unwrap();
        let (router, handle) = RouterProcess::find(&file).unwrap().unwrap();
        assert!(router.is_current());
        let taken = std::net::TcpListener::from(router.listener(&handle, address).unwrap());
        assert_eq!(taken.local_addr().unwrap(), address);
        let other = RouterProcess { started: router.started + 1, ..router };
        fs::write(&file, serde_json::to_vec(&other).unwrap()).unwrap();
        assert!(RouterProcess::find(&file).unwrap().is_none());
    }
}
