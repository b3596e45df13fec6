//! The descriptors a process hands on.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// Takes a descriptor that this process inherited under a fixed number.
///
/// Fails if nothing is open there. Call it once for each number, at the start of the program, before anything else
/// opens descriptors: from then on the value owns it.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // -1 is what a borrowed descriptor must never be.
    if number < 0 {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::BADF.raw_os_error()));
    }
    // SAFETY: the borrow ends with the next call, which only asks the kernel whether the number is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_getfd(borrowed)?;
    // SAFETY: the number is open (checked above), and the caller takes it once, as this function's doc demands; a
    // second owner would be a double close, which std reports but which corrupts no memory.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn an_open_descriptor_is_taken_by_its_number() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let number = reader.as_raw_fd();
        std::mem::forget(reader);
        assert_eq!(inherited(number).unwrap().as_raw_fd(), number);
    }

    #[test]
    fn what_is_not_open_is_refused() {
        assert!(inherited(1000).is_err());
        assert!(inherited(-1).is_err());
    }
}
