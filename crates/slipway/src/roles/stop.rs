//! An orderly end of control: what is being answered is finished, within a moment, and tails of logs end cleanly.
//!
//! The official command opens a tail again when it ended, and gives up when it was cut.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::StreamExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower::{Layer, Service};

/// How long answers may take after control was asked to end; those who wait meanwhile wait in its socket's queue.
const MOMENT: Duration = Duration::from_secs(2);

/// A watch that turns true on SIGTERM.
pub(super) fn on_terminate() -> io::Result<watch::Receiver<bool>> {
    let (ask, asked) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        ask.send_replace(true);
        // Kept, so that a watch without a sender does not look like a signal.
        ask.closed().await;
    });
    Ok(asked)
}

/// Comes back when control is asked to end.
pub(super) async fn asked(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Comes back when it was asked a moment ago.
pub(super) async fn overdue(stop: watch::Receiver<bool>) {
    asked(stop).await;
    tokio::time::sleep(MOMENT).await;
}

/// Ends event streams when control is asked to end.
#[derive(Clone)]
pub(super) struct EndTails(pub(super) watch::Receiver<bool>);

impl<S> Layer<S> for EndTails {
    type Service = Tails<S>;

    fn layer(&self, inner: S) -> Tails<S> {
        Tails { inner, stop: self.0.clone() }
    }
}

/// A service whose event streams end so.
#[derive(Clone)]
pub(super) struct Tails<S> {
    inner: S,
    stop: watch::Receiver<bool>,
}

impl<S> Service<Request> for Tails<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (answer, stop) = (self.inner.call(request), self.stop.clone());
        Box::pin(async move {
            let response = answer.await?;
            let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
                return Ok(response);
            }
            Ok(response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(asked(stop))))))
        })
    }
}
