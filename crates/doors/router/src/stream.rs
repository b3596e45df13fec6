//! A socket that two halves of one task use at once, and that holds no buffer while it waits.
//!
//! Reading and writing at once is what streaming both ways needs; all of it happens on one thread, so the halves share
//! the socket by `Rc`. Bytes are read into one scratch buffer per thread and copied out of there: a connection that
//! waits for its next request owns no buffer at all, which is most of what an idle connection costs elsewhere.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::connect::Carried;

/// How much is read at once, in bytes.
const SCRATCH: usize = 16 * 1024;

thread_local! {
    static SCRATCH_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// A socket shared by the halves of one task.
#[derive(Debug)]
pub(crate) struct Shared<S>(Rc<RefCell<S>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// Why bytes could not be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// The other side closed or reset the connection.
    Left,
    /// It did not take a byte for too long.
    Idle,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Shared<S> {
    /// Shares a socket.
    pub(crate) fn new(stream: S) -> Self {
        Self(Rc::new(RefCell::new(stream)))
    }

    /// The socket itself; nothing if another half still has it.
    pub(crate) fn into_inner(self) -> Option<S> {
        Rc::into_inner(self.0).map(RefCell::into_inner)
    }

    /// Reads what is there, at least a byte, to the end of `into`; 0 at the end of the stream. May be cancelled.
    pub(crate) async fn read(&self, into: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|context| self.poll_read(context, into)).await
    }

    fn poll_read(&self, context: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        SCRATCH_BUFFER.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *self.0.borrow_mut()).poll_read(context, &mut buffer))?;
            into.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Writes all of `bytes`; `idle` is how long the other side may take nothing.
    pub(crate) async fn write(&self, mut bytes: impl Buf, idle: Duration) -> Result<(), Unwritten> {
        while bytes.has_remaining() {
            let some = timeout(idle, poll_fn(|context| self.poll_write(context, &bytes))).await;
            match some {
                Ok(Ok(0) | Err(_)) => return Err(Unwritten::Left),
                Ok(Ok(written)) => bytes.advance(written),
                Err(_) => return Err(Unwritten::Idle),
            }
        }
        let flush = poll_fn(|context| Pin::new(&mut *self.0.borrow_mut()).poll_flush(context));
        timeout(idle, flush).await.map_err(|_| Unwritten::Idle)?.map_err(|_| Unwritten::Left)
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &impl Buf) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); 4];
        let count = bytes.chunks_vectored(&mut slices);
        let slices = slices.get(..count).unwrap_or_default();
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(context, slices)
    }

    /// Says that nothing more will be written.
    pub(crate) async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(context)).await
    }
}

impl Shared<Client> {
    /// Makes the end of the connection a reset.
    pub(crate) fn reset_on_close(&self) {
        let client = self.0.borrow();
        let socket = match &*client {
            Client::Plain(stream) => stream,
            Client::Tls(stream) => stream.get_ref().0,
            Client::Carried(stream) => stream.socket(),
            Client::CarriedTls(stream) => stream.get_ref().0.socket(),
        };
        if let Err(error) = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)) {
            tracing::warn!(%error, "cannot reset a connection");
        }
    }
}

/// A client's connection, plain or through TLS.
#[derive(Debug)]
pub(crate) enum Client {
    /// HTTP as it is.
    Plain(TcpStream),
    /// HTTP through TLS; boxed, since it is large and the rarer one on a small machine.
    Tls(Box<TlsStream<TcpStream>>),
    /// HTTP as it is, carried by a `slipway connect`.
    Carried(Box<Carried>),
    /// HTTP through TLS, carried so.
    CarriedTls(Box<TlsStream<Carried>>),
}

impl AsyncRead for Client {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Carried(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::CarriedTls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Carried(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::CarriedTls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Carried(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::CarriedTls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Carried(stream) => Pin::new(stream).poll_flush(cx),
            Self::CarriedTls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Carried(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::CarriedTls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
