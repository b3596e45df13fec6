//! Connections to dynos and to control, and the ones that are kept for the next request.
//!
//! Each worker has a pool of its own, so that no request waits for a lock or another thread. Only a request that may be
//! repeated goes over a kept connection: the other side may have closed it a moment ago, and whether it read the request
//! before that nobody can know.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use vocabulary::DynoId;

use crate::pipe::Outlet;

/// Kept connections per worker and dyno.
const KEPT: usize = 8;
/// How long a kept connection that is still finishing is waited for: less than a new one costs when the machine is busy.
const FINISHING: Duration = Duration::from_millis(20);
/// The largest head of an answer in bytes (Heroku: 512 KB).
const ANSWER_HEAD: usize = 512 * 1024;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// A dyno.
    Dyno(DynoId),
    /// Control.
    Control,
}

/// A connection; dropping it cuts it.
#[derive(Debug)]
pub(crate) struct Upstream {
    sender: SendRequest<Outlet>,
    driver: JoinHandle<()>,
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The connection was closed before anything of the request was sent.
    NotSent,
    /// The connection was closed after that.
    Closed,
    /// What came is no HTTP.
    Unparsable,
    /// The answer's head is larger than 512 KB.
    TooLarge,
}

impl Upstream {
    /// Connects to a dyno.
    pub(crate) async fn to_dyno(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::over(stream).await
    }

    /// Connects to control.
    pub(crate) async fn to_control(socket: &Path) -> io::Result<Self> {
        Self::over(UnixStream::connect(socket).await?).await
    }

    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> io::Result<Self> {
        let mut settings = http1::Builder::new();
        let handshake = settings.max_buf_size(ANSWER_HEAD).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        let driver = tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::trace!(%error, "a connection to a dyno ended");
            }
        });
        Ok(Self { sender, driver })
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(&mut self, request: Request<Outlet>) -> Result<Response<Incoming>, Unanswered> {
        let sent = self.sender.try_send_request(request).await;
        let answer = sent.map_err(|mut error| match error.take_message() {
            Some(_) => Unanswered::NotSent,
            None => reason(error.error()),
        })?;
        // hyper stops reading near the limit, not at it.
        let size: usize = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > ANSWER_HEAD { Err(Unanswered::TooLarge) } else { Ok(answer) }
    }

    /// Whether another request can be sent.
    async fn is_usable(&mut self) -> bool {
        !self.sender.is_closed() && matches!(timeout(FINISHING, self.sender.ready()).await, Ok(Ok(())))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn reason(error: &hyper::Error) -> Unanswered {
    if error.is_parse_too_large() {
        Unanswered::TooLarge
    } else if error.is_parse() {
        Unanswered::Unparsable
    } else {
        Unanswered::Closed
    }
}

/// The kept connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pool(RefCell<HashMap<Peer, Vec<Idle>>>);

#[derive(Debug)]
struct Idle {
    upstream: Upstream,
    since: Instant,
}

impl Pool {
    /// A kept connection, the one that was used last.
    pub(crate) async fn take(&self, peer: Peer) -> Option<Upstream> {
        loop {
            let idle = self.0.borrow_mut().get_mut(&peer)?.pop()?;
            let mut upstream = idle.upstream;
            if upstream.is_usable().await {
                return Some(upstream);
            }
        }
    }

    /// Keeps a connection whose request was sent and whose answer was read to the end.
    pub(crate) fn keep(&self, peer: Peer, upstream: Upstream) {
        let mut pool = self.0.borrow_mut();
        let kept = pool.entry(peer).or_default();
        if kept.len() < KEPT && !upstream.sender.is_closed() {
            kept.push(Idle { upstream, since: Instant::now() });
        }
    }

    /// Closes what was kept for `limit`, what the other side closed, and what belongs to nobody any more.
    pub(crate) fn sweep(&self, limit: Duration, is_there: impl Fn(Peer) -> bool) {
        self.0.borrow_mut().retain(|peer, kept| {
            kept.retain(|idle| idle.since.elapsed() < limit && !idle.upstream.sender.is_closed());
            !kept.is_empty() && is_there(*peer)
        });
    }
}
