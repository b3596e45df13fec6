//! Bytes between the official command and a program, by the few rules that command has.
//!
//! - It takes each TLS record for a piece of its own, and looks for the line with the exit status (`heroku run
//!   --exit-code`) in one piece: what begins with that line's mark is held back until its end, and begins a record.
//! - Without a terminal of its own it says the end of its input by the byte 4, and nothing after it. It has no way to
//!   say that byte 4 is data: it is data if more follows soon.
//! - Without `--no-tty` it sends Ctrl-C as the byte 3 even if the program has no terminal.
//! - Whoever closes is gone: the program's terminal hangs up, or its pipes break.

use std::cell::Cell;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::stream::{Client, Shared};

/// U+FFFF, by which the line with the exit status begins.
const MARK: &[u8] = b"\xEF\xBF\xBF";
/// The longest such line: ` heroku-command-exit-status: 255` and what ends it, with room.
const STATUS_LINE: usize = 64;
/// How long the rest of such a line is waited for.
const STATUS: Duration = Duration::from_millis(200);
/// The most bytes in one TLS record (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;
/// Ctrl-C and Ctrl-D, as the official command sends them.
const INTERRUPT: u8 = 3;
const END: u8 = 4;
/// How long after a byte 4 more input makes it data.
const AFTER_END: Duration = Duration::from_millis(200);

/// A client and its program.
pub(crate) struct Session<'a> {
    pub(crate) client: &'a Shared<Client>,
    pub(crate) program: Shared<UnixStream>,
    pub(crate) is_terminal: bool,
    /// How long both may be silent.
    pub(crate) idle: Duration,
}

impl Session<'_> {
    /// Passes bytes on until the program ended, the client left, or both were silent for too long. `early` is what the
    /// client sent before.
    pub(crate) async fn run(&self, early: BytesMut) {
        let last = Cell::new(Instant::now());
        tokio::select! {
            () = self.to_program(early, &last) => {}
            () = self.to_client(&last) => {}
            () = silence(&last, self.idle) => {}
        }
    }

    /// Ends when the client left.
    async fn to_program(&self, early: BytesMut, last: &Cell<Instant>) {
        let mut buffer = early;
        let mut input = Input::new(self.is_terminal);
        loop {
            let piece = input.take(&buffer.split());
            if !piece.bytes.is_empty() && self.program.write(piece.bytes, self.idle).await.is_err() {
                // It reads no more; that it ended is for the other direction to find.
                return std::future::pending().await;
            }
            last.set(Instant::now());
            let more = self.client.read(&mut buffer);
            let read = match piece.then {
                Then::Read => more.await,
                Then::Leave => return,
                Then::End => {
                    _ = self.program.shutdown().await;
                    more.await
                }
                Then::Wait => {
                    if let Ok(read) = timeout(AFTER_END, more).await {
                        read
                    } else {
                        input.quiet();
                        _ = self.program.shutdown().await;
                        self.client.read(&mut buffer).await
                    }
                }
            };
            if let Ok(0) | Err(_) = read {
                return;
            }
        }
    }

    /// Ends when the program's output ended.
    async fn to_client(&self, last: &Cell<Instant>) {
        let mut buffer = BytesMut::new();
        loop {
            let patience = if buffer.is_empty() { self.idle } else { STATUS };
            let ended = match timeout(patience, self.program.read(&mut buffer)).await {
                Ok(Ok(1..)) => false,
                Ok(_) => true,
                // What was held back is no such line, or its writer takes a rest in the middle of it.
                Err(_) => {
                    if self.send(buffer.split(), last).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            while let Some(length) = piece(&buffer, ended) {
                if self.send(buffer.split_to(length), last).await.is_err() {
                    return;
                }
            }
            if ended {
                return;
            }
            if buffer.is_empty() {
                // A session that is silent holds no memory.
                buffer = BytesMut::new();
            }
        }
    }

    async fn send(&self, bytes: impl Buf, last: &Cell<Instant>) -> Result<(), crate::stream::Unwritten> {
        self.client.write(bytes, self.idle).await?;
        last.set(Instant::now());
        Ok(())
    }
}

/// How much of the output goes into the next record; nothing if the rest is held back.
fn piece(bytes: &[u8], ended: bool) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    let mark = bytes.windows(MARK.len()).position(|window| window == MARK);
    let length = match mark {
        Some(0) => {
            let line = bytes.get(..STATUS_LINE.min(bytes.len())).unwrap_or_default();
            let whole = line.contains(&b'\n') || line.len() == STATUS_LINE;
            if !whole && !ended {
                return None;
            }
            // Up to the next mark.
            let next = bytes.get(1..).unwrap_or_default().windows(MARK.len()).position(|window| window == MARK);
            next.map_or(bytes.len(), |next| next + 1)
        }
        Some(mark) => mark,
        None => bytes.len() - if ended { 0 } else { begun(bytes) },
    };
    Some(length.min(RECORD)).filter(|length| *length > 0)
}

/// How many bytes at the end may be the beginning of a mark.
fn begun(bytes: &[u8]) -> usize {
    (1..MARK.len()).rev().find(|length| MARK.get(..*length).is_some_and(|part| bytes.ends_with(part))).unwrap_or(0)
}

