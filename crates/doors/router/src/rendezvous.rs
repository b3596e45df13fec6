//! A client that comes with a secret: `heroku run`.
//!
//! The official command opens a TLS connection and writes the secret as a line. It drops the first piece it receives,
//! whatever it is, and only then begins to send: a greeting goes out first, as a record of its own.

use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;
use routes_table::rendezvous::{Answer, Join};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};
use vocabulary::Secret;
use wire::Connection as Wire;

use crate::connection::Connection;
use crate::session::Session;
use crate::stream::Shared;

/// A secret: 256 bits in base64 for URLs.
const SECRET: usize = 43;
/// What is dropped by the client.
const GREETING: &[u8] = b"rendezvous\r\n";
/// How long to wait before control is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take a word of ours.
const WORD: Duration = Duration::from_secs(10);
/// How long control may take to bring client and program together: the dyno may have to start first.
const MEETING: Duration = Duration::from_secs(90);

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// A secret and its line end.
    Secret,
    /// Nothing else so far.
    Undecided,
    /// A request, or nothing.
    Other,
}

/// The secret, if the connection begins with one; what was read otherwise stays in its buffer.
pub(crate) async fn secret(connection: &mut Connection) -> Option<Secret> {
    let deadline = Instant::now() + connection.worker.timeouts.first_bytes;
    loop {
        match line(&connection.buffer) {
            Line::Other => return None,
            Line::Secret => {
                let taken = connection.buffer.split_to(SECRET + 2);
                return std::str::from_utf8(taken.get(..SECRET)?).ok().map(Secret::new);
            }
            Line::Undecided => {}
        }
        let read = tokio::time::timeout_at(deadline, connection.stream.read(&mut connection.buffer));
        let Ok(Ok(1..)) = read.await else { return None };
    }
}

fn line(bytes: &[u8]) -> Line {
    let of_secret = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let length = bytes.iter().take(SECRET + 1).take_while(of_secret).count();
    match bytes.get(length..) {
        None | Some([]) if length <= SECRET => Line::Undecided,
        Some([b'\r']) if length == SECRET => Line::Undecided,
        Some([b'\r', b'\n', ..]) if length == SECRET => Line::Secret,
        _ => Line::Other,
    }
}

/// Serves a client with a secret to its end.
pub(crate) async fn serve(connection: &mut Connection, secret: Secret) {
    let worker = connection.worker.clone();
    let asked = tokio::select! {
        asked = timeout(MEETING, ask(connection, secret)) => asked.ok().flatten(),
        () = worker.closing() => None,
    };
    let (answer, streams) = asked.unwrap_or_else(|| {
        let reason = "the platform is restarting; please try again in a moment".to_owned();
        (Answer::Failed { reason }, None)
    });
    match (answer, streams.and_then(stream)) {
        (Answer::Joined { is_terminal }, Some(program)) => {
            if say(connection, GREETING).await {
                let early = std::mem::take(&mut connection.buffer);
                let session = Session {
                    client: &connection.stream,
                    program: Shared::new(program),
                    is_terminal,
                    idle: worker.timeouts.session_idle,
                };
                // A shutdown gives it as long as any other connection.
                session.run(early).await;
            }
        }
        (Answer::Failed { reason }, _) => {
            if say(connection, GREETING).await {
                say(connection, format!(" !     {reason}\r\n").as_bytes()).await;
            }
        }
        // Who guesses is told nothing.
        (Answer::Unknown | Answer::Joined { .. }, _) => tracing::debug!(client = %connection.client, "a wrong secret"),
    }
    connection.close().await;
}

async fn say(connection: &Connection, word: &[u8]) -> bool {
    connection.stream.write(Bytes::copy_from_slice(word), WORD).await.is_ok()
}

/// Control's answer; nothing if it is away for too long.
async fn ask(connection: &Connection, secret: Secret) -> Option<(Answer, Option<OwnedFd>)> {
    let worker = &connection.worker;
    let deadline = Instant::now() + worker.timeouts.control;
    let mut control = loop {
        match Wire::connect(&worker.rendezvous_socket).await {
            Ok(control) => break control,
            Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, "control does not answer at the rendezvous");
                return None;
            }
        }
    };
    control.sender.send(&Join { secret }, &[]).await.ok()?;
    let (answer, mut fds) = control.receiver.receive::<Answer>().await.ok()??;
    Some((answer, fds.pop()))
}

fn stream(fd: OwnedFd) -> Option<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(fd);
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_from_a_request() {
        let secret = "x".repeat(SECRET);
        assert_eq!(line(b""), Line::Undecided);
        assert_eq!(line(b"GET"), Line::Undecided);
        assert_eq!(line(b"GET / HTTP/1.1\r\n"), Line::Other);
        assert_eq!(line(secret.as_bytes()), Line::Undecided);
        assert_eq!(line(format!("{secret}\r").as_bytes()), Line::Undecided);
        assert_eq!(line(format!("{secret}\r\n").as_bytes()), Line::Secret);
        assert_eq!(line(format!("{secret}\r\nls").as_bytes()), Line::Secret);
        assert_eq!(line(format!("{secret}x").as_bytes()), Line::Other);
        assert_eq!(line(format!("{secret} / HTTP/1.1").as_bytes()), Line::Other);
        assert_eq!(line(b"short\r\n"), Line::Other);
    }
}
