//! One role's process: started with its descriptors and user, restarted when it ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::process::Process;
use crate::users::User;

/// The first descriptor a role finds (systemd's LISTEN_FDS convention).
pub(crate) const FIRST_FD: i32 = 3;
/// A role that ran so long is restarted at once when it ends: longer than it takes to start, so that one that cannot
/// start waits, and one that was cut off does not.
const STEADY: Duration = Duration::from_secs(2);
/// Pauses between restarts of a role that keeps ending: doubled from the first to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a role may take until it says that it is ready.
const READY_LIMIT: Duration = Duration::from_mins(1);

/// What a role is started with. Kept by the supervisor, so that a restart gets the same sockets: connections made
/// while the role is away wait in their queues.
#[derive(Debug)]
pub(crate) struct Role {
    /// `engine`, `control`, `router`.
    pub(crate) name: &'static str,
    /// The user it runs as; root without one.
    pub(crate) user: Option<User>,
    /// Its sockets with their names, from [`FIRST_FD`] on.
    pub(crate) sockets: Vec<(String, OwnedFd)>,
    /// A pipe nobody writes to; when the supervisor ends, the role finds its end and ends as well. The router has
    /// none: it outlives the supervisor.
    pub(crate) lifeline: Option<OwnedFd>,
    /// A file only it is handed, with its name.
    pub(crate) secret: Option<(&'static str, PathBuf)>,
    /// The control group it lives in; that of the supervisor without one.
    pub(crate) group: Option<PathBuf>,
    /// The program it is: [`OURS`], or another one during an upgrade.
    pub(crate) program: PathBuf,
}

/// The program that we are, wherever it lies by now.
pub(crate) const OURS: &str = "/proc/self/exe";

impl Role {
    /// Starts the process; the pipe tells when it is ready (one byte) or ended (none).
    pub(crate) fn spawn(&self, settings: &Path) -> io::Result<(Process, pipe::Receiver)> {
        let (ready_in, ready_out) = io::pipe()?;
        let mut fds: Vec<(&str, OwnedFd)> = Vec::new();
        for (name, socket) in &self.sockets {
            fds.push((name, socket.try_clone()?));
        }
        if let Some(lifeline) = &self.lifeline {
            fds.push(("lifeline", lifeline.as_fd().try_clone_to_owned()?));
        }
        // Only root may read the file: a package source's URL may hold a password.
        fds.push(("settings", File::open(settings)?.into()));
        if let Some((name, file)) = &self.secret {
            fds.push((name, File::open(file)?.into()));
        }
        fds.push(("ready", ready_out.into()));
        let names: Vec<&str> = fds.iter().map(|(name, _)| *name).collect();
        let mut command = Command::new(&self.program);
        command
            .args([OsStr::new("role"), OsStr::new(self.name), settings.as_os_str()])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LISTEN_FDS", fds.len().to_string())
            .env("LISTEN_FDNAMES", names.join("|"))
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        let mappings = (FIRST_FD..).zip(fds).map(|(child_fd, (_, parent_fd))| FdMapping { parent_fd, child_fd });
        command.fd_mappings(mappings.collect()).map_err(|_| io::Error::other("two sockets for one descriptor"))?;
        let child = command.spawn()?;
        let process = Process::child(i32::try_from(child.id()).map_err(io::Error::other)?)?;
        if let Some(group) = &self.group {
            // It may have ended already, which whoever waits for it finds out.
            super::group::enter(group, child.id()).unwrap_or_else(|error| {
                tracing::warn!(role = self.name, %error, "could not move a role to its control group");
            });
        }
        Ok((process, pipe::Receiver::from_owned_fd(OwnedFd::from(ready_in))?))
    }
}

impl Role {
    /// Copies of its sockets.
    pub(crate) fn share(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        self.sockets.iter().map(|(name, socket)| Ok((name.clone(), socket.try_clone()?))).collect()
    }
}

/// Waits until a role said that it is ready.
pub(crate) async fn ready(name: &str, pipe: &mut pipe::Receiver) -> io::Result<()> {
    let mut byte = [0];
    match tokio::time::timeout(READY_LIMIT, pipe.read(&mut byte)).await {
        Ok(Ok(1)) => Ok(()),
        Ok(Ok(_)) => Err(io::Error::other(format!("{name} ended before it was ready; its last lines above say why"))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other(format!("{name} was not ready within {} s", READY_LIMIT.as_secs()))),
    }
}

/// The pauses between restarts.
#[derive(Debug)]
pub(crate) struct Restarts {
    pause: Duration,
    started: Instant,
}

impl Restarts {
    /// A role was started now for the first time.
    pub(crate) fn new() -> Self {
        Self { pause: Duration::ZERO, started: Instant::now() }
    }

    /// How long to wait before the next start of a role that ended now.
    pub(crate) fn after_end(&mut self) -> Duration {
        let pause = if self.started.elapsed() >= STEADY { Duration::ZERO } else { self.pause };
        self.pause = (pause * 2).clamp(PAUSE.0, PAUSE.1);
        self.started = Instant::now() + pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_restart_is_at_once_and_the_next_wait_longer() {
        let mut restarts = Restarts::new();
        let pauses: Vec<u128> = (0..4).map(|_| restarts.after_end().as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400]);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(restarts.after_end(), Duration::ZERO);
    }
}
