//! Takes rights from a child process between fork and exec.
//!
//! Knows users, resource limits, Landlock and descriptors; knows no program. Everything a child needs is made before
//! the fork, so that the child itself only makes system calls.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{Gid, Uid, UnshareFlags};

/// Where the descriptors wait while their numbers are made free; far above any number asked for.
const PARKING: i32 = 64;

/// What a child is left with.
#[derive(Debug)]
pub struct Confinement {
    /// The user it becomes.
    pub uid: u32,
    /// Its only group.
    pub gid: u32,
    /// Whether it gets an empty network namespace.
    pub no_network: bool,
    /// Hard limits.
    pub limits: Vec<(Resource, u64)>,
    /// The files it may touch; `None` leaves it to file modes.
    pub files: Option<Files>,
    /// Descriptors beyond the standard three and the numbers they get; all others are closed.
    pub fds: Vec<(OwnedFd, i32)>,
}

/// The parts of the file system a child may touch. A path that does not exist is left out.
#[derive(Debug, Default)]
pub struct Files {
    /// Folders or files to read and execute.
    pub read: Vec<PathBuf>,
    /// Folders or files to read and change.
    pub write: Vec<PathBuf>,
}

/// Why a child could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused the rules.
    #[error("could not make the landlock rules")]
    Rules(#[from] landlock::RulesetError),
    /// A descriptor could not be put aside.
    #[error("could not put a descriptor aside")]
    Park(#[source] io::Error),
}

/// Keeps the numbers of a child's descriptors taken in this process while it spawns the child. Without that, the pipe
/// through which the standard library hears of a failed exec could have one of these numbers in the child.
#[derive(Debug)]
#[must_use = "hold it until the child is spawned"]
pub struct Places(#[expect(dead_code, reason = "held, never read")] Vec<OwnedFd>);

/// Makes `command` give up its rights when it is spawned.
pub fn confine(command: &mut Command, confinement: Confinement) -> Result<Places, Error> {
    let Confinement { uid, gid, no_network, limits, files, fds } = confinement;
    let mut rules = files.as_ref().map(rules).transpose()?;
    let mut parked = Vec::with_capacity(fds.len());
    let mut places = Vec::new();
    for (fd, number) in fds {
        places.extend(take_place(&fd, number)?);
        let high = rustix::io::fcntl_dupfd_cloexec(&fd, PARKING).map_err(|error| Error::Park(error.into()))?;
        parked.push((high, number));
    }
    let before_exec = move || {
        if no_network {
            // SAFETY: the child of a fork has one thread, and NEWNET leaves its descriptors alone.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
        }
        become_user(uid, gid)?;
        for (resource, most) in &limits {
            rustix::process::setrlimit(*resource, Rlimit { current: Some(*most), maximum: Some(*most) })?;
        }
        rustix::thread::set_no_new_privs(true)?;
        if let Some(rules) = rules.take() {
            let status = rules.restrict_self().map_err(|_| io::Error::from(io::ErrorKind::PermissionDenied))?;
            // A kernel without Landlock: better no child than one that sees more than was promised.
            if status.ruleset == landlock::RulesetStatus::NotEnforced {
                return Err(io::ErrorKind::Unsupported.into());
            }
        }
        place(&parked)
    };
    // SAFETY: the closure makes system calls on memory made before the fork and allocates nothing unless it fails,
    // when the child ends anyway.
    unsafe { command.pre_exec(before_exec) };
    Ok(Places(places))
}

/// Occupies every free number from 3 up to `number`.
fn take_place(fd: &OwnedFd, number: i32) -> Result<Vec<OwnedFd>, Error> {
    use std::os::fd::AsRawFd;
    let mut held = Vec::new();
    loop {
        let lowest = rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|error| Error::Park(error.into()))?;
        if lowest.as_raw_fd() > number {
            return Ok(held);
        }
        held.push(lowest);
    }
}

fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Gives the parked descriptors their numbers. They are the only ones that survive exec.
fn place(parked: &[(OwnedFd, i32)]) -> io::Result<()> {
    for (fd, number) in parked {
        // SAFETY: the number's descriptor in this process is a place holder of the parent's (see `Places`) or closed;
        // forgetting the owner below keeps it open until exec.
        let mut target =
            std::mem::ManuallyDrop::new(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(*number) });
        rustix::io::dup2(fd.as_fd(), &mut target)?;
    }
    Ok(())
}

/// Rules for everything this kernel can restrict, and nothing allowed but `files`.
fn rules(files: &Files) -> Result<RulesetCreated, Error> {
    let abi = ABI::V6;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(landlock::AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    for (paths, access) in [(&files.read, AccessFs::from_read(abi)), (&files.write, AccessFs::from_all(abi))] {
        for path in paths {
            let Ok(opened) = PathFd::new(path) else { continue };
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    Ok(rules)
}

/// Ends this process when the process that made it ends. For helpers that are spawned from a thread that stays.
pub fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}
