//! The engine's end of the socket to a shim.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Serialize;
use shim::{FromShim, packets};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// A connection to a shim. Packets are small and few, so sending never waits.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UnixStream,
}

impl Link {
    /// Two ends: ours, and the one a shim is started with.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Self::new(ours)?, theirs))
    }

    /// Reaches a shim that an earlier engine started.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Self::new(socket)
    }

    fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        // Packets instead of a stream, but tokio only waits for it; what is sent and received is ours.
        Ok(Self { socket: UnixStream::from_std(socket.into())? })
    }

    pub(crate) fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        packets::send(self.socket.as_fd(), message, fds)
    }

    /// The next packet; `None` once the shim is gone.
    pub(crate) async fn receive(&self) -> io::Result<Option<(FromShim, Vec<OwnedFd>)>> {
        self.socket.async_io(Interest::READABLE, || packets::receive(self.socket.as_fd())).await
    }
}
