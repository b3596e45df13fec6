//! A running instance's life: its output, its sessions, its orders, its end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Signal, WaitOptions};
use shim::{EXIT, Exit, FromShim, Job, Process, SOCKET, ToShim, packets};

use crate::exec::{self, Target};
use crate::session::{Session, Verdict};
use crate::start::Instance;
use crate::{Doing, Error};

/// How many engines may be connected at once: the one that was there and a new one, and a few that just left.
const MAX_ENGINES: usize = 8;
/// How many programs may run beside process 1.
const MAX_SESSIONS: usize = 32;
/// The status of a process ended by SIGKILL, as a shell tells it.
const KILLED: i32 = 128 + 9;
/// How long a program that nobody attached to may take to end.
const NO_CLIENT: Duration = Duration::from_secs(10);

/// Everything the loop waits for and works on.
struct Shim<'a> {
    job: &'a Job,
    instance: Instance,
    listener: OwnedFd,
    engines: Vec<OwnedFd>,
    /// Programs beside process 1.
    sessions: Vec<Session>,
    kill_at: Option<Instant>,
    /// Whether process 1 ended.
    ended: bool,
}

/// Whose descriptor it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    End,
    Memory,
    Listener,
    Engine(usize),
    Output,
    Session,
}

/// Runs until the instance ended, its output is where it belongs, and its exit is on disk.
pub(crate) fn until_it_ends(job: &Job, instance: Instance, engine: &OwnedFd) -> Result<(), Error> {
    let engine = engine.try_clone().doing("keep the engine's socket")?;
    let (listener, engines) = (listen(job)?, vec![engine]);
    let mut shim = Shim { job, instance, listener, engines, sessions: vec![], kill_at: None, ended: false };
    shim.say(&FromShim::Running(shim.instance.process));
    while !shim.is_over() {
        shim.turn()?;
    }
    let status = rustix::process::waitpid(Some(shim.instance.pid), WaitOptions::empty()).doing("reap process 1")?;
    let status = status.map_or(KILLED, |(_, status)| {
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1)
    });
    let exit = Exit { status, out_of_memory: status == KILLED && shim.instance.memory.has_killed() };
    shim.finish(exit)
}

