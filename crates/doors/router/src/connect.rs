//! Connections that `slipway connect` carries from a machine elsewhere: TLS whose ALPN names our protocol, and inside it
//! the very bytes a client there wrote to its loopback.
//!
//! ```text
//! heroku, git ── bytes ──▶ agent ══ TLS, ALPN slipway-connect/1: bytes ══▶ router: first byte, TLS or HTTP, as on any socket
//! ```
//!
//! One carried connection is one connection here: it counts as one, its client's address is the agent's, and it is allowed
//! what any stranger's is. It costs the memory of two TLS sessions, so that only a part of all may be of this kind.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What an agent asks for in ALPN, and nothing beside it.
pub const PROTOCOL: &[u8] = b"slipway-connect/1";
/// Of so many connections one may be carried.
const SHARE: usize = 4;
/// How much may be read to see the first byte.
const FIRST: usize = 4096;

/// Whether this handshake was an agent's.
pub(crate) fn is_chosen(session: &ServerConnection) -> bool {
    session.alpn_protocol() == Some(PROTOCOL)
}

/// A carried connection: the inside of an agent's TLS session.
#[derive(Debug)]
pub(crate) struct Carried {
    stream: TlsStream<TcpStream>,
    /// What was read to see the first byte.
    early: BytesMut,
}

impl Carried {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, early: BytesMut::new() }
    }

    /// The first byte, which is read again; nothing if the client left.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        self.early.reserve(FIRST);
        self.stream.read_buf(&mut self.early).await?;
        Ok(self.early.first().copied())
    }

    /// The agent's socket.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref().0
    }
}

impl AsyncRead for Carried {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let length = this.early.len().min(buf.remaining());
        buf.put_slice(&this.early.split_to(length));
        if !this.early.has_remaining() {
            this.early = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carried {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// How many carried connections there are, over all workers.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
    /// Whether the log was told that all are taken; it is told once until one is free again.
    is_full: Arc<AtomicBool>,
}

/// One of them; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    /// Places for a router that serves so many connections.
    pub(crate) fn new(connections: usize) -> Self {
        Self { taken: Arc::default(), most: (connections / SHARE).max(1), is_full: Arc::default() }
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Place> {
        let before = self.taken.fetch_add(1, Relaxed);
        let place = Place(Arc::clone(&self.taken));
        if before >= self.most {
            if !self.is_full.swap(true, Relaxed) {
                tracing::warn!(most = self.most, "too many carried connections; more are refused until one ends");
            }
            return None;
        }
        self.is_full.store(false, Relaxed);
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_all_may_be_carried_and_a_place_is_free_again() {
        let places = Places::new(8);
        let taken = [places.take().unwrap(), places.take().unwrap()];
        assert!(places.take().is_none());
        drop(taken);
        assert!(places.take().is_some());
    }
}
