//! A running instance's life: its output, its orders, its end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Signal, WaitOptions};
use shim::{EXIT, Exit, FromShim, Job, SOCKET, ToShim, packets};

use crate::memory::Memory;
use crate::output::Output;
use crate::start::Instance;
use crate::{Doing, Error};

/// How many engines may be connected at once: the one that was there and a new one, and a few that just left.
const MAX_ENGINES: usize = 8;
/// The status of a process ended by SIGKILL, as a shell tells it.
const KILLED: i32 = 128 + 9;

/// Everything the loop waits for.
struct Shim {
    listener: OwnedFd,
    engines: Vec<OwnedFd>,
    memory: Memory,
    kill_at: Option<Instant>,
}

/// Runs until the instance ended and its exit is on disk.
pub(crate) fn until_it_ends(job: &Job, instance: Instance, engine: &OwnedFd) -> Result<(), Error> {
    let Instance { pid, pidfd, process, mut output, memory } = instance;
    let engine = engine.try_clone().doing("keep the engine's socket")?;
    let mut shim = Shim { listener: listen(job)?, engines: vec![engine], memory, kill_at: None };
    shim.say(&FromShim::Running(process));
    while !shim.turn(&pidfd, &mut output, &FromShim::Running(process))? {}
    let status = rustix::process::waitpid(Some(pid), WaitOptions::empty()).doing("reap process 1")?;
    let status = status.map_or(KILLED, |(_, status)| {
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1)
    });
    output.finish()?;
    let exit = Exit { status, out_of_memory: status == KILLED && shim.memory.has_killed() };
    record(job, exit)?;
    shim.say(&FromShim::Exited(exit));
    Ok(())
}

impl Shim {
    /// Waits for something and deals with it; true once process 1 ended.
    fn turn(&mut self, pidfd: &OwnedFd, output: &mut Output, state: &FromShim) -> Result<bool, Error> {
        let fixed = [pidfd.as_fd(), self.listener.as_fd()];
        let all = fixed.into_iter().chain(self.engines.iter().map(AsFd::as_fd)).chain(output.pipes().map(AsFd::as_fd));
        let mut all: Vec<BorrowedFd<'_>> = all.collect();
        let memory_at = all.len();
        all.extend(self.memory.event());
        let ready = poll(all, self.kill_at)?;
        let is_ready = |place: usize| ready.get(place).copied().unwrap_or(false);
        if is_ready(0) {
            return Ok(true);
        }
        if ready.iter().take(memory_at).skip(2 + self.engines.len()).any(|&ready| ready) {
            output.drain()?;
        }
        if is_ready(memory_at) && self.memory.settle() {
            signal(pidfd, Signal::KILL);
        }
        let speaking: Vec<usize> = (0..self.engines.len()).filter(|&engine| is_ready(2 + engine)).collect();
        // From the last to the first, so that removing one does not move those still to be heard.
        for engine in speaking.into_iter().rev() {
            self.hear(engine, pidfd);
        }
        if is_ready(1) {
            self.accept(state);
        }
        if self.kill_at.is_some_and(|moment| moment <= Instant::now()) {
            self.kill_at = None;
            signal(pidfd, Signal::KILL);
        }
        Ok(false)
    }

    fn hear(&mut self, engine: usize, pidfd: &OwnedFd) {
        let Some(socket) = self.engines.get(engine) else { return };
        match packets::receive::<ToShim>(socket.as_fd()) {
            Ok(Some((ToShim::Stop { grace_ms }, _))) => {
                signal(pidfd, Signal::TERM);
                let moment = Instant::now().checked_add(Duration::from_millis(grace_ms));
                self.kill_at = match (self.kill_at, moment) {
                    (Some(before), Some(moment)) => Some(before.min(moment)),
                    (before, moment) => before.or(moment),
                };
            }
            Ok(Some((ToShim::Kill, _))) => signal(pidfd, Signal::KILL),
            Ok(Some((ToShim::Go, _))) => {}
            // An engine that left, or speaks nonsense, is forgotten.
            Ok(None) | Err(_) => drop(self.engines.remove(engine)),
        }
    }

    fn accept(&mut self, state: &FromShim) {
        let Ok(engine) = rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC) else { return };
        if self.engines.len() == MAX_ENGINES {
            self.engines.remove(0);
        }
        if packets::send(engine.as_fd(), state, &[]).is_ok() {
            self.engines.push(engine);
        }
    }

    /// Tells every engine. One that is gone needs no word: the next asks.
    fn say(&self, message: &FromShim) {
        for engine in &self.engines {
            drop(packets::send(engine.as_fd(), message, &[]));
        }
    }
}

/// Which of the descriptors have something, after waiting at most until `deadline`.
fn poll(fds: Vec<BorrowedFd<'_>>, deadline: Option<Instant>) -> Result<Vec<bool>, Error> {
    let mut fds: Vec<PollFd<'_>> = fds.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let timeout = deadline.map(|moment| {
        let left = moment.saturating_duration_since(Instant::now());
        Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
    });
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(error) => Err(error).doing("wait for the instance"),
    }
}

/// It may have ended at the same moment, which is as good.
fn signal(pidfd: &OwnedFd, signal: Signal) {
    rustix::process::pidfd_send_signal(pidfd, signal).unwrap_or(());
}

fn listen(job: &Job) -> Result<OwnedFd, Error> {
    let make = || -> io::Result<_> {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(job.run_folder.join(SOCKET))?)?;
        rustix::net::listen(&socket, 4)?;
        Ok(socket)
    };
    make().doing("listen for engines")
}

/// Writes the exit file so that it is there whole or not at all, even after a power cut.
fn record(job: &Job, exit: Exit) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let new = job.data_folder.join("exit.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&exit)?)?;
        file.sync_all()?;
        std::fs::rename(new, job.data_folder.join(EXIT))?;
        File::open(&job.data_folder)?.sync_all()
    };
    write().doing("record the exit")
}
