//! An error's body.

use serde::Serialize;

/// An error as every answer that is none of 2xx or 3xx gives it.
#[derive(Debug, Clone, Serialize)]
pub struct Error {
    /// What kind.
    pub id: ErrorId,
    /// What happened, for people.
    pub message: String,
    /// For [`ErrorId::NotFound`]: which kind of thing was not found; clients act on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<&'static str>,
}

/// The kinds of error (Platform API Reference, "Errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorId {
    /// 400: not understood.
    BadRequest,
    /// 401: not signed in.
    Unauthorized,
    /// 403: signed in, and not allowed.
    Forbidden,
    /// 403: a code of the second factor is wanted.
    TwoFactor,
    /// 404: no such thing.
    NotFound,
    /// 405: the path has no such method.
    MethodNotAllowed,
    /// 406: another version was asked for.
    NotAcceptable,
    /// 409: it stands in the way of something else.
    Conflict,
    /// 412: not what was wanted any longer.
    PreconditionFailed,
    /// 413: too long.
    RequestTooLarge,
    /// 416: no such sort key, or an unreadable range.
    RequestedRangeNotSatisfiable,
    /// 422: understood, and not possible.
    InvalidParams,
    /// 429: too many requests.
    RateLimit,
    /// 500: our mistake.
    InternalServerError,
    /// 501: part of Heroku's API, and not built here yet.
    NotImplemented,
    /// 503: a part of the platform is away.
    ServiceUnavailable,
}
