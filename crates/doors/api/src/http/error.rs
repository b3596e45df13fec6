//! Errors as answers: the one place where what failed becomes a status, an id and a message.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schema::ErrorId;

/// An answer that is an error. [`IntoResponse`] makes it `{"id", "message"}`.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    status: StatusCode,
    body: schema::Error,
}

/// What a handler answers.
pub(crate) type Result<T = Response> = std::result::Result<T, Error>;

impl Error {
    fn new(status: StatusCode, id: ErrorId, message: impl Into<String>) -> Self {
        Self { status, body: schema::Error { id, message: message.into(), resource: None } }
    }

    /// What is said about it.
    pub(crate) fn message(&self) -> &str {
        &self.body.message
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The request was not understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorId::BadRequest, message)
    }

    /// Nobody is signed in.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorId::Unauthorized, message)
    }

    /// Whoever is signed in may not.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorId::Forbidden, message)
    }

    /// There is no such `resource`; clients act on its name.
    pub(crate) fn not_found(resource: &'static str) -> Self {
        let mut error = Self::no_such(format!("Couldn't find that {resource}."));
        error.body.resource = Some(resource);
        error
    }

    /// There is no such thing, with a text of its own.
    pub(crate) fn no_such(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorId::NotFound, message)
    }

    /// The path is there and has no such method.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "There is no such method on this path.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorId::MethodNotAllowed, message)
    }

    /// Another version than 3 was asked for.
    pub(crate) fn not_acceptable() -> Self {
        let message = "Only version 3 is served: Accept: application/vnd.heroku+json; version=3";
        Self::new(StatusCode::NOT_ACCEPTABLE, ErrorId::NotAcceptable, message)
    }

    /// The body is longer than `limit` bytes.
    pub(crate) fn too_large(limit: u64) -> Self {
        let message = format!("The request's body is longer than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorId::RequestTooLarge, message)
    }

    /// The `Range` header names no key of this list, or cannot be read.
    pub(crate) fn bad_range(message: impl Into<String>) -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorId::RequestedRangeNotSatisfiable, message)
    }

    /// Understood, and not possible.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorId::InvalidParams, message)
    }

    /// Whether this says that what was asked for is not possible.
    pub(crate) fn is_invalid(&self) -> bool {
        self.body.id == ErrorId::InvalidParams
    }

    /// Too many requests.
    pub(crate) fn rate_limit() -> Self {
        let message = "Your account reached the API rate limit. Please wait a few minutes before making new requests.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorId::RateLimit, message)
    }

    /// Too many wrong passwords or codes.
    pub(crate) fn too_many_attempts() -> Self {
        let message = "Too many failed attempts to sign in. Please wait a few minutes before the next.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorId::RateLimit, message)
    }

    /// A code of the second factor is wanted, or the one that was sent is not good.
    pub(crate) fn two_factor(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorId::TwoFactor, message)
    }

    /// Too much of one account's is under way at once.
    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorId::RateLimit, message)
    }

    /// Too much is under way at once.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorId::ServiceUnavailable, message)
    }

    /// Part of Heroku's API and not built here yet.
    pub(crate) fn unbuilt(what: &str) -> Self {
        let message = format!("{what} is not built on this platform yet.");
        Self::new(StatusCode::NOT_IMPLEMENTED, ErrorId::NotImplemented, message)
    }

    /// Our own mistake; `cause` goes to our log, not to the caller.
    pub(crate) fn internal(cause: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(cause), |cause| cause.source());
        let chain = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::error!(error = chain, "a request failed");
        Self::broken()
    }

    /// Our own mistake, of which nothing more is known.
    pub(crate) fn broken() -> Self {
        let message = "Something went wrong on our side. The platform's own log has more.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorId::InternalServerError, message)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Slipway\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        if !error.is_away() {
            return Self::internal(&error);
        }
        tracing::warn!(error = &error as &dyn std::error::Error, "a request failed, as the store is away");
        Self::busy("The platform's database cannot be reached for the moment. Please try again.")
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<releases::Error> for Error {
    fn from(error: releases::Error) -> Self {
        match error {
            releases::Error::Invalid(message) => Self::invalid(message),
            releases::Error::Gone => Self::not_found("app"),
            releases::Error::Store(error) => error.into(),
        }
    }
}

impl From<dynos::Error> for Error {
    fn from(error: dynos::Error) -> Self {
        match error {
            dynos::Error::Invalid(message) => Self::invalid(message),
            dynos::Error::NotFound(resource) => Self::not_found(resource),
            dynos::Error::Store(error) => error.into(),
        }
    }
}

impl From<builds::Error> for Error {
    fn from(error: builds::Error) -> Self {
        match error {
            builds::Error::Invalid(message) => Self::invalid(message),
            builds::Error::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}