impl Shim<'_> {
    fn is_over(&self) -> bool {
        self.ended && self.all_sessions().all(Session::is_over)
    }

    fn all_sessions(&self) -> impl Iterator<Item = &Session> {
        self.instance.session.iter().chain(&self.sessions)
    }

    fn finish(self, exit: Exit) -> Result<(), Error> {
        let Self { job, instance: Instance { output, .. }, engines, .. } = self;
        output.finish()?;
        record(job, exit)?;
        tell(&engines, &FromShim::Exited(exit));
        Ok(())
    }

    /// Waits for something and deals with it.
    fn turn(&mut self) -> Result<(), Error> {
        let ready = self.wait()?;
        if ready.contains(&Who::Output) {
            self.instance.output.drain()?;
        }
        if ready.contains(&Who::Memory) && self.instance.memory.settle() {
            signal(&self.instance.pidfd, Signal::KILL);
        }
        // From the last to the first, so that removing one does not move those still to be heard.
        for engine in (0..self.engines.len()).rev() {
            if ready.contains(&Who::Engine(engine)) {
                self.hear(engine);
            }
        }
        if ready.contains(&Who::Listener) {
            self.accept();
        }
        if ready.contains(&Who::End) {
            self.ended = true;
            self.instance.session.iter_mut().for_each(Session::program_ended);
        }
        self.work();
        if self.kill_at.is_some_and(|moment| moment <= Instant::now()) {
            self.kill_at = None;
            signal(&self.instance.pidfd, Signal::KILL);
        }
        Ok(())
    }

    /// Who has something, after waiting for it, or for a moment that was set.
    fn wait(&self) -> Result<Vec<Who>, Error> {
        let mut all = vec![(Who::Listener, self.listener.as_fd(), PollFlags::IN)];
        if !self.ended {
            all.push((Who::End, self.instance.pidfd.as_fd(), PollFlags::IN));
        }
        all.extend(self.instance.memory.event().map(|fd| (Who::Memory, fd, PollFlags::IN)));
        all.extend(self.engines.iter().enumerate().map(|(place, fd)| (Who::Engine(place), fd.as_fd(), PollFlags::IN)));
        all.extend(self.instance.output.pipes().map(|fd| (Who::Output, fd.as_fd(), PollFlags::IN)));
        for session in self.all_sessions() {
            all.extend(session.interests().into_iter().map(|(fd, flags)| (Who::Session, fd, flags)));
        }
        let deadlines = self.all_sessions().filter_map(Session::deadline).chain(self.kill_at);
        let ready = poll(all.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)), deadlines.min())?;
        Ok(all.iter().zip(ready).filter(|(_, ready)| *ready).map(|((who, ..), _)| *who).collect())
    }

    /// Lets the sessions work, and forgets those that are over.
    fn work(&mut self) {
        if let Some(session) = &mut self.instance.session {
            match session.work() {
                Verdict::GoOn => {}
                Verdict::HangUp => {
                    signal(&self.instance.pidfd, Signal::HUP);
                    self.say(&FromShim::Unattached { came: true });
                }
                Verdict::NoClient => {
                    self.stop(NO_CLIENT);
                    self.say(&FromShim::Unattached { came: false });
                }
            }
        }
        for session in &mut self.sessions {
            session.work();
        }
        self.sessions.retain(|session| !session.is_over());
    }

    fn stop(&mut self, grace: Duration) {
        self.instance.session.iter_mut().for_each(Session::dismiss);
        signal(&self.instance.pidfd, Signal::TERM);
        let moment = Instant::now().checked_add(grace);
        self.kill_at = match (self.kill_at, moment) {
            (Some(before), Some(moment)) => Some(before.min(moment)),
            (before, moment) => before.or(moment),
        };
    }

    fn hear(&mut self, engine: usize) {
        let Some(socket) = self.engines.get(engine) else { return };
        match packets::receive::<ToShim>(socket.as_fd()) {
            Ok(Some((ToShim::Stop { grace_ms }, _))) => self.stop(Duration::from_millis(grace_ms)),
            Ok(Some((ToShim::Kill, _))) => {
                signal(&self.instance.pidfd, Signal::KILL);
                self.instance.session.iter_mut().for_each(Session::dismiss);
            }
            Ok(Some((ToShim::Attach, fds))) => {
                if let (Some(session), Some(client)) = (&mut self.instance.session, fds.into_iter().next()) {
                    session.attach(client);
                }
            }
            Ok(Some((ToShim::Exec { size }, fds))) => {
                let target = Target { pid: self.instance.pid, pidfd: &self.instance.pidfd };
                if !self.ended && self.sessions.len() < MAX_SESSIONS {
                    // Whoever is at the other end of its socket was told why not.
                    self.sessions.extend(exec::start(self.job, &target, size, fds));
                }
            }
            Ok(Some((ToShim::Go, _))) => {}
            // A newer engine has words that this shim, which is older, does not know.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            // An engine that left is forgotten.
            Ok(None) | Err(_) => drop(self.engines.remove(engine)),
        }
    }

    fn accept(&mut self) {
        let Ok(engine) = rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC) else { return };
        if self.engines.len() == MAX_ENGINES {
            self.engines.remove(0);
        }
        if packets::send(engine.as_fd(), &FromShim::Running(self.process()), &[]).is_ok() {
            self.engines.push(engine);
        }
    }

    fn process(&self) -> Process {
        self.instance.process
    }

    fn say(&self, message: &FromShim) {
        tell(&self.engines, message);
    }
}

/// Tells every engine. One that is gone needs no word: the next asks.
fn tell(engines: &[OwnedFd], message: &FromShim) {
    for engine in engines {
        drop(packets::send(engine.as_fd(), message, &[]));
    }
}

/// Which of the descriptors have something, after waiting at most until `deadline`.
fn poll<'a>(fds: impl Iterator<Item = PollFd<'a>>, deadline: Option<Instant>) -> Result<Vec<bool>, Error> {
    let mut fds: Vec<PollFd<'a>> = fds.collect();
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

/// Writes the exit file so that it is there whole or not at all, whoever is killed.
fn record(job: &Job, exit: Exit) -> Result<(), Error> {
    // Not synced, like the engine's record of the instance: it is for an engine that was away, not for a power cut.
    let write = || -> io::Result<()> {
        let new = job.data_folder.join("exit.new");
        File::create(&new)?.write_all(&serde_json::to_vec(&exit)?)?;
        std::fs::rename(new, job.data_folder.join(EXIT))
    };
    write().doing("record the exit")
}
