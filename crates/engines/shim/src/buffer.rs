//! Bytes on their way from one descriptor to another, as many as one reading gives.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

/// The most bytes that wait here: what a pipe holds.
const SIZE: usize = 64 * 1024;

/// What became of an attempt to move bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// At least one byte was moved.
    Some,
    /// There is nothing, or no room, for now.
    Nothing,
    /// The other side will give or take nothing any more.
    Over,
}

/// The bytes. It is filled only when it is empty, and holds no memory then.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    sent: usize,
}

impl Buffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Reads once.
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>) -> Moved {
        let mut bytes = vec![0; SIZE];
        match rustix::io::read(from, &mut bytes) {
            Ok(0) => Moved::Over,
            Ok(count) => {
                bytes.truncate(count);
                *self = Self { bytes, sent: 0 };
                Moved::Some
            }
            Err(Errno::AGAIN | Errno::INTR) => Moved::Nothing,
            // A terminal that nobody has open any more answers EIO.
            Err(_) => Moved::Over,
        }
    }

    /// Writes once.
    pub(crate) fn empty(&mut self, to: BorrowedFd<'_>) -> Moved {
        match rustix::io::write(to, self.bytes.get(self.sent..).unwrap_or_default()) {
            Ok(count) => {
                self.sent += count;
                if self.sent == self.bytes.len() {
                    self.clear();
                }
                Moved::Some
            }
            Err(Errno::AGAIN | Errno::INTR) => Moved::Nothing,
            Err(_) => Moved::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::pipe::PipeFlags;

    use super::*;

    #[test]
    fn bytes_go_through_and_an_end_is_an_end() {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
        let (out, into) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut buffer = Buffer::default();
        assert_eq!(buffer.fill(read.as_fd()), Moved::Nothing);
        rustix::io::write(&write, b"hello").unwrap();
        assert_eq!((buffer.fill(read.as_fd()), buffer.is_empty()), (Moved::Some, false));
        assert_eq!((buffer.empty(into.as_fd()), buffer.is_empty()), (Moved::Some, true));
        let mut bytes = [0; 8];
        assert_eq!(rustix::io::read(&out, &mut bytes), Ok(5));
        drop(write);
        assert_eq!(buffer.fill(read.as_fd()), Moved::Over);
    }

    #[test]
    fn what_finds_no_room_waits() {
        let (_out, into) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
        while rustix::io::write(&into, &[0; 4096]).is_ok() {}
        rustix::io::write(&write, b"x").unwrap();
        let mut buffer = Buffer::default();
        buffer.fill(read.as_fd());
        assert_eq!((buffer.empty(into.as_fd()), buffer.is_empty()), (Moved::Nothing, false));
    }
}
