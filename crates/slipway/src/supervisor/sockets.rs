//! Listening sockets, and control's pipe of complaints.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::users::User;

/// A public socket.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    Ok(TcpListener::bind(address)?.into())
}

/// A role's own socket, for one user beside root.
pub(crate) fn unix(path: &Path, user: User) -> io::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixListener::bind(path)?;
    chown(path, Some(user.uid), Some(user.gid))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(socket.into())
}

/// Passes on the process ids that control writes, a line each, of routers that do not take routes.
pub(crate) fn forward_pids(pipe: OwnedFd, to: mpsc::Sender<u32>) -> io::Result<()> {
    let mut lines = BufReader::new(pipe::Receiver::from_owned_fd(pipe)?).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Ok(pid) = line.trim().parse() {
                // A replacement that is under way already is enough.
                to.try_send(pid).unwrap_or_default();
            }
        }
    });
    Ok(())
}
