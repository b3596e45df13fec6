//! Descriptors a program was started with, by their number. The standard library names only 0, 1 and 2; the programs
//! inside an instance are handed more (`inside-contract` lists them).

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Takes the inherited descriptor `number`, which is from now on closed on exec. An error if it is not open.
///
/// To be called once per number, first thing in `main`, before anything else opened a descriptor.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptors up to 2 belong to the standard streams"));
    }
    // SAFETY: the borrow ends with this function's first two calls, which only ask the kernel about the number; if it
    // is not open the kernel says EBADF and nothing of it is used.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed)?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor was opened by this process itself"));
    }
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: the number is open, as the kernel just said, and was not opened by Rust code of this process, which marks
    // all it opens close-on-exec; marking it now makes a second call for the same number fail, so there is one owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn an_inherited_descriptor_is_taken_once() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let number = reader.as_raw_fd();
        let taken = take(number).unwrap();
        assert!(take(number).is_err(), "it is marked now");
        std::mem::forget(reader);
        assert_eq!(taken.as_raw_fd(), number);
    }

    #[test]
    fn what_is_not_open_is_refused() {
        assert!(take(1000).is_err());
        assert!(take(1).is_err());
    }
}
