//! The head of a request, read so that it has one meaning, or refused.
//!
//! ```text
//! bytes ── scan ──▶ one head ── httparse ──▶ fields ── this file ──▶ Head: target, host, framing, connection
//! ```
//!
//! What comes out is valid: inside, nobody checks again. It is never sent on as bytes; the dyno gets a head that we write.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Version};

use crate::framing::{self, Framing};
use crate::limits::{HEADERS, METHOD, Refusal};

/// A request's head.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Its method.
    pub(crate) method: Method,
    /// Path and query; `*` for `OPTIONS *`; `/` for `CONNECT`, which has none.
    pub(crate) target: PathAndQuery,
    /// HTTP/1.0 or HTTP/1.1.
    pub(crate) version: Version,
    /// The one host it names, as sent; an HTTP/1.0 request may name none.
    pub(crate) host: Option<Authority>,
    /// All headers, in order, names in lower case.
    pub(crate) headers: HeaderMap,
    /// How long its body is.
    pub(crate) framing: Framing,
    /// Whether the client keeps the connection for another request.
    pub(crate) keep_alive: bool,
    /// The protocol it asks to change to.
    pub(crate) upgrade: Option<HeaderValue>,
    /// What it expects before it sends its body.
    pub(crate) expect: Expect,
}

/// What stands in `Expect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing.
    Nothing,
    /// `100-continue`.
    Continue,
    /// What nobody can fulfil: 417.
    Else,
}

impl Head {
    /// Whether it may be sent twice (RFC 9110, section 9.2.2), as far as the head tells: the body must be none as well.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() && self.upgrade.is_none()
    }
}

/// Reads the head that ends at `end` of `buffer`, and takes it out of there.
pub(crate) fn take(buffer: &mut BytesMut, end: usize) -> Result<Head, Refusal> {
    let bytes = buffer.split_to(end).freeze();
    let mut few = [httparse::EMPTY_HEADER; 64];
    match parse(&bytes, &mut few) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![httparse::EMPTY_HEADER; HEADERS];
            parse(&bytes, &mut many).map_err(|_| Refusal::LargeHead)?
        }
        head => head.map_err(|_| Refusal::Malformed("a head that is no HTTP/1.1"))?,
    }
}

fn parse<'b>(bytes: &'b Bytes, fields: &mut [httparse::Header<'b>]) -> Result<Result<Head, Refusal>, httparse::Error> {
    let mut request = httparse::Request::new(fields);
    request.parse(bytes)?;
    Ok(understand(bytes, &request))
}

fn understand(bytes: &Bytes, request: &httparse::Request<'_, '_>) -> Result<Head, Refusal> {
    let method = method(request.method.unwrap_or_default())?;
    let version = if request.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let headers = headers(bytes, request.headers)?;
    let (target, named) = target(&method, request.path.unwrap_or_default())?;
    let upgrades = says(&headers, &CONNECTION, "upgrade") && version == Version::HTTP_11;
    let framing = framing::decide(version, &headers)?;
    Ok(Head {
        host: host(&method, version, &headers, named)?,
        framing,
        keep_alive: keeps_alive(version, &headers),
        upgrade: headers.get(UPGRADE).filter(|_| upgrades && framing == Framing::None).cloned(),
        expect: expect(version, &headers),
        method,
        target,
        version,
        headers,
    })
}

fn method(text: &str) -> Result<Method, Refusal> {
    if text.len() > METHOD {
        return Err(Refusal::Malformed("a method of more than 127 characters"));
    }
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) => Ok(method),
        Err(_) => Err(Refusal::Malformed("a method that is no token")),
    }
}

fn headers(bytes: &Bytes, fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::with_capacity(fields.len() + 8);
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
        match (name, value) {
            (Ok(name), Ok(value)) => headers.append(name, value),
            _ => return Err(Refusal::Malformed("a header that is none")),
        };
    }
    Ok(headers)
}

