//! Finds the end of a request's head, and refuses on the way every byte that two readers could take differently.
//!
//! `httparse`, which reads the fields afterwards, is lenient about line ends as RFC 9112 allows; a bare LF, a bare CR, a
//! NUL or a folded line is exactly what request smuggling is made of (RFC 9112, section 11.2), so none gets that far.

use crate::limits::{HEAD, HEADER_LINE, HEADERS, REQUEST_LINE, Refusal};

/// Where the search for the end stands; kept between reads, so that no byte is looked at twice.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Everything before this was looked at.
    seen: usize,
    /// Where the current line begins.
    line: usize,
    /// Lines that ended.
    lines: usize,
}

impl Scan {
    /// The length of the head with its empty line, once `bytes` (the same as last time, and more) holds it whole.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(found) = next_special(bytes, self.seen) {
            match (bytes.get(found), bytes.get(found + 1)) {
                (Some(b'\r'), None) => {
                    self.seen = found;
                    self.check_length(found)?;
                    return Ok(None);
                }
                (Some(b'\r'), Some(b'\n')) => {
                    if self.ends_head(bytes, found)? {
                        return Ok(Some(found + 2));
                    }
                }
                (Some(b'\r'), _) => return Err(Refusal::Malformed("a CR without LF")),
                (Some(b'\n'), _) => return Err(Refusal::Malformed("an LF without CR")),
                _ => return Err(Refusal::Malformed("a NUL")),
            }
        }
        self.seen = bytes.len();
        self.check_length(bytes.len())?;
        Ok(None)
    }

    /// Takes the line that ends at `end`; whether it is the empty one after the head.
    fn ends_head(&mut self, bytes: &[u8], end: usize) -> Result<bool, Refusal> {
        self.check_length(end)?;
        match bytes.get(self.line) {
            // One empty line before the request line is forgiven (RFC 9112, section 2.2).
            Some(b'\r') if self.lines == 0 && self.line > 0 => return Err(Refusal::Malformed("empty lines first")),
            Some(b'\r') if self.lines > 0 => return Ok(true),
            Some(b'\r') => {}
            Some(b' ' | b'\t') => return Err(Refusal::Malformed("a line that begins with a blank")),
            _ => self.lines += 1,
        }
        if self.lines > HEADERS + 1 {
            return Err(Refusal::LargeHead);
        }
        self.line = end + 2;
        self.seen = end + 2;
        Ok(false)
    }

    fn check_length(&self, end: usize) -> Result<(), Refusal> {
        match end - self.line {
            length if self.lines == 0 && length > REQUEST_LINE => Err(Refusal::LongRequestLine),
            length if length > HEADER_LINE || end > HEAD => Err(Refusal::LargeHead),
            _ => Ok(()),
        }
    }
}

fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        Scan::default().end(bytes)
    }

    #[test]
    fn the_end_is_found_in_one_piece_and_byte_by_byte() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(end(&[head.as_slice(), b"more"].concat()), Ok(Some(head.len())));
        let mut scan = Scan::default();
        for length in 1..head.len() {
            assert_eq!(scan.end(&head[..length]), Ok(None));
        }
        assert_eq!(scan.end(head), Ok(Some(head.len())));
    }

    #[test]
    fn one_empty_line_before_is_forgiven() {
        assert_eq!(end(b"\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(20)));
        assert!(end(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n").is_err());
    }

    #[test]
    fn bytes_that_two_readers_could_take_differently_are_refused() {
        for bad in ["GET / HTTP/1.1\n", "GET / HTTP/1.1\rHost", "GET /\0", "GET / HTTP/1.1\r\nA: b\r\n c\r\n"] {
            assert!(matches!(end(bad.as_bytes()), Err(Refusal::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn limits_hold_before_the_line_ends() {
        assert_eq!(end(&[b'a'; REQUEST_LINE + 1]), Err(Refusal::LongRequestLine));
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.extend([b'a'; HEADER_LINE + 1]);
        assert_eq!(end(&head), Err(Refusal::LargeHead));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(end(many.as_bytes()), Err(Refusal::LargeHead));
        let large = format!("GET / HTTP/1.1\r\n{}\r\n", format!("a: {}\r\n", "b".repeat(8000)).repeat(9));
        assert_eq!(end(large.as_bytes()), Err(Refusal::LargeHead));
    }
}
