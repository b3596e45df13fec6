//! Pipes to and from an instance, and waiting.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::pipe::PipeFlags;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// How long a waiter sleeps without being told of a change; being told is an optimisation only.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A pipe whose both ends block and close on exec: read end, write end.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// Reads a pipe to its end, at most `limit` bytes; more is an error.
pub(crate) async fn read_all(fd: OwnedFd, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe::Receiver::from_owned_fd(fd)?.take(limit + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more than was agreed came through a pipe"));
    }
    Ok(bytes)
}

/// Waits for a change, or for the time after which one looks anyway.
pub(crate) async fn changed(changes: &mut watch::Receiver<()>) {
    if let Ok(Err(_)) = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await {
        // Nobody is left who tells; the timer alone drives the waiter.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
