//! The client's half of a request under way: reads its body piece by piece, then watches whether it stays.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::chunked::{Chunked, Piece};
use crate::framing::Framing;
use crate::limits::READ_AHEAD;
use crate::outcome::Event;
use crate::pipe::Inlet;
use crate::stream::{Client, Shared};

/// The answer that makes a client send its body (RFC 9110, section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The client's half.
#[derive(Debug)]
pub(crate) struct Upload<'r> {
    /// Its connection.
    pub(crate) stream: &'r Shared<Client>,
    /// What was read of it and not used yet.
    pub(crate) buffer: &'r mut BytesMut,
    /// How long the body is.
    pub(crate) framing: Framing,
    /// Whether the client waits to be asked for it.
    pub(crate) expects: bool,
    /// How long it may be silent in the middle of it.
    pub(crate) idle: Duration,
}

impl Upload<'_> {
    /// Feeds the body to `inlet`, then watches. Comes back only when the client breaks the request off; dropped when
    /// the request is over.
    pub(crate) async fn run(mut self, inlet: &Inlet) -> Event {
        if !inlet.is_complete()
            && let Err(event) = self.feed(inlet).await
        {
            return event;
        }
        self.watch().await
    }

    async fn feed(&mut self, inlet: &Inlet) -> Result<(), Event> {
        let mut body = Unread::new(self.framing);
        inlet.asked().await;
        if self.expects && self.buffer.is_empty() {
            self.stream.write(CONTINUE, self.idle).await.map_err(|_| Event::ClientLeft)?;
        }
        loop {
            match body.take(self.buffer)? {
                Piece::Data(piece) => {
                    inlet.give(piece);
                    if body.is_over() {
                        break;
                    }
                    inlet.asked().await;
                }
                Piece::More => self.read().await?,
                Piece::End => break,
            }
        }
        inlet.complete();
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Event> {
        match tokio::time::timeout(self.idle, self.stream.read(self.buffer)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0) | Err(_)) => Err(Event::ClientLeft),
            Err(_) => Err(Event::ClientIdle),
        }
    }

    /// A client that closes its side while it waits is taken to have left, as nginx does: the two cannot be told apart.
    /// A next request may come early; a little of it is read ahead.
    async fn watch(&mut self) -> Event {
        while self.buffer.len() < READ_AHEAD {
            if let Ok(0) | Err(_) = self.stream.read(self.buffer).await {
                return Event::ClientLeft;
            }
        }
        std::future::pending().await
    }
}

/// What is still to come of a body.
#[derive(Debug)]
enum Unread {
    Length(u64),
    Chunked(Chunked),
}

impl Unread {
    fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunked::new()),
        }
    }

    fn take(&mut self, buffer: &mut BytesMut) -> Result<Piece, Event> {
        match self {
            Self::Length(left) => Ok(take_length(left, buffer).map_or(Piece::More, Piece::Data)),
            Self::Chunked(chunked) => chunked.take(buffer).map_err(|_| Event::ClientMalformed),
        }
    }

    /// Whether the body is known to be over without another look.
    fn is_over(&self) -> bool {
        matches!(self, Self::Length(0))
    }
}

fn take_length(left: &mut u64, buffer: &mut BytesMut) -> Option<Bytes> {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= length as u64;
    (length > 0).then(|| buffer.split_to(length).freeze())
}
