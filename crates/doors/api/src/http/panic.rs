//! A handler that panics answers 500 and takes nothing else along.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::http::error::Error;

/// The layer.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    response.unwrap_or_else(|_| {
        tracing::error!("a handler panicked");
        Error::broken().into_response()
    })
}
