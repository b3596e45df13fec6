//! The instance's output on its way into the ring.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use loglines::ring::{Stream, Writer};
use rustix::pipe::PipeFlags;
use shim::{Job, RING};
use vocabulary::Timestamp;

use crate::lines::Lines;
use crate::{Doing, Error};

/// How much is read at once: what a pipe holds.
const READ: usize = 64 * 1024;

/// The streams, if they are kept, and the ring.
pub(crate) struct Output {
    ring: Writer,
    streams: Vec<Source>,
    buffer: Vec<u8>,
}

struct Source {
    stream: Stream,
    pipe: Option<OwnedFd>,
    lines: Lines,
}

impl Output {
    /// Makes the ring.
    pub(crate) fn new(job: &Job) -> Result<Self, Error> {
        let path = job.run_folder.join(RING);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let ring = Writer::create(file.doing("make the ring")?, job.ring_bytes).doing("format the ring")?;
        Ok(Self { ring, streams: Vec::new(), buffer: Vec::new() })
    }

    /// Makes a pipe that leads into the ring; the end the instance writes to.
    pub(crate) fn pipe(&mut self, stream: Stream) -> Result<OwnedFd, Error> {
        let (read, write) = pipe()?;
        self.streams.push(Source { stream, pipe: Some(read), lines: Lines::default() });
        Ok(write)
    }

    /// The pipes that are still open.
    pub(crate) fn pipes(&self) -> impl Iterator<Item = &OwnedFd> {
        self.streams.iter().filter_map(|source| source.pipe.as_ref())
    }

    /// Reads what is there, both streams in turn, until there is no more or 16 reads were made, so that the other
    /// work of the shim gets its turn too. Tells whether anything was read.
    pub(crate) fn drain(&mut self) -> Result<bool, Error> {
        // Only while there is output: an idle shim holds no buffer.
        self.buffer.resize(READ, 0);
        let mut any = false;
        for _ in 0..16 {
            if !self.drain_once()? {
                break;
            }
            any = true;
        }
        self.ring.flush().doing("write the ring")?;
        self.buffer = Vec::new();
        Ok(any)
    }

    fn drain_once(&mut self) -> Result<bool, Error> {
        let mut any = false;
        for source in &mut self.streams {
            let Some(pipe) = &source.pipe else { continue };
            match rustix::io::read(pipe.as_fd(), &mut *self.buffer) {
                Ok(0) => source.pipe = None,
                Ok(count) => {
                    any = true;
                    let (ring, stream, time) = (&mut self.ring, source.stream, Timestamp::now());
                    let bytes = self.buffer.get(..count).unwrap_or_default();
                    source.lines.take(bytes, |line| ring.stage(stream, time, line)).doing("write the ring")?;
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).doing("read output"),
            }
        }
        Ok(any)
    }

    /// Takes the last of it, once no writer is left, and marks the end.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        while self.drain()? {}
        for source in &mut self.streams {
            if let Some(rest) = source.lines.rest() {
                self.ring.stage(source.stream, Timestamp::now(), &rest).doing("write the ring")?;
            }
        }
        self.ring.end().doing("end the ring")
    }
}

/// A pipe that never makes the reader wait.
fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    let make = || -> io::Result<_> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&read, true)?;
        Ok((read, write))
    };
    make().doing("make a pipe")
}
