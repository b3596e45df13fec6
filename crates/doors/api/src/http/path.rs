//! Parameters of a path for endpoints without [`crate::http::permitted`] in front, which refuses such paths itself: what
//! is no text is refused as every other bad request is.

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::http::error::Error;

/// As axum's, with an error of ours.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path)).map_err(|error| refused(&error))
    }
}

/// The parameter that is wrong, without what it held.
pub(crate) fn refused(error: &PathRejection) -> Error {
    Error::bad_request(format!("{}.", error.body_text().trim_end_matches('.')))
}
