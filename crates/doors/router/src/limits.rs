//! How much a client may send before it is told off, and how it is told.
//!
//! The figures are Heroku's where Heroku says them (Dev Center, "HTTP Routing", "Request limits"); the total of a head
//! and the number of its headers are ours, since Heroku only says that the total may exceed one header's limit.

use http::StatusCode;

/// The longest request line in bytes (Heroku: 8 KB).
pub(crate) const REQUEST_LINE: usize = 8 * 1024;
/// The longest header in bytes, name and value together (Heroku: 8 KB).
pub(crate) const HEADER_LINE: usize = 8 * 1024;
/// The largest head in bytes.
pub(crate) const HEAD: usize = 64 * 1024;
/// The most headers of one request.
pub(crate) const HEADERS: usize = 1000;
/// The longest method in bytes (Heroku: 127).
pub(crate) const METHOD: usize = 127;
/// The most a chunk's extensions may take before its data, in bytes; nobody uses them, attackers do.
pub(crate) const CHUNK_LINE: usize = 1024;
/// How much of a next request is read ahead while the answer to this one is under way, in bytes.
pub(crate) const READ_AHEAD: usize = 16 * 1024;

/// A request that is answered without asking anybody, after which the connection is closed: what follows on it cannot
/// be trusted to be the start of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It can be read in more than one way, or in none.
    #[error("{0}")]
    Malformed(&'static str),
    /// The request line is longer than [`REQUEST_LINE`].
    #[error("the request line is longer than 8 KB")]
    LongRequestLine,
    /// A header, or all of them together, are too large or too many.
    #[error("the headers are too large or too many")]
    LargeHead,
    /// The head did not arrive in time.
    #[error("the request's head took too long")]
    Slow,
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::LongRequestLine => StatusCode::URI_TOO_LONG,
            Self::LargeHead => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}
