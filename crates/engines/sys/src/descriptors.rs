//! The descriptors a process hands on.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::check;

/// Takes a descriptor that this process inherited under a fixed number. It is inherited no further: a child that outlives
/// this process, such as a shim, would hold a role's sockets open.
///
/// Fails if nothing is open there. Call it once for each number, at the start of the program, before anything else
/// opens descriptors: from then on the value owns it.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD sets a flag, fails where nothing is open, and touches no memory.
    let marked = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    check(marked.into())?;
    // SAFETY: the number is open (checked above), and the caller takes it once, as this function's doc demands; a
    // second owner would be a double close, which std reports but which corrupts no memory.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Takes every open descriptor that exec would hand on, with its number: what this process was given itself.
///
/// For a process that is about to become another program, such as pid 1's child: no value that owns one may be used or
/// dropped beside what is answered.
pub fn handed_on() -> io::Result<Vec<(OwnedFd, RawFd)>> {
    let mut numbers: Vec<RawFd> = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    // The folder just read stands in the list too; it was to be closed by exec, and is closed already.
    numbers.retain(|number| {
        // SAFETY: F_GETFD reads a flag, fails where nothing is open, and touches no memory.
        let flags = unsafe { libc::fcntl(*number, libc::F_GETFD) };
        flags >= 0 && flags & libc::FD_CLOEXEC == 0
    });
    numbers.into_iter().map(|number| Ok((inherited(number)?, number))).collect()
}

/// Closes every descriptor from `first` on.
///
/// For a process about to give up all it had, such as pid 1 after it started its program: values that own such a
/// descriptor must not be used or dropped afterwards.
pub fn close_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).unwrap_or(0);
    // SAFETY: close_range touches no memory; who still owns a closed descriptor is the caller's affair, as said above.
    let closed = unsafe { libc::close_range(first, libc::c_uint::MAX, 0) };
    check(closed.into()).map(drop)
}

/// Puts each descriptor at its number and marks all others to be closed by exec.
///
/// For the last step before exec only: numbers that were in use are replaced.
pub(crate) fn arrange(fds: Vec<(OwnedFd, RawFd)>) -> io::Result<()> {
    // First out of the way of every wanted number, so that no source is overwritten before it is moved.
    let base = fds.iter().map(|(_, number)| number + 1).max().unwrap_or(0).max(3);
    let mut moved = Vec::with_capacity(fds.len());
    for (fd, number) in &fds {
        // SAFETY: F_DUPFD_CLOEXEC makes a new descriptor and touches no memory.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, base) };
        check(copy.into())?;
        moved.push((copy, *number));
    }
    // The originals may sit on wanted numbers; they live until exec closes them.
    std::mem::forget(fds);
    // SAFETY: close_range with CLOEXEC only sets flags.
    let marked = unsafe { libc::close_range(0, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    check(marked.into())?;
    for (copy, number) in moved {
        // SAFETY: dup2 touches no memory; `copy` is open and differs from `number`, so the new one has no CLOEXEC.
        let placed = unsafe { libc::dup2(copy, number) };
        check(placed.into())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_descriptor_is_inherited_no_further() {
        let (read, _write) = rustix::pipe::pipe().unwrap();
        let number = std::mem::ManuallyDrop::new(read).as_raw_fd();
        let taken = inherited(number).unwrap();
        assert!(rustix::io::fcntl_getfd(&taken).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(inherited(i32::MAX).is_err());
    }
}
