//! `ETag` and `If-None-Match`: a client that has the answer already is told so.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use sha2::{Digest as _, Sha256};

use crate::http::error::Error;

/// The layer; goes around handlers whose whole answer is in memory.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let seen = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if response.status().is_success() { tagged(response, seen.as_ref()).await } else { response }
}

async fn tagged(response: Response, seen: Option<&HeaderValue>) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Error::broken().into_response();
    };
    let digest = vocabulary::Digest::from_bytes(&Sha256::digest(&bytes).into());
    let tag = format!("\"{}\"", digest.as_str().get(..32).unwrap_or_default());
    let same = seen.and_then(|seen| seen.to_str().ok()).is_some_and(|seen| names(seen, &tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, value);
    }
    if same {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        parts.headers.remove(CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn names(seen: &str, tag: &str) -> bool {
    seen.split(',').map(str::trim).any(|seen| seen == "*" || seen.strip_prefix("W/").unwrap_or(seen) == tag)
}
