//! Writes answers to a client: one passed on from a dyno or control, or one of our own. The head is always ours.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, UPGRADE};
use http::{Method, Response, StatusCode, Version};
use hyper::body::{Body, Frame, Incoming};
use tokio::time::timeout;

use crate::forward;
use crate::framing::{self, Sending};
use crate::outcome::Event;
use crate::pages::Page;
use crate::stream::{Client, Shared, Unwritten};
use crate::trace::Trace;
use crate::worker::Worker;

/// To whom, and how.
#[derive(Debug)]
pub(crate) struct Answer<'r> {
    /// The client's connection.
    pub(crate) stream: Shared<Client>,
    /// Who serves it.
    pub(crate) worker: Rc<Worker>,
    /// The method of its request.
    pub(crate) method: &'r Method,
    /// The version of its request.
    pub(crate) version: Version,
    /// Whether the connection may be used for another request.
    pub(crate) keep_alive: bool,
    /// How long either side may be silent.
    pub(crate) idle: Duration,
}

impl From<Unwritten> for Event {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Left => Self::ClientLeft,
            Unwritten::Idle => Self::ClientIdle,
        }
    }
}

impl Answer<'_> {
    /// Passes an answer on, and tells whether the connection may be used for another request afterwards.
    pub(crate) async fn pass_on(&self, answer: Response<Incoming>, trace: &Trace) -> Result<bool, Event> {
        let (mut parts, body) = answer.into_parts();
        let said = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let sending = framing::sending(self.method, self.version, parts.status, body.size_hint().exact(), said);
        let keep_alive = self.keep_alive && sending != Sending::UntilClose && !self.worker.is_closing();
        forward::strip(&mut parts.headers);
        forward::sign(&mut parts.headers);
        let head = self.head(parts.status, parts.headers, sending, keep_alive);
        trace.status.set(Some(parts.status.as_u16()));
        match sending {
            Sending::Nothing(_) => self.stream.write(head, self.idle).await?,
            _ => self.body(head, body, sending, trace).await?,
        }
        Ok(keep_alive)
    }

    /// Sends the body behind `head`. The head waits for the first piece if that is there already, to go in one packet.
    async fn body(&self, head: Bytes, mut body: Incoming, sending: Sending, trace: &Trace) -> Result<(), Event> {
        let mut prefix = head;
        let first = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await;
        let mut frame = match first {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                self.stream.write(std::mem::take(&mut prefix), self.idle).await?;
                self.next(&mut body).await?
            }
        };
        loop {
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(), // Trailers do not go on.
                Some(Err(error)) if error.is_parse() => return Err(Event::Unparsable),
                Some(Err(_)) => return Err(Event::DynoClosed),
                None => return self.end(prefix, sending).await,
            };
            let length = data.len() as u64;
            let over = body.is_end_stream();
            self.stream.write(piece(std::mem::take(&mut prefix), data, sending, over), self.idle).await?;
            trace.bytes.set(trace.bytes.get() + length);
            if over {
                return Ok(());
            }
            frame = self.next(&mut body).await?;
        }
    }

    async fn next(&self, body: &mut Incoming) -> Result<Option<Result<Frame<Bytes>, hyper::Error>>, Event> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        timeout(self.idle, frame).await.map_err(|_| Event::DynoSilent)
    }

    /// Ends a body whose last piece was not known to be the last.
    async fn end(&self, prefix: Bytes, sending: Sending) -> Result<(), Event> {
        Ok(self.stream.write(piece(prefix, Bytes::new(), sending, true), self.idle).await?)
    }

    /// Answers that the protocol changes, in the dyno's words.
    pub(crate) async fn switch(&self, mut headers: HeaderMap, trace: &Trace) -> Result<(), Event> {
        let protocol = headers.get(UPGRADE).cloned();
        forward::strip(&mut headers);
        forward::sign(&mut headers);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        protocol.map(|protocol| headers.insert(UPGRADE, protocol));
        let status = StatusCode::SWITCHING_PROTOCOLS;
        let head = self.head(status, headers, Sending::Nothing(None), true);
        trace.status.set(Some(status.as_u16()));
        Ok(self.stream.write(head, self.idle).await?)
    }

    /// Answers with a page.
    pub(crate) async fn page(&self, page: Page) -> Result<(), Event> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
        self.whole(page.status, headers, page.html.into()).await
    }

    /// Answers with a body of our own.
    pub(crate) async fn whole(&self, status: StatusCode, headers: HeaderMap, body: Bytes) -> Result<(), Event> {
        let length = Some(body.len() as u64);
        let sending = framing::sending(self.method, self.version, status, length, length);
        let head = self.head(status, headers, sending, self.keep_alive);
        let body = if matches!(sending, Sending::Nothing(_)) { Bytes::new() } else { body };
        Ok(self.stream.write(head.chain(body), self.idle).await?)
    }

    fn head(&self, status: StatusCode, mut headers: HeaderMap, sending: Sending, keep_alive: bool) -> Bytes {
        headers.remove(CONTENT_LENGTH);
        if let Sending::Length(length) | Sending::Nothing(Some(length)) = sending {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if !keep_alive {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        } else if self.version == Version::HTTP_10 {
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        }
        let mut head = BytesMut::with_capacity(512);
        head.put_slice(b"HTTP/1.1 ");
        head.put_slice(status.as_str().as_bytes());
        head.put_u8(b' ');
        head.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        head.put_slice(b"\r\n");
        for (name, value) in &headers {
            head.put_slice(name.as_str().as_bytes());
            head.put_slice(b": ");
            head.put_slice(value.as_bytes());
            head.put_slice(b"\r\n");
        }
        if sending == Sending::Chunked {
            head.put_slice(b"transfer-encoding: chunked\r\n");
        }
        head.put_slice(b"\r\n");
        head.freeze()
    }
}

/// What goes to the client for one piece of a body, after what waits to go.
fn piece(prefix: Bytes, data: Bytes, sending: Sending, last: bool) -> impl Buf {
    let (size, end) = match sending {
        Sending::Chunked if data.is_empty() && last => (String::new(), "0\r\n\r\n"),
        Sending::Chunked if data.is_empty() => (String::new(), ""),
        Sending::Chunked if last => (format!("{:x}\r\n", data.len()), "\r\n0\r\n\r\n"),
        Sending::Chunked => (format!("{:x}\r\n", data.len()), "\r\n"),
        _ => (String::new(), ""),
    };
    prefix.chain(Bytes::from(size)).chain(data).chain(Bytes::from_static(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(data: &'static str, sending: Sending, last: bool) -> Vec<u8> {
        let mut piece = piece(Bytes::from_static(b"head;"), Bytes::from_static(data.as_bytes()), sending, last);
        piece.copy_to_bytes(piece.remaining()).to_vec()
    }

    #[test]
    fn a_piece_is_framed() {
        assert_eq!(sent("hello", Sending::Length(5), true), b"head;hello");
        assert_eq!(sent("hello", Sending::Chunked, false), b"head;5\r\nhello\r\n");
        assert_eq!(sent("hello", Sending::Chunked, true), b"head;5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(sent("", Sending::Chunked, true), b"head;0\r\n\r\n");
        // An empty piece in the middle must not look like the end.
        assert_eq!(sent("", Sending::Chunked, false), b"head;");
    }
}
