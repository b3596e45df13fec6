//! Request bodies: JSON of at most 1 MiB.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::http::error::Error;

/// The longest body in bytes; config vars, the largest thing sent, are 64 KiB at most.
const LIMIT: usize = 1024 * 1024;

/// A body as a type; an empty one is `{}`, since clients leave it out where every field is optional.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let bytes = to_bytes(request.into_body(), LIMIT).await.map_err(|_| Error::too_large(LIMIT as u64))?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| refused(&error))
    }
}

fn refused(error: &serde_json::Error) -> Error {
    match error.classify() {
        serde_json::error::Category::Data => Error::invalid(format!("The request does not fit: {error}.")),
        _ => Error::bad_request(format!("The request's body is no JSON: {error}.")),
    }
}
