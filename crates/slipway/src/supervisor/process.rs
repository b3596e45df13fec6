//! A process of ours, held by a handle: one that we started, or that the supervisor before us in this process did.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, waitid};

use super::router_process;

/// How long a process may take to end once it was asked; then it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A child.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    handle: OwnedFd,
}

impl Process {
    /// Takes hold of a child, by whoever it was started: `pid` cannot be another's, as nobody else collects its end.
    pub(crate) fn child(pid: i32) -> io::Result<Self> {
        let of = Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process has the id 0"))?;
        Ok(Self { pid, handle: rustix::process::pidfd_open(of, PidfdFlags::NONBLOCK)? })
    }

    /// Takes hold of a process by a handle that another supervisor had.
    pub(crate) fn handed(pid: i32, handle: OwnedFd) -> Self {
        Self { pid, handle }
    }

    /// A copy of the handle, for another supervisor.
    pub(crate) fn handle(&self) -> io::Result<OwnedFd> {
        self.handle.try_clone()
    }

    /// Waits for its end and collects it; answers how it ended.
    pub(crate) async fn ended(&self) -> io::Result<String> {
        collect(&self.handle).await
    }

    /// Ends it, with force if it takes too long; one that has ended is no error.
    pub(crate) async fn end(&self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        match tokio::time::timeout(PATIENCE, self.ended()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => self.kill().await,
        }
    }

    /// Ends it with force.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        self.ended().await.map(drop)
    }

    /// Sends it a signal, if it is still there.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(&self.handle, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }
}

/// Waits for the end of a process and collects it; answers how it ended.
pub(crate) async fn collect(handle: &OwnedFd) -> io::Result<String> {
    router_process::ended(handle.try_clone()?).await?;
    reap(handle)
}

/// Collects a process that has ended. One that is no child of ours is somebody else's to collect.
fn reap(handle: &OwnedFd) -> io::Result<String> {
    match waitid(WaitId::PidFd(handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(Some(status)) => Ok(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown".to_owned(),
        }),
        Ok(None) => Ok("not yet".to_owned()),
        Err(rustix::io::Errno::CHILD) => Ok("not ours to know".to_owned()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "that it is collected is what the test looks at")]
    async fn a_child_is_ended_and_collected() {
        let child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::child(i32::try_from(child.id()).unwrap()).unwrap();
        process.end().await.unwrap();
        process.end().await.unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{}", process.pid)).exists(), "a zombie is left");
    }
}
