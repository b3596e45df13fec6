//! Reads the head of a request, within limits. Bodies are not read: nothing here takes one, and a connection that
//! announces one is closed after the answer.

/// Largest head, in bytes; the router in front allows 8 KiB per line.
pub(crate) const HEAD_LIMIT: usize = 32 << 10;
/// Most header lines.
const HEADERS: usize = 100;

/// What of a request decides the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// Path and query as they were sent.
    pub(crate) target: String,
    pub(crate) if_none_match: Option<String>,
    pub(crate) range: Option<String>,
    /// Whether another request may follow on the connection.
    pub(crate) keep_alive: bool,
}

/// The methods that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

/// How reading went so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More is needed.
    Partial,
    /// A head, and how many bytes it took.
    Whole(Head, usize),
    /// It is no HTTP request.
    Bad,
    /// It is larger than the limits.
    TooLarge,
}

/// Looks at what has arrived.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            head(&request).map_or(Parsed::Bad, |head| Parsed::Whole(head, length))
        }
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_LIMIT => Parsed::TooLarge,
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => Parsed::TooLarge,
        Err(_) => Parsed::Bad,
    }
}

fn head(request: &httparse::Request<'_, '_>) -> Option<Head> {
    let value = |name: &str| {
        let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok().map(|value| value.trim().to_owned())
    };
    let connection = value("connection").unwrap_or_default().to_ascii_lowercase();
    let says = |word: &str| connection.split(',').any(|part| part.trim() == word);
    let body = value("transfer-encoding").is_some() || value("content-length").is_some_and(|length| length != "0");
    let persistent = if request.version? == 1 { !says("close") } else { says("keep-alive") };
    Some(Head {
        method: match request.method? {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        },
        target: request.path?.to_owned(),
        if_none_match: value("if-none-match"),
        range: value("range"),
        keep_alive: persistent && !body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Parsed::Whole(head, length) => {
                assert_eq!(length, text.len());
                head
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_keeps_a_connection() {
        let cases = [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        ];
        for (text, expected) in cases {
            assert_eq!(whole(text).keep_alive, expected, "{text:?}");
        }
    }

    #[test]
    fn limits_and_nonsense() {
        assert_eq!(parse(b"GET / HT"), Parsed::Partial);
        assert_eq!(parse(b"\x16\x03\x01"), Parsed::Bad);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(parse(many.as_bytes()), Parsed::TooLarge);
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(HEAD_LIMIT));
        assert_eq!(parse(long.as_bytes()), Parsed::TooLarge);
    }
}
