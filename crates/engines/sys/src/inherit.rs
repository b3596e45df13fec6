//! Descriptors a parent process left for us.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes ownership of the descriptors `first`, `first + 1`, … that were open when this process began, and marks them
/// close-on-exec. Call it once, first thing in `main`, before anything else opens a descriptor; a second call, or a
/// number that is not open, yields nothing.
#[must_use]
pub fn inherited(first: RawFd, count: usize) -> Vec<OwnedFd> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    (first..).take(count).map_while(take).collect()
}

fn take(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: a borrow of a number that may be closed; fcntl answers EBADF then, and the borrow ends here.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    fcntl_getfd(borrowed).ok()?;
    fcntl_setfd(borrowed, FdFlags::CLOEXEC).ok()?;
    // SAFETY: the number is open, was handed over by the parent for this purpose, and `inherited` runs once, before
    // any other owner of it can exist in this process.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
