//! What one supervisor leaves to the next, which is the same process running another program, or its guard: descriptors by
//! their numbers, and what they are. Written to `/run/slipway-ID/handover.json`, named in the environment, read once.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings::Settings;

/// The variable that names the file.
pub(super) const VARIABLE: &str = "SLIPWAY_HANDOVER";
/// The form of the file. Another one is not understood, which the check before an upgrade finds out.
pub(crate) const FORM: u32 = 2;

/// A role with its sockets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HandedRole {
    pub(super) name: String,
    /// Its process, and a handle to it; none if it had ended.
    pub(super) process: Option<(i32, RawFd)>,
    pub(super) sockets: Vec<(String, RawFd)>,
}

/// The other one of a supervisor and its guard.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Partner {
    pub(super) pid: i32,
    /// Where the two speak.
    pub(super) socket: RawFd,
}

/// All that the next program needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(super) form: u32,
    /// Who is to read it: a file that another process left says nothing.
    pub(super) process: u32,
    /// The settings, as the program that is to read this writes them.
    pub(super) settings: Value,
    pub(super) lock: RawFd,
    pub(super) lifeline: (RawFd, RawFd),
    pub(super) complaints: RawFd,
    /// The socket of requests for an upgrade, and who asked for this one.
    pub(super) requests: RawFd,
    pub(super) client: Option<RawFd>,
    pub(super) listeners: Vec<(String, RawFd)>,
    pub(super) roles: Vec<HandedRole>,
    /// Of the supervisor its guard, none on the way back; of the guard the supervisor.
    pub(super) partner: Option<Partner>,
    /// Why we are back, if we are: the roles are of the program that failed.
    pub(super) failed: Option<String>,
}

/// Takes what was left for this process, if anything was.
pub(crate) fn take() -> io::Result<Option<Handover>> {
    let Some(file) = crate::settings::handover() else { return Ok(None) };
    Ok(read(&file)?.filter(|handover| handover.process == std::process::id()))
}

/// Reads a file and takes it away.
pub(super) fn read(file: &Path) -> io::Result<Option<Handover>> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    fs::remove_file(file)?;
    let handover: Handover = serde_json::from_slice(&bytes)?;
    Ok((handover.form == FORM).then_some(handover))
}

impl Handover {
    /// The settings to go on with.
    pub(super) fn settings(&self) -> io::Result<Settings> {
        Ok(Settings::deserialize(&self.settings)?)
    }

    /// Writes it for whoever becomes another program, or starts one.
    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        super::write_private(file, &serde_json::to_vec(self)?)
    }
}

/// Becomes a program that finds a handover in `file`. Comes back only if that fails.
pub(super) fn become_program(program: &Path, file: &Path) -> io::Error {
    use std::os::unix::process::CommandExt;
    std::process::Command::new(program).arg0("slipway").arg("up").args(words()).env(VARIABLE, file).exec()
}

/// Has descriptors handed on to what is executed, or keeps them back again.
pub(super) fn hand_on(fds: &[BorrowedFd<'_>], is_handed: bool) -> io::Result<()> {
    let flags = if is_handed { FdFlags::empty() } else { FdFlags::CLOEXEC };
    fds.iter().try_for_each(|fd| Ok(rustix::io::fcntl_setfd(fd, flags)?))
}

/// Takes a descriptor of a handover.
pub(super) fn take_fd(number: RawFd) -> io::Result<OwnedFd> {
    sys::descriptors::inherited(number)
}

/// Takes sockets of a handover.
pub(super) fn take_named(all: &[(String, RawFd)]) -> io::Result<Vec<(String, OwnedFd)>> {
    all.iter().map(|(name, number)| Ok((name.clone(), take_fd(*number)?))).collect()
}

/// The numbers of sockets.
pub(super) fn numbers(all: &[(String, OwnedFd)]) -> Vec<(String, RawFd)> {
    all.iter().map(|(name, fd)| (name.clone(), fd.as_raw_fd())).collect()
}

/// Borrows sockets.
pub(super) fn borrowed(all: &[(String, OwnedFd)]) -> impl Iterator<Item = BorrowedFd<'_>> {
    all.iter().map(|(_, fd)| fd.as_fd())
}

/// The words `slipway up` was called with, behind its name.
pub(super) fn words() -> Vec<OsString> {
    std::env::args_os().skip(2).collect()
}
