//! Taking every right away, for good.

use std::os::fd::{AsFd, OwnedFd};

use inside_contract::APP_UID;
use rustix::fs::{Gid, Uid};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, LinkNameSpaceType};

use crate::{Doing, Error};

/// Open files, as Heroku allows them (Dev Center, "Limits"); fewer where the host allows fewer.
const OPEN_FILES: u64 = 10_000;

/// Turns this process into one of the instance's user without any right. `filter` is `sys::seccomp`'s.
///
/// The user namespace is joined only now: every other namespace belongs to the host, so that even a process that
/// became root inside would have no power over them.
pub(crate) fn give_up_rights(user_namespace: &OwnedFd, filter: &[u8]) -> Result<(), Error> {
    limit(Resource::Nofile, OPEN_FILES)?;
    limit(Resource::Core, 0)?;
    rustix::thread::set_thread_groups(&[]).doing("leave the host's groups")?;
    rustix::thread::move_into_link_name_space(user_namespace.as_fd(), Some(LinkNameSpaceType::User))
        .doing("join the user namespace")?;
    let (user, group) = (Uid::from_raw(APP_UID), Gid::from_raw(APP_UID));
    rustix::thread::set_thread_res_gid(group, group, group).doing("become the app's group")?;
    empty_bounding_set()?;
    rustix::thread::set_capabilities_secure_bits(no_way_back()).doing("lock the way to capabilities")?;
    rustix::thread::set_thread_res_uid(user, user, user).doing("become the app's user")?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::clear_ambient_capability_set().doing("clear the ambient capabilities")?;
    rustix::thread::set_capabilities(None, none).doing("give up all capabilities")?;
    rustix::thread::set_no_new_privs(true).doing("renounce new privileges")?;
    // After the change of user, which clears it: without its shim an instance must not go on unseen.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).doing("tie the instance to its shim")?;
    sys::seccomp::apply(filter).doing("filter kernel calls")
}

/// Lowers a limit; never raises it, which the host may not allow even to root.
fn limit(resource: Resource, wanted: u64) -> Result<(), Error> {
    let hard = rustix::process::getrlimit(resource).maximum.map_or(wanted, |hard| hard.min(wanted));
    let limit = Rlimit { current: Some(hard), maximum: Some(hard) };
    rustix::process::setrlimit(resource, limit).doing("lower a limit")
}

fn empty_bounding_set() -> Result<(), Error> {
    for number in 0..u64::BITS {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // Past the last capability this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error).doing("empty the bounding set"),
        }
    }
    Ok(())
}

fn no_way_back() -> CapabilitiesSecureBits {
    CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED
}
