//! `/streams/builds` and `/streams/releases`: outputs that grow while they are read.

use std::time::Duration;

use access::OnApp;
use access::action::ViewApp;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use vocabulary::{BuildId, ReleaseId};

use crate::http::base::Base;
use crate::http::error::Result;
use crate::http::path::Path;
use crate::http::state::{Shared, State as ApiState};
use crate::streams::reader::Reader;
use crate::streams::ticket;

const BUILD: &str = "stream/build";
const RELEASE: &str = "stream/release";
/// How long an address is good for: longer than any build and release phase.
const GOOD_FOR: Duration = Duration::from_hours(24);

/// What is to be read.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    output: String,
    reader: Reader,
}

/// The address of a build's output.
pub(crate) fn build_url(state: &ApiState, base: &Base, own: &OnApp, id: BuildId) -> String {
    url(state, base, own, BUILD, "builds", id.to_string())
}

/// The address of the output of a release's release phase.
pub(crate) fn release_url(state: &ApiState, base: &Base, own: &OnApp, id: ReleaseId) -> String {
    url(state, base, own, RELEASE, "releases", id.to_string())
}

/// `GET /streams/builds/{token}`
pub(crate) async fn build(State(state): State<Shared>, Path(token): Path<String>) -> Result<Response> {
    follow(&state, BUILD, &token).await
}

/// `GET /streams/releases/{token}`
pub(crate) async fn release(State(state): State<Shared>, Path(token): Path<String>) -> Result<Response> {
    follow(&state, RELEASE, &token).await
}

/// A token that cannot be sealed is a key that cannot seal; the address then leads nowhere, and everything else of the
/// resource can still be read.
fn url(state: &ApiState, base: &Base, own: &OnApp, context: &str, folder: &str, output: String) -> String {
    let wanted = Wanted { output, reader: Reader::new(own) };
    let token = ticket::issue(&state.store, context, &wanted, GOOD_FOR).unwrap_or_default();
    base.url(&format!("/streams/{folder}/{token}"))
}

/// An output that was not begun is 404: clients say so and ask again.
async fn follow(state: &ApiState, context: &str, token: &str) -> Result<Response> {
    let wanted: Wanted = ticket::admit(&state.store, context, token)?;
    wanted.reader.still::<ViewApp>(&state.store).await?;
    let reader = state.outputs.read(&wanted.output).map_err(|_| ticket::gone())?;
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(stream::unfold(reader, next))).into_response())
}

async fn next(mut reader: blobs::Reader) -> Option<(std::io::Result<Bytes>, blobs::Reader)> {
    let piece = reader.next().await.transpose()?;
    Some((piece, reader))
}
