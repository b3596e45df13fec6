//! HEAD mirrors GET: same status, same headers, no body. It is answered as a GET whose body is dropped, so that layers
//! below, such as the `ETag`'s, see the body they speak about.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::Method;

/// The layer.
pub(crate) async fn layer(mut request: Request, next: Next) -> Response {
    if request.method() != Method::HEAD {
        return next.run(request).await;
    }
    *request.method_mut() = Method::GET;
    next.run(request).await.map(|_| Body::empty())
}
