//! The user namespace that maps an instance's ids to its own range on the host.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, WaitOptions};
use sys::processes::{Fork, Namespaces};

use crate::{Doing, Error};

/// How many ids an instance has: all a 16-bit system knows, `nobody` (65534) among them.
const COUNT: u32 = 65_536;

/// A new user namespace that maps the ids from 0 to those from `first` on. Nobody lives in it yet: it is used to map
/// the owners of mounts, and joined when all that needs rights is done, so that no other namespace of the instance
/// belongs to it.
pub(crate) fn namespace(first: u32) -> Result<OwnedFd, Error> {
    let fork = sys::processes::fork(Namespaces::User, None).doing("make a user namespace")?;
    let Fork::Parent { pid, pidfd } = fork else { hold_it_open() };
    let process = format!("/proc/{}", pid.as_raw_pid());
    let map = format!("0 {first} {COUNT}\n");
    let made = (|| {
        std::fs::write(format!("{process}/uid_map"), &map).doing("map user ids")?;
        std::fs::write(format!("{process}/gid_map"), &map).doing("map group ids")?;
        rustix::fs::open(format!("{process}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .doing("open the user namespace")
    })();
    rustix::process::pidfd_send_signal(pidfd.as_fd(), Signal::KILL).doing("end the user namespace's holder")?;
    rustix::process::waitpid(Some(pid), WaitOptions::empty()).doing("reap the user namespace's holder")?;
    made
}

fn hold_it_open() -> ! {
    // Dies with the shim if that is killed in between; otherwise the shim kills it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap_or(());
    loop {
        if sys::signals::wait().is_err() {
            sys::processes::end(1);
        }
    }
}
