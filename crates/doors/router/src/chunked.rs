//! Takes a chunked request body apart (RFC 9112, section 7.1), byte for byte and without leniency.
//!
//! ```text
//! chunk   := 1*15HEX [ extensions ] CRLF  data  CRLF
//! body    := *chunk  1*"0" [ extensions ] CRLF  *( trailer CRLF )  CRLF
//! ```
//!
//! Extensions and trailers are read, bounded and dropped: the dyno gets chunks of our own making.

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::{CHUNK_LINE, HEAD, Refusal};

/// The largest number of digits of a size that cannot overflow.
const DIGITS: u8 = 15;

/// Where in a body the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the size of a chunk, of which so many digits came.
    Size { size: u64, digits: u8 },
    /// In the extensions after a size, so many bytes in.
    Extension { size: u64, length: usize },
    /// After the CR that ends a size line.
    SizeEnd { size: u64 },
    /// In data, so many bytes before its end.
    Data(u64),
    /// Before the CR after data.
    DataCr,
    /// Before the LF after data.
    DataLf,
    /// In the trailers: bytes in all, and whether this line is empty so far.
    Trailer { length: usize, empty: bool },
    /// After the CR in the trailers.
    TrailerLf { length: usize, empty: bool },
    /// The body is over.
    End,
}

/// A reader of one body.
#[derive(Debug)]
pub(crate) struct Chunked(State);

/// What came out of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Some of the body.
    Data(Bytes),
    /// Nothing before more bytes come.
    More,
    /// The end of the body; what is left of the bytes comes after it.
    End,
}

impl Chunked {
    /// A reader at the start of a body.
    pub(crate) fn new() -> Self {
        Self(State::Size { size: 0, digits: 0 })
    }

    /// Takes the next piece out of `buffer`.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut) -> Result<Piece, Refusal> {
        while !buffer.is_empty() && self.0 != State::End {
            if let State::Data(left) = self.0 {
                return Ok(Piece::Data(self.take_data(buffer, left)));
            }
            self.0 = step(self.0, buffer.get_u8())?;
        }
        Ok(if self.0 == State::End { Piece::End } else { Piece::More })
    }

    fn take_data(&mut self, buffer: &mut BytesMut, left: u64) -> Bytes {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let left = left - length as u64;
        self.0 = if left == 0 { State::DataCr } else { State::Data(left) };
        buffer.split_to(length).freeze()
    }
}

/// The state after one byte that is not data.
fn step(state: State, byte: u8) -> Result<State, Refusal> {
    Ok(match (state, byte) {
        (State::Size { digits: 1.., size } | State::Extension { size, .. }, b'\r') => State::SizeEnd { size },
        (State::Size { digits: 1.., size }, b';' | b' ' | b'\t') => State::Extension { size, length: 1 },
        (State::Size { digits: 0..DIGITS, .. }, byte) if byte.is_ascii_hexdigit() => add_digit(state, byte),
        (State::Size { .. }, _) => return Err(Refusal::Malformed("a chunk size that is none")),
        (State::Extension { size, length }, b'\t' | b' '..=b'~' | 0x80..) if length < CHUNK_LINE => {
            State::Extension { size, length: length + 1 }
        }
        (State::Extension { .. }, _) => return Err(Refusal::Malformed("a chunk extension that is none")),
        (State::SizeEnd { size: 0 }, b'\n') => State::Trailer { length: 0, empty: true },
        (State::SizeEnd { size }, b'\n') => State::Data(size),
        (State::DataCr, b'\r') => State::DataLf,
        (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
        (State::Trailer { length, empty }, b'\r') => State::TrailerLf { length, empty },
        (State::Trailer { length, .. }, b'\t' | b' '..=b'~' | 0x80..) if length < HEAD => {
            State::Trailer { length: length + 1, empty: false }
        }
        (State::TrailerLf { empty: true, .. }, b'\n') => State::End,
        (State::TrailerLf { length, empty: false }, b'\n') => State::Trailer { length, empty: true },
        _ => return Err(Refusal::Malformed("a chunked body that is none")),
    })
}

fn add_digit(state: State, byte: u8) -> State {
    match (state, char::from(byte).to_digit(16)) {
        (State::Size { size, digits }, Some(digit)) => {
            State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
        }
        _ => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and what is left, given in pieces of `step` bytes.
    fn read(text: &str, step: usize) -> Result<(String, String), Refusal> {
        let (mut reader, mut buffer, mut body) = (Chunked::new(), BytesMut::new(), Vec::new());
        for piece in text.as_bytes().chunks(step) {
            buffer.extend_from_slice(piece);
            while let Piece::Data(data) = reader.take(&mut buffer)? {
                body.extend_from_slice(&data);
            }
        }
        assert_eq!(reader.0, State::End, "{text:?}");
        Ok((String::from_utf8(body).unwrap(), String::from_utf8(buffer.to_vec()).unwrap()))
    }

    #[test]
    fn a_body_comes_out_however_it_arrives() {
        let text = "5\r\nhello\r\nA;x=\"y\"\r\n 0123456789\r\n".replace(" 0", "0") + "00\r\nTrailer: x\r\n\r\nGET";
        for step in 1..text.len() {
            assert_eq!(read(&text, step), Ok(("hello0123456789".to_owned(), "GET".to_owned())));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "0x5\r\nhello\r\n0\r\n\r\n",
            "\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5 \nhello",
            "5;a\nhello",
            "5;a\0",
            "5\rhello",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n",
            "-5\r\n",
            "+5\r\n",
            "g\r\n",
            "1000000000000000\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "0\r\nTrailer: x\n\r\n",
            "0\r\n\n",
        ] {
            assert!(read(bad, 1).is_err(), "{bad:?}");
        }
        assert!(read(&format!("5;{}\r\n", "a".repeat(CHUNK_LINE)), 100).is_err());
        assert!(read(&format!("0\r\n{}", "a: b\r\n".repeat(20_000)), 4096).is_err());
    }
}
