//! The standard streams of a program, as both of its sides hold them.

use std::os::fd::OwnedFd;

use loglines::ring::Stream;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use shim::{Size, Streams};

use crate::output::Output;
use crate::session::Session;
use crate::{Doing, Error, terminal};

/// What the program's side holds until it becomes the program.
pub(crate) enum Inner {
    /// Output goes into pipes.
    Logged { out: OwnedFd, err: OwnedFd },
    /// Both outputs go into one pipe, so that they stay in order.
    Piped { input: OwnedFd, output: OwnedFd },
    /// The terminal is made inside.
    Terminal(Size),
}

/// What the shim's side holds.
pub(crate) enum Outer {
    /// Nothing but what [`Output`] has.
    Logged,
    /// The other ends of the pipes.
    Piped { input: OwnedFd, output: OwnedFd },
    /// The master end comes from inside.
    Terminal,
}

/// Makes both sides.
pub(crate) fn new(streams: Streams, output: &mut Output) -> Result<(Inner, Outer), Error> {
    match streams {
        Streams::Logged => {
            let (out, err) = (output.pipe(Stream::Out)?, output.pipe(Stream::Err)?);
            Ok((Inner::Logged { out, err }, Outer::Logged))
        }
        Streams::Attached(size) => attached(size),
    }
}

/// Makes both sides of an attached program.
pub(crate) fn attached(size: Option<Size>) -> Result<(Inner, Outer), Error> {
    if let Some(size) = size {
        return Ok((Inner::Terminal(size), Outer::Terminal));
    }
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing("make a pipe");
    let ((theirs_in, ours_in), (ours_out, theirs_out)) = (pipe()?, pipe()?);
    let inner = Inner::Piped { input: theirs_in, output: theirs_out };
    Ok((inner, Outer::Piped { input: ours_in, output: ours_out }))
}

impl Inner {
    /// The descriptors of the program, under their numbers. `tell` hands the master end of a terminal to the shim.
    /// Called inside the instance's mounts, with the host's rights.
    pub(crate) fn descriptors(
        self,
        first_id: u32,
        tell: impl FnOnce(OwnedFd) -> Result<(), Error>,
    ) -> Result<Vec<(OwnedFd, i32)>, Error> {
        match self {
            Self::Logged { out, err } => {
                let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
                Ok(vec![(null.doing("open /dev/null")?, 0), (out, 1), (err, 2)])
            }
            Self::Piped { input, output } => {
                let err = output.try_clone().doing("share a pipe")?;
                Ok(vec![(input, 0), (output, 1), (err, 2)])
            }
            Self::Terminal(size) => {
                let terminal = terminal::open(size, first_id)?;
                tell(terminal.master)?;
                let share = || terminal.slave.try_clone().doing("share a terminal");
                Ok(vec![(share()?, 0), (share()?, 1), (share()?, 2)])
            }
        }
    }
}

impl Outer {
    /// Whether the master end of a terminal is to come.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal)
    }

    /// The session over these streams; none for a program whose output is logged.
    pub(crate) fn session(self, master: Option<OwnedFd>) -> Result<Option<Session>, Error> {
        match (self, master) {
            (Self::Piped { input, output }, _) => Session::new(input, output).map(Some),
            (Self::Terminal, Some(master)) => Session::terminal(master).map(Some),
            (Self::Logged | Self::Terminal, _) => Ok(None),
        }
    }
}
