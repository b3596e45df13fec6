//! What one supervisor leaves to the next, which is the same process running another program: descriptors by their
//! numbers, and the ids of children. Written to `/run/slipway-ID/handover.json`, named in the environment, read once.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};

/// The variable that names the file.
pub(super) const VARIABLE: &str = "SLIPWAY_HANDOVER";
/// The form of the file. Another one is not understood, which the check before an upgrade finds out.
pub(crate) const FORM: u32 = 1;

/// A child with the sockets of its role.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HandedRole {
    pub(super) name: String,
    pub(super) pid: i32,
    pub(super) sockets: Vec<(String, RawFd)>,
}

/// All that the next program needs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Handover {
    pub(super) form: u32,
    /// Who wrote it: a file that another process left says nothing.
    pub(super) process: u32,
    pub(super) lock: RawFd,
    pub(super) lifeline: (RawFd, RawFd),
    pub(super) complaints: RawFd,
    /// The socket of requests for an upgrade, and who asked for this one.
    pub(super) requests: RawFd,
    pub(super) client: Option<RawFd>,
    pub(super) listeners: Vec<(String, RawFd)>,
    pub(super) roles: Vec<HandedRole>,
    /// The program before, to go back to; none if this is the way back already.
    pub(super) before: Option<RawFd>,
    /// Why we are back, if we are: the roles are of the program that failed.
    pub(super) failed: Option<String>,
}

impl Handover {
    /// Takes what was left for this process, if anything was.
    pub(super) fn take() -> io::Result<Option<Self>> {
        let Some(file) = crate::settings::handover() else { return Ok(None) };
        let bytes = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        fs::remove_file(&file)?;
        let handover: Self = serde_json::from_slice(&bytes)?;
        Ok((handover.process == std::process::id() && handover.form == FORM).then_some(handover))
    }

    /// Every descriptor in it.
    fn numbers(&self) -> Vec<RawFd> {
        let mut all = vec![self.lock, self.lifeline.0, self.lifeline.1, self.complaints, self.requests];
        all.extend(self.client.into_iter().chain(self.before));
        all.extend(self.listeners.iter().map(|(_, number)| *number));
        all.extend(self.roles.iter().flat_map(|role| role.sockets.iter().map(|(_, number)| *number)));
        all
    }

    /// Becomes another program with all this. Comes back only if that fails, with everything as it was.
    pub(super) fn become_program(&self, program: &Path, file: &Path, kept: &[BorrowedFd<'_>]) -> io::Error {
        let written =
            serde_json::to_vec(self).map_err(io::Error::other).and_then(|text| super::write_private(file, &text));
        if let Err(error) = written {
            return error;
        }
        let numbers = self.numbers();
        let handed = || kept.iter().filter(|fd| numbers.contains(&fd.as_raw_fd()));
        for fd in handed() {
            if let Err(error) = rustix::io::fcntl_setfd(fd, FdFlags::empty()) {
                return error.into();
            }
        }
        let error = exec(program, file);
        for fd in handed() {
            // What stays open in a child that starts now is closed by the next exec; nothing else can be done about it.
            _ = rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC);
        }
        _ = fs::remove_file(file);
        error
    }
}

/// Takes a descriptor of a handover.
pub(super) fn take(number: RawFd) -> io::Result<OwnedFd> {
    sys::descriptors::inherited(number)
}

/// Takes sockets of a handover.
pub(super) fn take_named(all: &[(String, RawFd)]) -> io::Result<Vec<(String, OwnedFd)>> {
    all.iter().map(|(name, number)| Ok((name.clone(), take(*number)?))).collect()
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

fn exec(program: &Path, file: &Path) -> io::Error {
    use std::os::unix::process::CommandExt;
    let name = PathBuf::from("slipway");
    std::process::Command::new(program).arg0(name).arg("up").args(words()).env(VARIABLE, file).exec()
}