/// The client's bytes as input.
struct Input {
    is_terminal: bool,
    /// Whether a byte 4 waits for what follows.
    held: bool,
    ended: bool,
}

/// What of a piece goes to the program, and what to do then.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    bytes: BytesMut,
    then: Then,
}

#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// Read on.
    Read,
    /// Read on for a moment; if nothing comes, the input has ended.
    Wait,
    /// The input has ended.
    End,
    /// The client wants to leave.
    Leave,
}

impl Input {
    fn new(is_terminal: bool) -> Self {
        Self { is_terminal, held: false, ended: false }
    }

    /// Nothing followed.
    fn quiet(&mut self) {
        self.ended = true;
    }

    fn take(&mut self, read: &[u8]) -> Piece {
        let piece = |bytes: &[u8], then| Piece { bytes: BytesMut::from(bytes), then };
        if self.is_terminal || read.is_empty() {
            return piece(read, Then::Read);
        }
        if self.ended {
            return piece(&[], if read == [INTERRUPT] { Then::Leave } else { Then::Read });
        }
        let held = std::mem::take(&mut self.held);
        let mut bytes = BytesMut::from(if held { [END].as_slice() } else { &[] });
        bytes.extend_from_slice(read);
        match (read, held) {
            ([INTERRUPT], _) => return piece(&[], Then::Leave),
            ([END], false) => {
                self.ended = true;
                return piece(&[], Then::End);
            }
            _ => {}
        }
        if bytes.last() == Some(&END) {
            self.held = true;
            bytes.truncate(bytes.len() - 1);
        }
        let then = if self.held { Then::Wait } else { Then::Read };
        Piece { bytes, then }
    }
}

async fn silence(last: &Cell<Instant>, idle: Duration) {
    while last.get().elapsed() < idle {
        sleep_until(last.get() + idle).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(mut bytes: &[u8], ended: bool) -> (Vec<&[u8]>, &[u8]) {
        let mut pieces = vec![];
        while let Some(length) = piece(bytes, ended) {
            let (piece, rest) = bytes.split_at(length);
            pieces.push(piece);
            bytes = rest;
        }
        (pieces, bytes)
    }

    const STATUS: &[u8] = "\u{FFFF} heroku-command-exit-status: 30\n".as_bytes();

    #[test]
    fn the_line_with_the_status_is_in_one_piece() {
        let whole = [b"before\n", STATUS].concat();
        assert_eq!(pieces(&whole, false), (vec![b"before\n".as_slice(), STATUS], [].as_slice()));
        for cut in 7..whole.len() {
            let (part, _) = whole.split_at(cut);
            assert_eq!(pieces(part, false), (vec![b"before\n".as_slice()], &part[7..]), "{cut}");
        }
        assert_eq!(pieces(&STATUS[..20], true).0, [&STATUS[..20]]);
    }

    #[test]
    fn a_mark_without_a_status_goes_on_and_pieces_fit_records() {
        let long = [MARK, &[b'x'; 100]].concat();
        assert_eq!(pieces(&long, false).0, [long.as_slice()]);
        let large = vec![b'x'; 2 * RECORD + 1];
        assert_eq!(pieces(&large, false).0.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [RECORD, RECORD, 1]);
        let late = [vec![b'x'; RECORD - 5], STATUS.to_vec()].concat();
        assert_eq!(pieces(&late, false).0.last(), Some(&STATUS));
    }

    fn input(pieces: &[&[u8]], is_terminal: bool) -> (Vec<u8>, Then) {
        let (mut input, mut bytes, mut then) = (Input::new(is_terminal), vec![], Then::Read);
        for read in pieces {
            let piece = input.take(read);
            bytes.extend_from_slice(&piece.bytes);
            then = piece.then;
        }
        (bytes, then)
    }

    #[test]
    fn a_byte_four_ends_the_input_unless_more_follows() {
        assert_eq!(input(&[b"a", b"\x04"], false), (b"a".to_vec(), Then::End));
        assert_eq!(input(&[b"a\x04"], false), (b"a".to_vec(), Then::Wait));
        assert_eq!(input(&[b"a\x04", b"b"], false), (b"a\x04b".to_vec(), Then::Read));
        assert_eq!(input(&[b"a\x04", b"\x04"], false), (b"a\x04".to_vec(), Then::Wait));
        assert_eq!(input(&[b"a\x04b"], false), (b"a\x04b".to_vec(), Then::Read));
        assert_eq!(input(&[b"a", b"\x04", b"b"], false), (b"a".to_vec(), Then::Read));
    }

    #[test]
    fn a_terminal_gets_every_byte_and_a_pipe_no_interrupt() {
        assert_eq!(input(&[b"\x04", b"\x03"], true), (b"\x04\x03".to_vec(), Then::Read));
        assert_eq!(input(&[b"\x03"], false), (vec![], Then::Leave));
        assert_eq!(input(&[b"a\x03b"], false), (b"a\x03b".to_vec(), Then::Read));
    }
}
