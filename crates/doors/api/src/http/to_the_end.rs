//! Around everything: a request's body is heard to its end, also where the answer is known before. A connection closed
//! while its client still sends loses the answer that says why.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, Fuse, Stream, StreamExt as _};

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
    let body = Arc::new(Mutex::new(body.into_data_stream().fuse()));
    let response = next.run(Request::from_parts(parts, Body::from_stream(pieces(Arc::clone(&body))))).await;
    // Whoever does not end in time has lost the answer.
    drop(tokio::time::timeout(LONGEST, drop_all(pieces(body))).await);
    response
}

/// What of a body nobody has read yet.
fn pieces(body: Arc<Mutex<Fuse<BodyDataStream>>>) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static {
    stream::poll_fn(move |context| body.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context))
}

async fn drop_all(pieces: impl Stream<Item = Result<Bytes, axum::Error>>) {
    let mut pieces = std::pin::pin!(pieces);
    let mut heard = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        heard += piece.len();
        if heard > MOST {
            return;
        }
    }
}
