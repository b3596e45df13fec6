//! One connection: requests one after the other, each within its time.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::etag::Tags;
use crate::head::{HEAD_LIMIT, Head, Parsed, parse};
use crate::reply::Reply;
use crate::server::InFlight;
use crate::site::Site;

/// How long a connection may be idle between requests; longer than the router keeps one (90 s), so that it is the
/// router that closes, and never a request meets a connection that is just going away.
const IDLE: Duration = Duration::from_mins(2);
/// How long a head may take from its first byte, and a client to take some bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long, and how much of it, an unwanted body is read after the answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// Serves a connection until it ends. Errors of the connection are the client's and told to nobody.
pub(crate) fn serve(stream: &TcpStream, site: &Site, tags: &Tags, in_flight: &InFlight) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut buffer = Vec::new();
    loop {
        let Some(parsed) = next_head(stream, &mut buffer)? else { return Ok(()) };
        let answering = in_flight.begin();
        let keep_alive = answer(parsed, stream, site, tags, in_flight)?;
        drop(answering);
        if !keep_alive {
            return linger(stream);
        }
    }
}

/// Answers a request; gives whether another may follow.
fn answer(
    parsed: Result<Head, Reply>,
    mut stream: &TcpStream,
    site: &Site,
    tags: &Tags,
    in_flight: &InFlight,
) -> io::Result<bool> {
    let head = match parsed {
        Ok(head) => head,
        Err(refusal) => return refusal.write(&mut stream, None, false).map(|()| false),
    };
    let reply = Reply::to(&head, site, tags)
        .unwrap_or_else(|_| Reply::text("500 Internal Server Error", "The file could not be read.\n"));
    let keep_alive = head.keep_alive && !in_flight.is_stopping();
    reply.write(&mut stream, Some(head.method), keep_alive)?;
    Ok(keep_alive)
}

/// Ends a connection so that the answer arrives: closing with unread bytes (a body nobody wanted) would reset it.
fn linger(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER))?;
    let mut chunk = [0; 4096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read);
    }
    Ok(())
}

/// The next head, or why it is refused; none when the connection ended between requests. What came after it stays in
/// the buffer.
fn next_head(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Result<Head, Reply>>> {
    let mut deadline = None;
    let mut chunk = [0; 4096];
    loop {
        match parse(buffer) {
            _ if buffer.is_empty() => {}
            Parsed::Whole(head, length) => {
                buffer.drain(..length);
                return Ok(Some(Ok(head)));
            }
            Parsed::Bad => return Ok(Some(Err(Reply::text("400 Bad Request", "That is no HTTP request.\n")))),
            Parsed::TooLarge => {
                return Ok(Some(Err(Reply::text(
                    "431 Request Header Fields Too Large",
                    "The request is too large.\n",
                ))));
            }
            Parsed::Partial => {}
        }
        let wait = match (buffer.is_empty(), deadline) {
            (true, _) => IDLE,
            (false, None) => {
                deadline = Some(Instant::now() + PATIENCE);
                PATIENCE
            }
            (false, Some(deadline)) => deadline.saturating_duration_since(Instant::now()),
        };
        if wait.is_zero() {
            return Ok(Some(Err(Reply::text("408 Request Timeout", "The request took too long.\n"))));
        }
        stream.set_read_timeout(Some(wait))?;
        let room = HEAD_LIMIT.saturating_sub(buffer.len()).clamp(1, chunk.len());
        match stream.read(chunk.get_mut(..room).unwrap_or_default()) {
            Ok(0) => return Ok(None),
            Ok(read) => buffer.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
