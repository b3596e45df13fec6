//! How long a request's body is, and how an answer's body is sent: RFC 9112, section 6, without its leniency.

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use crate::limits::Refusal;

/// How long a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none, and nothing says so.
    None,
    /// So many bytes; 0 is said, not assumed.
    Length(u64),
    /// Chunks up to an empty one.
    Chunked,
}

impl Framing {
    /// Whether no byte of a body comes.
    pub(crate) fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// How an answer's body is sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// No body follows the head. The length, if there is one, is that of the body a `GET` would have got.
    Nothing(Option<u64>),
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Up to the end of the connection, for a client that does not know chunks.
    UntilClose,
}

/// Decides the length of a request's body. Whatever could be read in two ways is refused: a request that is never sent
/// on cannot be read differently by the dyno (RFC 9112, section 11.2).
pub(crate) fn decide(version: Version, headers: &HeaderMap) -> Result<Framing, Refusal> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (encodings.next(), lengths.next()) {
        (None, None) => Ok(Framing::None),
        (Some(_), Some(_)) => Err(Refusal::Malformed("both Content-Length and Transfer-Encoding")),
        (Some(_), None) if version != Version::HTTP_11 => Err(Refusal::Malformed("Transfer-Encoding in HTTP/1.0")),
        (Some(encoding), None)
            if encodings.next().is_none() && encoding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(Framing::Chunked)
        }
        (Some(_), None) => Err(Refusal::Malformed("a Transfer-Encoding other than chunked")),
        (None, Some(_)) if lengths.next().is_some() => Err(Refusal::Malformed("two Content-Length headers")),
        (None, Some(length)) => length_of(length.as_bytes()).map(Framing::Length),
    }
}

/// Digits and nothing else; 19 of them cannot overflow.
fn length_of(digits: &[u8]) -> Result<u64, Refusal> {
    const BAD: Refusal = Refusal::Malformed("a Content-Length that is no number");
    if !(1..=19).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(BAD)
}

/// Decides how an answer is sent. `exact` is the length of its body where the dyno said it, `said` the number in its
/// `Content-Length`.
pub(crate) fn sending(
    method: &Method,
    version: Version,
    status: StatusCode,
    exact: Option<u64>,
    said: Option<u64>,
) -> Sending {
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        return Sending::Nothing(None);
    }
    if method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        return Sending::Nothing(said);
    }
    match exact {
        Some(length) => Sending::Length(length),
        None if version == Version::HTTP_11 => Sending::Chunked,
        None => Sending::UntilClose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn framing(version: Version, fields: &[(&'static str, &'static str)]) -> Result<Framing, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        decide(version, &headers)
    }

    #[test]
    fn a_body_has_one_length() {
        assert_eq!(framing(Version::HTTP_11, &[]), Ok(Framing::None));
        assert_eq!(framing(Version::HTTP_11, &[("content-length", "0")]), Ok(Framing::Length(0)));
        assert_eq!(framing(Version::HTTP_10, &[("content-length", "17")]), Ok(Framing::Length(17)));
        assert_eq!(framing(Version::HTTP_11, &[("transfer-encoding", "Chunked")]), Ok(Framing::Chunked));
    }

    #[test]
    fn or_is_refused() {
        let length = "content-length";
        let encoding = "transfer-encoding";
        for bad in ["+4", "-4", "4, 4", "4,4", "0x4", "", "4 4", "18446744073709551616", "99999999999999999999"] {
            assert!(framing(Version::HTTP_11, &[(length, bad)]).is_err(), "{bad}");
        }
        assert!(framing(Version::HTTP_11, &[(length, "4"), (length, "4")]).is_err());
        assert!(framing(Version::HTTP_11, &[(length, "4"), (length, "5")]).is_err());
        assert!(framing(Version::HTTP_11, &[(length, "4"), (encoding, "chunked")]).is_err());
        for bad in ["chunked, identity", "identity", "xchunked", "chunked, chunked", "gzip, chunked", "\"chunked\"", ""]
        {
            assert!(framing(Version::HTTP_11, &[(encoding, bad)]).is_err(), "{bad}");
        }
        assert!(framing(Version::HTTP_11, &[(encoding, "chunked"), (encoding, "chunked")]).is_err());
        assert!(framing(Version::HTTP_10, &[(encoding, "chunked")]).is_err());
    }

    #[test]
    fn answers_without_a_body_have_none() {
        let nothing = |method, status, said| sending(&method, Version::HTTP_11, status, Some(0), said);
        assert_eq!(nothing(Method::HEAD, StatusCode::OK, Some(9)), Sending::Nothing(Some(9)));
        assert_eq!(nothing(Method::GET, StatusCode::NOT_MODIFIED, Some(9)), Sending::Nothing(Some(9)));
        assert_eq!(nothing(Method::GET, StatusCode::NO_CONTENT, Some(9)), Sending::Nothing(None));
        assert_eq!(nothing(Method::GET, StatusCode::SWITCHING_PROTOCOLS, None), Sending::Nothing(None));
    }

    #[test]
    fn others_are_sent_as_the_client_can_read_them() {
        let ok = StatusCode::OK;
        assert_eq!(sending(&Method::GET, Version::HTTP_11, ok, Some(5), Some(5)), Sending::Length(5));
        assert_eq!(sending(&Method::GET, Version::HTTP_11, ok, None, None), Sending::Chunked);
        assert_eq!(sending(&Method::GET, Version::HTTP_10, ok, None, None), Sending::UntilClose);
    }
}
