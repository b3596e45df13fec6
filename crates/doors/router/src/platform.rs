//! A request for the platform itself: the API, git, the dashboard. Goes to control over its socket.
//!
//! No H-codes and no log lines. Control may be restarting: connecting is tried again for a few seconds, so that a restart
//! is not seen by a request of which nothing was sent, nor by one that may be repeated.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use tokio::time::{Instant, sleep, timeout};

use crate::answer::Answer;
use crate::connection::{Connection, Next};
use crate::forward::{self, Origin};
use crate::head::{Expect, Head};
use crate::pipe::Inlet;
use crate::trace::Trace;
use crate::tunnel;
use crate::upload::Upload;
use crate::upstream::{Peer, Unanswered, Upstream};
use crate::worker::Worker;

/// How long to wait before control is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of a request.
enum Ended {
    /// The answer was passed on; the connection may be used for another request or not.
    Answered { reusable: bool },
    /// Control agreed to another protocol.
    Switched(Upgraded),
    /// Control did not answer, and nothing was said to the client yet.
    Away,
    /// The client, or control in the middle of an answer, broke it off.
    Broken,
}

/// Serves a request for the platform to its end.
pub(crate) async fn serve(connection: &mut Connection, head: Head) -> Next {
    let worker = connection.worker.clone();
    let idle = worker.timeouts.platform_idle;
    let stream = connection.stream.clone();
    let inlet = Inlet::new(head.framing);
    let trace = Trace::default();
    let mut answer = connection.answer(&head, idle);
    let fwd = forward::came_by(&head.headers, connection.client);
    let request_id = forward::request_id(&head.headers);
    let origin = Origin { fwd: &fwd, protocol: connection.protocol, port: connection.port, request_id: &request_id };
    let asked = Asked { worker: &worker, head: &head, inlet: &inlet, headers: forward::to_platform(&head, &origin) };
    let expects = head.expect == Expect::Continue;
    let upload = Upload { stream: &stream, buffer: &mut connection.buffer, framing: head.framing, expects, idle };
    let ended = tokio::select! {
        biased;
        ended = asked.pass(&answer, &trace) => ended,
        _ = upload.run(&inlet) => Ended::Broken,
    };
    match ended {
        Ended::Answered { reusable } => Next::after(reusable && inlet.is_complete()),
        Ended::Switched(control) => through(connection, control, &trace).await,
        Ended::Broken => Next::cut(head.version),
        Ended::Away => {
            answer.keep_alive &= inlet.is_complete();
            let written = unavailable(&answer).await;
            Next::after(answer.keep_alive && written)
        }
    }
}

/// Says in the API's words that control is away; whether the client took it.
async fn unavailable(answer: &Answer<'_>) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    let body = br#"{"id":"service_unavailable","message":"The platform is restarting. Please try again in a moment."}"#;
    answer.whole(StatusCode::SERVICE_UNAVAILABLE, headers, Bytes::from_static(body)).await.is_ok()
}

async fn through(connection: &mut Connection, control: Upgraded, trace: &Trace) -> Next {
    let early = std::mem::take(&mut connection.buffer);
    tunnel::run(&connection.stream, early, control, connection.worker.timeouts.platform_idle, trace).await;
    Next::Close
}

/// A request on its way to control.
struct Asked<'r> {
    worker: &'r Worker,
    head: &'r Head,
    inlet: &'r Inlet,
    headers: HeaderMap,
}

impl Asked<'_> {
    async fn pass(&self, answer: &Answer<'_>, trace: &Trace) -> Ended {
        let Some((upstream, mut response)) = self.ask().await else { return Ended::Away };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS && self.head.upgrade.is_some() {
            let Ok(control) = hyper::upgrade::on(&mut response).await else { return Ended::Broken };
            let switched = answer.switch(std::mem::take(response.headers_mut()), trace).await;
            return switched.map_or(Ended::Broken, |()| Ended::Switched(control));
        }
        let Ok(reusable) = answer.pass_on(response, trace).await else { return Ended::Broken };
        if self.inlet.is_complete() {
            self.worker.pool.keep(Peer::Control, upstream);
        }
        Ended::Answered { reusable }
    }

    /// The head of control's answer; tries again while that is safe and the time lasts.
    async fn ask(&self) -> Option<(Upstream, Response<Incoming>)> {
        let deadline = Instant::now() + self.worker.timeouts.control;
        let repeatable = self.head.is_repeatable() && self.inlet.is_complete();
        let mut kept = if repeatable { self.worker.pool.take(Peer::Control).await } else { None };
        loop {
            let pause = if kept.is_some() { Duration::ZERO } else { PAUSE };
            let mut upstream = match kept.take() {
                Some(upstream) => upstream,
                None => self.connect(deadline).await?,
            };
            let response = timeout(self.worker.timeouts.platform_idle, upstream.send(self.request())).await;
            match response.ok()? {
                Ok(response) => return Some((upstream, response)),
                Err(Unanswered::NotSent) if !self.inlet.has_begun() => {}
                Err(Unanswered::Closed) if repeatable => {}
                Err(_) => return None,
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(pause).await;
        }
    }

    async fn connect(&self, deadline: Instant) -> Option<Upstream> {
        loop {
            match Upstream::to_control(&self.worker.platform_socket).await {
                Ok(upstream) => return Some(upstream),
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "control does not answer");
                    return None;
                }
            }
        }
    }

    fn request(&self) -> Request<crate::pipe::Outlet> {
        let mut request = Request::new(self.inlet.outlet(self.head.framing));
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.target.clone().into();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
