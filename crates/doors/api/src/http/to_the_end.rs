//! Around everything: a request's body is heard to its end, also where the answer is known before. A connection closed
//! while its client still sends loses the answer that says why.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};

/// How many bytes that nobody wants are heard and dropped.
const MOST: usize = 256 * 1024 * 1024;
/// How long they may take.
const LONGEST: Duration = Duration::from_mins(2);

/// The layer.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let whole = Arc::new(Mutex::new(body.into_data_stream().fuse()));
    let rest = Arc::clone(&whole);
    let next_piece = move |context: &mut std::task::Context<'_>| {
        whole.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    };
    let mut response = next.run(Request::from_parts(parts, Body::from_stream(stream::poll_fn(next_piece)))).await;
    let rest = stream::poll_fn(move |context: &mut std::task::Context<'_>| {
        rest.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    });
    // Whoever does not end in time has lost the answer.
    drop(tokio::time::timeout(LONGEST, drop_all(rest)).await);
    response
}
