//! The kernel calls that the safe libraries do not wrap: all `unsafe` of the platform.
//!
//! Knows calls, not instances. Every function here is safe to call: what a call relies on is either given by its
//! types or checked first (a fork is refused in a process with threads). Calls that rustix wraps are made where they
//! are needed, not here.

pub mod confine;
pub mod descriptors;
pub mod loops;
pub mod mounts;
pub mod namespace;
pub mod processes;
pub mod seccomp;
pub mod signals;

use std::io;

/// The result of a raw call: its value, or the error in `errno`.
fn check(value: libc::c_long) -> io::Result<libc::c_long> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
