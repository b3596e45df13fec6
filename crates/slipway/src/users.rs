//! The system users the roles run as; made when they are missing.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// A system user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    /// Its user id.
    pub(crate) uid: u32,
    /// Its group's id.
    pub(crate) gid: u32,
}

/// The users of the platform, one for each thing that must not read another's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Users {
    /// `slipway`: control; owns the store, keys and blobs.
    pub(crate) control: User,
    /// `slipway-router`.
    pub(crate) router: User,
    /// `slipway-git`: git children; owns the repositories.
    pub(crate) git: User,
    /// `slipway-packer`: packers and the DNS forwarder, which read hostile bytes; owns nothing.
    pub(crate) packer: User,
}

/// Their names, in the order of the fields.
const NAMES: [&str; 4] = ["slipway", "slipway-router", "slipway-git", "slipway-packer"];

impl Users {
    /// Finds the users, making those that are missing. Needs root.
    pub(crate) fn ensure() -> io::Result<Self> {
        let [control, router, git, packer] = NAMES;
        Ok(Self { control: ensure(control)?, router: ensure(router)?, git: ensure(git)?, packer: ensure(packer)? })
    }
}

impl Users {
    /// Those of the users that are not there.
    pub(crate) fn missing() -> io::Result<Vec<&'static str>> {
        let mut missing = vec![];
        for name in NAMES {
            if find(name)?.is_none() {
                missing.push(name);
            }
        }
        Ok(missing)
    }

    /// The user that owns the store, if the platform was ever up here.
    pub(crate) fn find_control() -> io::Result<User> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no user slipway; run `slipway up` first");
        find("slipway")?.ok_or_else(missing)
    }
}

impl User {
    /// Gives up being root for this user, for good. Only this thread and those it starts: call it before there are
    /// others.
    pub(crate) fn become_it(self) -> io::Result<()> {
        use rustix::process::{Gid, Uid};
        use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
        if rustix::process::geteuid().as_raw() == self.uid {
            return Ok(());
        }
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "run this as root (sudo)"));
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        Ok(())
    }
}

fn ensure(name: &str) -> io::Result<User> {
    if let Some(user) = find(name)? {
        return Ok(user);
    }
    let made = Command::new("useradd")
        .args(["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"])
        .args(["--shell", "/usr/sbin/nologin", "--comment", "Slipway", name])
        .stdin(Stdio::null())
        .output()?;
    if !made.status.success() {
        let told = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        return Err(io::Error::other(format!("useradd could not make the user {name}: {told}")));
    }
    find(name)?.ok_or_else(|| io::Error::other(format!("useradd made no user {name}")))
}

/// The line of /etc/passwd with this name.
fn find(name: &str) -> io::Result<Option<User>> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    Ok(passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some(User { uid, gid })
    }))
}

/// Makes a folder, if it is missing, and gives it this mode and owner; what is in it stays as it is.
pub(crate) fn own_folder(path: &Path, mode: u32, owner: Option<User>) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    chown(path, Some(owner.map_or(0, |user| user.uid)), Some(owner.map_or(0, |user| user.gid)))
}
