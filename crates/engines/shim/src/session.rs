//! The streams of a program and the one who is attached to them.
//!
//! ```text
//!              ┌─ inbound ──▶ input   (a terminal, or a pipe)
//!   client ◀──▶│
//!              └─ outbound ◀─ output  (the same terminal, or a pipe)
//! ```
//!
//! Nothing is ever dropped while the client is there: what does not go on waits, and the program with it. Before the
//! client comes, the output waits as well; when it is gone, the program's terminal hangs up or its pipes break.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::process::{Pid, WaitOptions};

use crate::buffer::{Buffer, Moved};
use crate::{Doing, Error};

/// How long a program waits for its client.
const ATTACH: Duration = Duration::from_mins(1);
/// How long a client may take nothing of what a program left that has ended.
const FLUSH: Duration = Duration::from_secs(30);
/// How long the output of a program that ended may be silent while others in the instance still hold it.
const LINGER: Duration = Duration::from_millis(300);

/// Who is at the other end.
#[derive(Debug)]
enum Client {
    /// Nobody yet.
    Awaited,
    /// Somebody; `speaks` until they ended their input.
    Here { socket: OwnedFd, speaks: bool },
    /// Nobody any more.
    Gone,
}

/// What has to be done about a session's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    GoOn,
    /// The client went: SIGHUP.
    HangUp,
    /// The client did not come in time.
    NoClient,
}

/// A program that runs beside process 1.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

/// One program's streams.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    inbound: Buffer,
    outbound: Buffer,
    helper: Option<Helper>,
    is_terminal: bool,
    /// Whether the program ended.
    ended: bool,
    /// When patience with the client, or with an output that does not end, is over.
    deadline: Option<Instant>,
}

impl Session {
    /// A session with a terminal's master end, or with the ends of two pipes.
    pub(crate) fn new(input: OwnedFd, output: OwnedFd) -> Result<Self, Error> {
        for fd in [&input, &output] {
            rustix::io::ioctl_fionbio(fd, true).doing("prepare a stream")?;
        }
        Ok(Self {
            client: Client::Awaited,
            input: Some(input),
            output: Some(output),
            inbound: Buffer::default(),
            outbound: Buffer::default(),
            helper: None,
            is_terminal: false,
            ended: false,
            deadline: Some(Instant::now() + ATTACH),
        })
    }

    /// A session over a terminal.
    pub(crate) fn terminal(master: OwnedFd) -> Result<Self, Error> {
        let output = master.try_clone().doing("share a terminal")?;
        Ok(Self { is_terminal: true, ..Self::new(master, output)? })
    }

    /// The program is not process 1 but this one.
    pub(crate) fn of(mut self, helper: Helper) -> Self {
        self.helper = Some(helper);
        self
    }

    /// The client comes; a second one is turned away.
    pub(crate) fn attach(&mut self, socket: OwnedFd) {
        if matches!(self.client, Client::Awaited) && rustix::io::ioctl_fionbio(&socket, true).is_ok() {
            self.client = Client::Here { socket, speaks: true };
            self.deadline = self.ended.then(|| Instant::now() + FLUSH);
        }
    }

    /// The program is being stopped: a client that has not come need not come any more.
    pub(crate) fn dismiss(&mut self) {
        if matches!(self.client, Client::Awaited) {
            self.hang_up(Verdict::GoOn);
        }
    }

    /// The program ended: what it left still goes to the client.
    pub(crate) fn program_ended(&mut self) {
        self.ended = true;
        self.input = None;
        self.inbound.clear();
        if !matches!(self.client, Client::Awaited) {
            self.be_patient();
        }
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.helper.is_none()
            && match self.client {
                Client::Awaited => false,
                Client::Here { .. } => self.output.is_none() && self.outbound.is_empty(),
                Client::Gone => true,
            }
    }

