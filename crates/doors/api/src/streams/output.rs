//! `/streams/builds` and `/streams/releases`: outputs that grow while they are read.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use blobs::Reader;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use vocabulary::{BuildId, ReleaseId};

use crate::http::base::Base;
use crate::http::error::Result;
use crate::http::state::{Shared, State as ApiState};
use crate::streams::ticket;

const BUILD: &str = "stream/build";
const RELEASE: &str = "stream/release";
/// How long an address is good for: longer than any build and release phase.
const GOOD_FOR: Duration = Duration::from_hours(24);

/// The address of a build's output.
pub(crate) fn build_url(state: &ApiState, base: &Base, id: BuildId) -> String {
    url(state, base, BUILD, "builds", &id.to_string())
}

/// The address of the output of a release's release phase.
pub(crate) fn release_url(state: &ApiState, base: &Base, id: ReleaseId) -> String {
    url(state, base, RELEASE, "releases", &id.to_string())
}

/// `GET /streams/builds/{token}`
pub(crate) async fn build(State(state): State<Shared>, Path(token): Path<String>) -> Result<Response> {
    follow(&state, BUILD, &token)
}

/// `GET /streams/releases/{token}`
pub(crate) async fn release(State(state): State<Shared>, Path(token): Path<String>) -> Result<Response> {
    follow(&state, RELEASE, &token)
}

/// A token that cannot be sealed is a key that cannot seal; the address then leads nowhere, and everything else of the
/// resource can still be read.
fn url(state: &ApiState, base: &Base, context: &str, folder: &str, name: &str) -> String {
    let token = ticket::issue(&state.store, context, &name, GOOD_FOR).unwrap_or_default();
    base.url(&format!("/streams/{folder}/{token}"))
}

/// An output that was not begun is 404: clients say so and ask again.
fn follow(state: &ApiState, context: &str, token: &str) -> Result<Response> {
    let name: String = ticket::admit(&state.store, context, token)?;
    let reader = state.outputs.read(&name).map_err(|_| ticket::gone())?;
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(stream::unfold(reader, next))).into_response())
}

async fn next(mut reader: Reader) -> Option<(std::io::Result<Bytes>, Reader)> {
    let piece = reader.next().await.transpose()?;
    Some((piece, reader))
}