/// The path and query, and the host if the target is in absolute form (`GET http://host/path`).
fn target(method: &Method, text: &str) -> Result<(PathAndQuery, Option<Authority>), Refusal> {
    const NONE: Refusal = Refusal::Malformed("a target that is no path");
    if text.contains('#') {
        return Err(NONE); // A fragment never leaves a browser; readers disagree about what to do with one.
    }
    if method == Method::CONNECT {
        let named = text.parse::<Authority>().ok().filter(|named| named.port_u16().is_some() && is_plain(named));
        return Ok((PathAndQuery::from_static("/"), Some(named.ok_or(NONE)?)));
    }
    if text.starts_with('/') || (text == "*" && method == Method::OPTIONS) {
        return Ok((text.parse().map_err(|_| NONE)?, None));
    }
    let parts = text.parse::<http::Uri>().map_err(|_| NONE)?.into_parts();
    match (parts.scheme.as_ref().map(http::uri::Scheme::as_str), parts.authority) {
        (Some("http" | "https"), Some(authority)) => {
            Ok((parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")), Some(authority)))
        }
        _ => Err(NONE),
    }
}

/// The one host: that of `Host`, with which an absolute target must agree. In a `CONNECT` the target alone counts: clients
/// name the proxy in `Host`.
fn host(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    named: Option<Authority>,
) -> Result<Option<Authority>, Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let host = match (values.next(), values.next()) {
        (Some(_), Some(_)) => return Err(Refusal::Malformed("two Host headers")),
        (None, _) if version == Version::HTTP_11 => return Err(Refusal::Malformed("no Host header")),
        (None, _) => return Ok(named),
        (Some(value), None) => authority(value)?,
    };
    match named {
        Some(named) if method == Method::CONNECT => Ok(Some(named)),
        Some(named) if !named.as_str().eq_ignore_ascii_case(host.as_str()) => {
            Err(Refusal::Malformed("a target that disagrees with Host"))
        }
        _ => Ok(Some(host)),
    }
}

fn authority(value: &HeaderValue) -> Result<Authority, Refusal> {
    let authority = Authority::try_from(value.as_bytes()).map_err(|_| Refusal::Malformed("a Host that is none"))?;
    if is_plain(&authority) { Ok(authority) } else { Err(Refusal::Malformed("a Host that is none")) }
}

fn is_plain(authority: &Authority) -> bool {
    authority.as_str().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
}

fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let closes = says(headers, &CONNECTION, "close");
    !closes && (version == Version::HTTP_11 || says(headers, &CONNECTION, "keep-alive"))
}

fn expect(version: Version, headers: &HeaderMap) -> Expect {
    match headers.get(EXPECT) {
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            // A 1.0 client cannot read an interim answer (RFC 9110, section 10.1.1).
            if version == Version::HTTP_11 { Expect::Continue } else { Expect::Nothing }
        }
        Some(_) => Expect::Else,
        None => Expect::Nothing,
    }
}

/// Whether a header that is a list has `word` in it.
pub(crate) fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let words = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    words.map(str::trim).any(|one| one.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, Refusal> {
        let mut buffer = BytesMut::from(text);
        let end = crate::scan::Scan::default().end(&buffer)?.unwrap();
        take(&mut buffer, end)
    }

    #[test]
    fn a_head_is_read() {
        let head = read("POST /a?b=c HTTP/1.1\r\nHost: Sushi.localhost:5080\r\nContent-Length: 3\r\n\r\n").unwrap();
        assert_eq!(head.method, Method::POST);
        assert_eq!(head.target.as_str(), "/a?b=c");
        assert_eq!(head.host.unwrap().as_str(), "Sushi.localhost:5080");
        assert_eq!(head.framing, Framing::Length(3));
        assert!(head.keep_alive);
    }

    #[test]
    fn keeping_the_connection_depends_on_version_and_header() {
        let keeps = |version: &str, header: &str| read(&format!("GET / {version}\r\nHost: a\r\n{header}\r\n")).unwrap();
        assert!(keeps("HTTP/1.1", "").keep_alive);
        assert!(!keeps("HTTP/1.1", "Connection: x, Close\r\n").keep_alive);
        assert!(!keeps("HTTP/1.0", "").keep_alive);
        assert!(keeps("HTTP/1.0", "Connection: keep-alive\r\n").keep_alive);
    }

    #[test]
    fn an_absolute_target_agrees_with_host() {
        let head = read("GET http://a.localhost/x HTTP/1.1\r\nHost: A.localhost\r\n\r\n").unwrap();
        assert_eq!(head.target.as_str(), "/x");
        assert!(read("GET http://b.localhost/x HTTP/1.1\r\nHost: a.localhost\r\n\r\n").is_err());
        assert!(read("GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n").is_err());
    }

    #[test]
    fn heads_with_more_than_one_meaning_are_refused() {
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(matches!(read(bad), Err(Refusal::Malformed(_))), "{bad:?}");
        }
        for bad in [
            "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a@b:1 HTTP/1.0\r\n\r\n",
        ] {
            assert!(matches!(read(bad), Err(Refusal::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_connect_means_its_target() {
        for host in ["a.example:443", "127.0.0.1:5080"] {
            let head = read(&format!("CONNECT a.example:443 HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
            assert_eq!((head.method, head.host.unwrap().as_str()), (Method::CONNECT, "a.example:443"));
        }
    }

    #[test]
    fn an_upgrade_needs_connection_and_no_body() {
        let head =
            |more: &str| read(&format!("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n{more}\r\n")).unwrap();
        assert_eq!(head("Connection: Upgrade\r\n").upgrade.unwrap(), "websocket");
        assert!(head("").upgrade.is_none());
        assert!(head("Connection: Upgrade\r\nContent-Length: 4\r\n").upgrade.is_none());
    }

    #[test]
    fn many_headers_are_read() {
        let head = read(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(500))).unwrap();
        assert_eq!(head.headers.get_all("x").iter().count(), 500);
    }
}
