//! Network namespaces of their own.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::thread::UnshareFlags;

/// Moves the calling thread, and all it starts from now on, into a new and empty network namespace.
pub fn enter_new_network() -> io::Result<()> {
    // SAFETY: NEWNET changes no table of descriptors.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// A new and empty network namespace; it lives as long as the descriptor or a process in it.
pub fn new_network() -> io::Result<OwnedFd> {
    let work = || {
        enter_new_network()?;
        File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
    };
    std::thread::spawn(work).join().map_err(|_| io::Error::other("the thread of a new namespace broke off"))?
}
