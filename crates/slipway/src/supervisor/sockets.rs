//! Listening sockets, and control's pipe of complaints.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
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

/// A role's own socket, for one user beside root. It appears at its path, in the place of an older one, when nobody else
/// can reach it: until then it lies in a folder that is root's alone.
pub(crate) fn unix(path: &Path, user: User) -> io::Result<OwnedFd> {
    let folder = path.with_extension("new");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let place = folder.join("s");
    let socket = UnixListener::bind(&place)?;
    chown(&place, Some(user.uid), Some(user.gid))?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o600))?;
    fs::rename(&place, path)?;
    fs::remove_dir(folder)?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_is_its_users_alone_and_takes_the_place_of_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        // What an earlier supervisor that was killed left behind.
        fs::create_dir(path.with_extension("new")).unwrap();
        let older = unix(&path, User { uid: 1234, gid: 1234 }).unwrap();
        let newer = UnixListener::from(unix(&path, User { uid: 4321, gid: 4321 }).unwrap());
        drop(older);
        let there = fs::metadata(&path).unwrap();
        assert_eq!((there.uid(), there.gid(), there.mode() & 0o777), (4321, 4321, 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let client = UnixStream::connect(&path).unwrap();
        newer.accept().unwrap();
        drop(client);
    }
}
