//! `ETag`, `If-None-Match` and `If-Match`: a client that has the answer already is told so, and one that wants another
//! than there is gets none.
//!
//! Every good answer is tagged (Platform API Reference, "Caching"). Only reads have conditions: what a write finds may
//! change between the comparison and the write, and a guard with a gap is worse than none.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use sha2::{Digest as _, Sha256};

use crate::http::error::Error;

/// What a client said of the answers it has.
struct Conditions {
    /// `If-Match`: one of these, or nothing.
    wanted: Option<Tags>,
    /// `If-None-Match`: none of these again.
    seen: Option<Tags>,
}

/// The tags of a header, which may come in several.
struct Tags(Vec<String>);

/// The layer; goes around handlers whose whole answer is in memory.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let conditions = Conditions::of(&request);
    let response = next.run(request).await;
    if response.status().is_success() { tagged(response, &conditions).await } else { response }
}

async fn tagged(response: Response, conditions: &Conditions) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Error::broken().into_response();
    };
    let digest = vocabulary::Digest::from_bytes(&Sha256::digest(&bytes).into());
    let tag = format!("\"{}\"", digest.as_str().get(..32).unwrap_or_default());
    // In this order (RFC 9110, 13.2.2); only a strong tag matches where one is wanted (13.1.1).
    if conditions.wanted.as_ref().is_some_and(|wanted| !wanted.name(&tag, "")) {
        return Error::precondition_failed().into_response();
    }
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, value);
    }
    if conditions.seen.as_ref().is_some_and(|seen| seen.name(&tag, "W/")) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        parts.headers.remove(CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

impl Conditions {
    fn of(request: &Request) -> Self {
        let reads = request.method() == Method::GET;
        let of =
            |name: &HeaderName| Some(request.headers()).filter(|_| reads).and_then(|headers| Tags::of(headers, name));
        Self { wanted: of(&IF_MATCH), seen: of(&IF_NONE_MATCH) }
    }
}

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        let texts = lines.iter().filter_map(|line| line.to_str().ok());
        let tags = texts.flat_map(|line| line.split(',')).map(|tag| tag.trim().to_owned());
        (!lines.is_empty()).then(|| Self(tags.collect()))
    }

    /// Whether a tag is among them, also behind this prefix.
    fn name(&self, tag: &str, prefix: &str) -> bool {
        self.0.iter().any(|one| one == "*" || one.strip_prefix(prefix).unwrap_or(one) == tag)
    }
}
