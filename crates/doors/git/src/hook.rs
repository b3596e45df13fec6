//! The pre-receive hook: a small program in the git child's sandbox, between git and control.
//!
//! Installed as `hooks/pre-receive` in a platform-owned folder: `exec slipway git-hook pre-receive`. It knows git's
//! side of a hook (updates on standard input, text for the pusher on standard output, a status) and the frames
//! ([`crate::frame`]); it decides nothing.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use crate::frame::{self, Archive, Kind, PIECE, Update, Updates};
use crate::{plan, tree};

/// Where the hook finds the pipe it writes to.
const TO_CONTROL: i32 = 3;
/// Where the hook finds the pipe it reads from.
const FROM_CONTROL: i32 = 4;
/// The most updates of one push.
const UPDATES: usize = 1000;

/// Runs the hook: the whole of `slipway git-hook pre-receive`.
#[must_use]
pub fn pre_receive_main() -> ExitCode {
    let run = || run(&mut inherited(FROM_CONTROL)?, &mut inherited(TO_CONTROL)?, io::stdin().lock(), &mut io::stdout());
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let lost = error.kind() == io::ErrorKind::UnexpectedEof || error.kind() == io::ErrorKind::BrokenPipe;
            let text = if lost {
                " !     The platform was interrupted. A build that has begun goes on: see `heroku builds`.\n".to_owned()
            } else {
                format!(" !     The push could not be read: {error}\n")
            };
            // Nobody is left to be told if this fails.
            drop(io::stderr().write_all(text.as_bytes()));
            ExitCode::FAILURE
        }
    }
}

/// A descriptor this process was given, as a file. It is fetched anew from the kernel, which needs no `unsafe`: a
/// process may always look at its own.
fn inherited(number: i32) -> io::Result<File> {
    let this = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    Ok(rustix::process::pidfd_getfd(this, number, PidfdGetfdFlags::empty())?.into())
}

/// Speaks with control until its verdict.
pub(crate) fn run(
    from: &mut impl Read,
    to: &mut impl Write,
    updates: impl BufRead,
    pusher: &mut impl Write,
) -> io::Result<bool> {
    let updates = serde_json::to_vec(&read_updates(updates)?)?;
    frame::write(to, Kind::Updates, &updates)?;
    loop {
        match frame::read(from)? {
            (Kind::Print, text) => {
                pusher.write_all(&text)?;
                pusher.flush()?;
            }
            (Kind::Archive, order) => send_tree(to, &serde_json::from_slice(&order)?)?,
            (Kind::Verdict, verdict) => return Ok(verdict == [1]),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "control said what only a hook says")),
        }
    }
}

/// Git's lines `OLD NEW NAME`.
fn read_updates(lines: impl BufRead) -> io::Result<Updates> {
    let mut updates = Vec::new();
    for line in lines.lines() {
        let line = line?;
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        if let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) {
            updates.push(Update { old, new, name });
        }
        if updates.len() > UPDATES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it changes too many references at once"));
        }
    }
    Ok(Updates(updates))
}

fn send_tree(to: &mut impl Write, order: &Archive) -> io::Result<()> {
    if !plan::is_commit(&order.commit) {
        return frame::write(to, Kind::Failed, b"no commit was named");
    }
    let written = tree::write(&order.commit, order.limit_bytes, Pieces(to));
    match written {
        Ok(archived) => frame::write(to, Kind::Archived, &serde_json::to_vec(&archived)?),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error),
        Err(error) => frame::write(to, Kind::Failed, error.to_string().as_bytes()),
    }
}

/// Wraps what is written into frames.
struct Pieces<'a, W>(&'a mut W);

impl<W: Write> Write for Pieces<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..bytes.len().min(PIECE)).unwrap_or_default();
        frame::write(self.0, Kind::Tar, piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
