//! Bytes both ways after an upgrade (a WebSocket), until either side ends or both are silent for 55 s.

use std::cell::Cell;
use std::time::Duration;

use bytes::BytesMut;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use crate::stream::{Client, Shared};
use crate::trace::Trace;

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A side closed it.
    Closed,
    /// Both sides were silent for too long.
    Idle,
}

/// Copies both ways; `early` is what the client sent before the dyno agreed.
pub(crate) async fn run(
    client: &Shared<Client>,
    early: BytesMut,
    dyno: Upgraded,
    idle: Duration,
    trace: &Trace,
) -> End {
    let dyno = Shared::new(TokioIo::new(dyno));
    let last = Cell::new(Instant::now());
    let up = copy(client, &dyno, early, idle, |_| last.set(Instant::now()));
    let down = copy(&dyno, client, BytesMut::new(), idle, |length| {
        trace.bytes.set(trace.bytes.get() + length as u64);
        last.set(Instant::now());
    });
    tokio::select! {
        () = async { tokio::join!(up, down); } => End::Closed,
        () = silence(&last, idle) => End::Idle,
    }
}

/// Copies one way to its end, and passes the end on.
async fn copy<A, B>(from: &Shared<A>, to: &Shared<B>, early: BytesMut, idle: Duration, moved: impl Fn(usize))
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = early;
    loop {
        if !buffer.is_empty() {
            let length = buffer.len();
            if to.write(buffer.split(), idle).await.is_err() {
                break;
            }
            moved(length);
        }
        // A buffer that is kept while nothing comes is what makes idle WebSockets dear.
        buffer = BytesMut::new();
        if let Ok(0) | Err(_) = from.read(&mut buffer).await {
            break;
        }
    }
    _ = to.shutdown().await;
}

async fn silence(last: &Cell<Instant>, idle: Duration) {
    while last.get().elapsed() < idle {
        sleep_until(last.get() + idle).await;
    }
}