    /// When to look again even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What to wait for.
    pub(crate) fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut interests = Vec::new();
        if let Some(helper) = &self.helper {
            interests.push((helper.pidfd.as_fd(), PollFlags::IN));
        }
        let Client::Here { socket, speaks } = &self.client else { return interests };
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, *speaks && self.inbound.is_empty());
        flags.set(PollFlags::OUT, !self.outbound.is_empty());
        interests.push((socket.as_fd(), flags));
        if let Some(input) = self.input.as_ref().filter(|_| !self.inbound.is_empty()) {
            interests.push((input.as_fd(), PollFlags::OUT));
        }
        if let Some(output) = self.output.as_ref().filter(|_| self.outbound.is_empty()) {
            interests.push((output.as_fd(), PollFlags::IN));
        }
        interests
    }

    /// Moves what can be moved.
    pub(crate) fn work(&mut self) -> Verdict {
        self.reap();
        let mut any = false;
        // So many at most, that the other work of the shim gets its turn.
        for _ in 0..16 {
            let moved = self.take_input() | self.pass_input() | self.take_output() | self.pass_output();
            any |= moved;
            if !moved {
                break;
            }
        }
        if any && self.ended {
            self.be_patient();
        }
        if self.client_left() {
            return self.hang_up(Verdict::HangUp);
        }
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => match self.client {
                Client::Awaited => self.hang_up(Verdict::NoClient),
                Client::Here { .. } | Client::Gone => self.hang_up(Verdict::GoOn),
            },
            _ => Verdict::GoOn,
        }
    }

    fn reap(&mut self) {
        let Some(helper) = &self.helper else { return };
        let runs = matches!(rustix::process::waitpid(Some(helper.pid), WaitOptions::NOHANG), Ok(None));
        if !runs {
            self.helper = None;
            self.program_ended();
        }
    }

    fn be_patient(&mut self) {
        let patience = if self.outbound.is_empty() && self.output.is_some() { LINGER } else { FLUSH };
        self.deadline = Some(Instant::now() + patience);
    }

    /// From the client. When it says no more, a pipe is closed after what is on its way; a terminal has no such end.
    fn take_input(&mut self) -> bool {
        let Client::Here { socket, speaks: speaks @ true } = &mut self.client else { return false };
        if !self.inbound.is_empty() {
            return false;
        }
        match self.inbound.fill(socket.as_fd()) {
            Moved::Some => {
                if self.input.is_none() {
                    self.inbound.clear();
                }
                true
            }
            Moved::Nothing => false,
            Moved::Over => {
                *speaks = false;
                self.input = None;
                true
            }
        }
    }

    fn pass_input(&mut self) -> bool {
        if self.inbound.is_empty() {
            return false;
        }
        match self.input.as_ref().map_or(Moved::Over, |input| self.inbound.empty(input.as_fd())) {
            Moved::Some => true,
            Moved::Nothing => false,
            // It closed its input; the rest is for nobody.
            Moved::Over => {
                self.input = None;
                self.inbound.clear();
                true
            }
        }
    }

    fn take_output(&mut self) -> bool {
        if !self.outbound.is_empty() || !matches!(self.client, Client::Here { .. }) {
            return false;
        }
        let Some(output) = &self.output else { return false };
        match self.outbound.fill(output.as_fd()) {
            Moved::Some => true,
            Moved::Nothing => false,
            Moved::Over => {
                self.output = None;
                true
            }
        }
    }

    fn pass_output(&mut self) -> bool {
        let Client::Here { socket, .. } = &self.client else { return false };
        if self.outbound.is_empty() {
            return false;
        }
        match self.outbound.empty(socket.as_fd()) {
            Moved::Some => true,
            Moved::Nothing => false,
            Moved::Over => {
                self.client = Client::Gone;
                true
            }
        }
    }

    /// Whether the client closed its end altogether, or broke it off.
    fn client_left(&self) -> bool {
        match &self.client {
            Client::Here { socket, .. } => has_hung_up(socket.as_fd()),
            Client::Gone => self.input.is_some() || self.output.is_some(),
            Client::Awaited => false,
        }
    }

    /// Lets go of both sides.
    fn hang_up(&mut self, verdict: Verdict) -> Verdict {
        self.client = Client::Gone;
        (self.input, self.output, self.deadline) = (None, None, None);
        self.inbound.clear();
        self.outbound.clear();
        if let Some(helper) = self.helper.as_ref().filter(|_| !self.is_terminal) {
            // The end of a terminal tells its program; without one this does.
            rustix::process::pidfd_send_signal(&helper.pidfd, rustix::process::Signal::HUP).unwrap_or(());
        }
        // A program that has ended need not be told that its client left; that none came is worth telling.
        if self.ended && verdict == Verdict::HangUp { Verdict::GoOn } else { verdict }
    }
}

fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0)
}
