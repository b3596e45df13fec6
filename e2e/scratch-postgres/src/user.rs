//! Who a scratch server runs as.

use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

/// The user the package makes.
const NAME: &str = "postgres";

/// Gives the folder to the server; others may pass through it to the socket.
pub(crate) fn give(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711))?;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no user postgres here: install the package postgresql");
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("postgres:")).ok_or_else(missing)?;
    let mut ids = line.split(':').skip(2).map(str::parse::<u32>);
    let (Some(Ok(uid)), Some(Ok(gid))) = (ids.next(), ids.next()) else { return Err(missing()) };
    chown(folder, Some(uid), Some(gid))
}

/// A program run as that user, and killed with the thread that starts it.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL");
    if rustix::process::geteuid().is_root() {
        command.arg(format!("--reuid={NAME}")).arg(format!("--regid={NAME}")).arg("--init-groups");
    }
    command.arg("--").arg(program);
    command
}
