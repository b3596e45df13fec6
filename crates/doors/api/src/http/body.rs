//! Request bodies: JSON of at most 1 MiB.

use axum::body::Body as Stream;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
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
        let bytes = read(request.into_body()).await?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| refused(&error))
    }
}

/// What is beyond the limit is left unread; [`crate::http::to_the_end`] hears it.
pub(crate) async fn read(mut body: Stream) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::bad_request("The request ended before its body did.".to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > LIMIT {
            return Err(Error::too_large(LIMIT as u64));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn refused(error: &serde_json::Error) -> Error {
    match error.classify() {
        serde_json::error::Category::Data => Error::invalid(format!("The request does not fit: {error}.")),
        _ => Error::bad_request(format!("The request's body is no JSON: {error}.")),
    }
}
