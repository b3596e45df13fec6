//! Bytes to lines.

use loglines::LogLine;

/// Splits one stream into lines. What follows the last line end waits here, at most one line's worth of it.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    waiting: Vec<u8>,
}

impl Lines {
    /// Takes bytes and gives each line that is complete, without its line end. A line that is too long is given in
    /// pieces of [`LogLine::MAX_TEXT`], as Heroku splits it.
    pub(crate) fn take<E>(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut parts = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let complete = parts.peek().is_some();
            let mut part = part;
            while self.waiting.len() + part.len() > LogLine::MAX_TEXT {
                let (head, tail) = part.split_at(LogLine::MAX_TEXT - self.waiting.len());
                self.waiting.extend_from_slice(head);
                line(&self.waiting)?;
                self.waiting.clear();
                part = tail;
            }
            if complete && self.waiting.is_empty() {
                line(part)?;
            } else {
                self.waiting.extend_from_slice(part);
                if complete {
                    line(&self.waiting)?;
                    self.waiting.clear();
                }
            }
        }
        Ok(())
    }

    /// What waited without a line end, if anything.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        if self.waiting.is_empty() { None } else { Some(std::mem::take(&mut self.waiting)) }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in pieces {
            let keep = |line: &[u8]| {
                seen.push(line.to_vec());
                Ok::<_, Infallible>(())
            };
            lines.take(piece, keep).unwrap();
        }
        (seen, lines.rest())
    }

    #[test]
    fn lines_end_where_they_end_however_they_arrive() {
        let whole = lines(&[b"one\n\ntwo\nthr"]);
        assert_eq!(whole, (vec![b"one".to_vec(), vec![], b"two".to_vec()], Some(b"thr".to_vec())));
        assert_eq!(lines(&[b"on", b"e\n", b"\ntwo", b"\n", b"t", b"hr"]), whole);
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_a_full_one_whole() {
        let long = vec![b'x'; 25_000];
        let (seen, rest) = lines(&[&long, b"\n"]);
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
        assert_eq!(rest, None);
        let mut full = vec![b'x'; 10_000];
        full.push(b'\n');
        assert_eq!(lines(&[&full]).0.iter().map(Vec::len).collect::<Vec<_>>(), [10_000]);
    }
}
