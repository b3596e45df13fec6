//! From what was found to the bytes of an answer.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};
use std::ops::RangeInclusive;

use crate::content_type;
use crate::etag::{self, Tags};
use crate::head::{Head, Method};
use crate::site::{Found, Site};
use crate::target;

/// An answer: status, header lines, and a part of a file or a short text.
#[derive(Debug)]
pub(crate) struct Reply {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    None,
    Text(&'static str),
    File(File, RangeInclusive<u64>),
    /// A file of no bytes.
    Empty,
}

impl Reply {
    /// An answer of one line.
    pub(crate) fn text(status: &'static str, text: &'static str) -> Self {
        let kind = ("Content-Type", "text/plain; charset=utf-8".to_owned());
        Self { status, headers: vec![kind], body: Body::Text(text) }
    }

    /// The answer to a request.
    pub(crate) fn to(head: &Head, site: &Site, tags: &Tags) -> io::Result<Self> {
        if head.method == Method::Other {
            let mut reply = Self::text("405 Method Not Allowed", "Only GET and HEAD are answered here.\n");
            reply.headers.push(("Allow", "GET, HEAD".to_owned()));
            return Ok(reply);
        }
        let target = target::parse(&head.target);
        match site.find(target.as_ref())? {
            Found::File(file, path) => Self::file(head, file, &path, tags),
            Found::Missing(Some((file, path))) => Self::whole("404 Not Found", file, &path),
            Found::Missing(None) => Ok(Self::text("404 Not Found", "Not found.\n")),
            Found::Moved(to) => {
                let mut reply = Self::text("301 Moved Permanently", "Moved.\n");
                reply.headers.push(("Location", to));
                Ok(reply)
            }
        }
    }

    fn file(head: &Head, file: File, path: &str, tags: &Tags) -> io::Result<Self> {
        let tag = tags.of(&file)?;
        let fresh = tag.as_ref().zip(head.if_none_match.as_ref()).is_some_and(|(tag, named)| etag::matches(named, tag));
        let length = file.metadata()?.len();
        let mut reply = match head.range.as_deref().map_or(Range::Whole, |range| parse_range(range, length)) {
            _ if fresh => Self { status: "304 Not Modified", headers: Vec::new(), body: Body::None },
            Range::Whole => Self::whole("200 OK", file, path)?,
            Range::Part(part) => Self::part(file, path, part, length),
            Range::Outside => {
                let mut reply = Self::text("416 Range Not Satisfiable", "The file is shorter.\n");
                reply.headers.push(("Content-Range", format!("bytes */{length}")));
                return Ok(reply);
            }
        };
        reply.headers.push(("Cache-Control", "public, max-age=0, must-revalidate".to_owned()));
        reply.headers.extend(tag.map(|tag| ("ETag", tag)));
        Ok(reply)
    }

    fn whole(status: &'static str, file: File, path: &str) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let headers = vec![
            ("Content-Type", content_type::of(path).to_owned()),
            ("Accept-Ranges", "bytes".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ];
        let body = length.checked_sub(1).map_or(Body::Empty, |last| Body::File(file, 0..=last));
        Ok(Self { status, headers, body })
    }

    fn part(file: File, path: &str, part: RangeInclusive<u64>, length: u64) -> Self {
        let headers = vec![
            ("Content-Type", content_type::of(path).to_owned()),
            ("Content-Range", format!("bytes {}-{}/{length}", part.start(), part.end())),
        ];
        Self { status: "206 Partial Content", headers, body: Body::File(file, part) }
    }

    /// Writes it; to HEAD without its body.
    pub(crate) fn write(self, to: &mut impl Write, method: Option<Method>, keep_alive: bool) -> io::Result<()> {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now());
        let mut head = format!("HTTP/1.1 {}\r\nDate: {date}\r\n", self.status);
        let length = match &self.body {
            Body::None => None,
            Body::Empty => Some(0),
            Body::Text(text) => Some(text.len() as u64),
            Body::File(_, part) => Some(part.end() - part.start() + 1),
        };
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let length = length.map(|length| ("Content-Length", length.to_string()));
        for (name, value) in self.headers.into_iter().chain(length).chain([("Connection", connection.to_owned())]) {
            head.extend([name, ": ", &value, "\r\n"]);
        }
        head.push_str("\r\n");
        to.write_all(head.as_bytes())?;
        match self.body {
            _ if method == Some(Method::Head) => Ok(()),
            Body::None | Body::Empty => Ok(()),
            Body::Text(text) => to.write_all(text.as_bytes()),
            Body::File(file, part) => send(file, &part, to),
        }
    }
}

fn send(mut file: File, part: &RangeInclusive<u64>, to: &mut impl Write) -> io::Result<()> {
    file.seek(SeekFrom::Start(*part.start()))?;
    let length = part.end() - part.start() + 1;
    let sent = io::copy(&mut io::Read::take(file, length), to)?;
    // A file cut short while it is sent cannot keep the promised length; only closing tells the client.
    if sent == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part(RangeInclusive<u64>),
    Outside,
}

/// One range of bytes; several at once, or another unit, are answered with the whole file, as RFC 9110 allows.
fn parse_range(text: &str, length: u64) -> Range {
    let parsed = text.strip_prefix("bytes=").filter(|range| !range.contains(',')).and_then(|range| {
        let (first, last) = range.trim().split_once('-')?;
        Some(match (first, last) {
            ("", count) => (length.saturating_sub(count.parse().ok()?), length.checked_sub(1)),
            (first, "") => (first.parse().ok()?, length.checked_sub(1)),
            (first, last) => (first.parse().ok()?, Some(last.parse::<u64>().ok()?.min(length.checked_sub(1)?))),
        })
    });
    match parsed {
        None => Range::Whole,
        Some((first, Some(last))) if first <= last => Range::Part(first..=last),
        Some(_) => Range::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let cases = [
            ("bytes=0-4", Range::Part(0..=4)),
            ("bytes=5-", Range::Part(5..=9)),
            ("bytes=-3", Range::Part(7..=9)),
            ("bytes=-30", Range::Part(0..=9)),
            ("bytes=8-30", Range::Part(8..=9)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=0-1,3-4", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("bytes=a-b", Range::Whole),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
    }
}
