//! The three requests of git's smart protocol (git's documentation, "gitprotocol-http").

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crashpoints::Point;
use engine::GitService;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, PRAGMA};
use http::{HeaderMap, Request, StatusCode};
use serde::Deserialize;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;

use work::Full;

use crate::Git;
use crate::access::{Allowed, Denied, Wish};
use crate::body::copy;
use crate::child::{self, Child, Held};
use crate::deploy::Push;

/// The longest `Git-Protocol` header that is passed on.
const PROTOCOL: usize = 64;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("Only git's smart protocol is spoken here: use git 1.6.6 or newer.")]
    Dumb,
    #[error("The request is not one of git's.")]
    MediaType,
    #[error("Too many of your git requests are under way: {0} at a time. Wait for one of them to end, and try again.")]
    TooMany(usize),
    #[error("The platform has too many git requests under way. Try again.")]
    Busy,
    #[error("The platform could not run git. Try again.")]
    Child(#[from] std::io::Error),
    #[error("The platform could not reach the repository. Try again.")]
    Engine(#[from] engine::Error),
}

impl From<Full> for Error {
    fn from(full: Full) -> Self {
        match full {
            Full::Own(limit) => Self::TooMany(limit),
            Full::All => Self::Busy,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Denied(denied) => return denied.into_response(),
            Self::Dumb => StatusCode::FORBIDDEN,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Child(_) | Self::Engine(_) => {
                tracing::error!(error = ?self, "could not serve a git request");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, [("retry-after", "5")], format!("{self}\n")).into_response()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    service: Option<String>,
}

/// `GET /{app}.git/info/refs?service=…`
pub(crate) async fn advertise(
    State(git): State<Git>,
    Path(repository): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (wish, service, name) = match asked.service.as_deref() {
        Some(name @ "git-upload-pack") => (Wish::Fetch, GitService::AdvertiseUpload, name),
        Some(name @ "git-receive-pack") => (Wish::Push, GitService::AdvertiseReceive, name),
        _ => return Err(Error::Dumb),
    };
    let Allowed { app, account, .. } = git.allowed(&headers, &repository, wish).await?;
    let protocol = protocol(&headers);
    let start = announcement(name, protocol.as_deref());
    let place = git.places.take(&account.id)?;
    git.engine.create_repository(app.id).await?;
    tracing::debug!(target: "timing", step = "references asked", app.name = %app.name);
    let child = git.child(app.id, service, protocol, place)?;
    drop(child.stdin);
    Ok(answered(&format!("application/x-{name}-advertisement"), child::answer(start, child.stdout)))
}

/// `POST /{app}.git/git-upload-pack`
pub(crate) async fn upload(
    State(git): State<Git>,
    Path(repository): Path<String>,
    request: Request<Body>,
) -> Result<Response, Error> {
    serve(git, &repository, Wish::Fetch, request).await
}

/// `POST /{app}.git/git-receive-pack`
pub(crate) async fn receive(
    State(git): State<Git>,
    Path(repository): Path<String>,
    request: Request<Body>,
) -> Result<Response, Error> {
    serve(git, &repository, Wish::Push, request).await
}

async fn serve(git: Git, repository: &str, wish: Wish, request: Request<Body>) -> Result<Response, Error> {
    let (head, body) = request.into_parts();
    let Allowed { app, account, token } = git.allowed(&head.headers, repository, wish).await?;
    let (service, name) = match wish {
        Wish::Fetch => (GitService::Upload, "git-upload-pack"),
        Wish::Push => (GitService::Receive, "git-receive-pack"),
    };
    let is = |header, value: &str| head.headers.get(header).is_some_and(|given| given == value);
    if !is(CONTENT_TYPE, &format!("application/x-{name}-request")) {
        return Err(Error::MediaType);
    }
    let zipped = is(CONTENT_ENCODING, "gzip") || is(CONTENT_ENCODING, "x-gzip");
    let protocol = protocol(&head.headers);
    let place = git.places.take(&account.id)?;
    git.engine.create_repository(app.id).await?;
    tracing::debug!(target: "timing", step = "pack comes", app.name = %app.name);
    if wish == Wish::Push {
        crashpoints::reach(Point::PushAccepted);
    }
    let Child { mut stdin, stdout, hook, ended } = git.child(app.id, service, protocol, place)?;
    let (arrived, body_arrives) = oneshot::channel();
    let (mut keep, mut waits) = (None, None);
    if let Some((from, to)) = hook {
        keep = git.pushes.begin().inspect_err(|error| tracing::warn!(%error, "could not keep a push")).ok();
        let (verdict, (last, lasts)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
        waits = Some(Held { told: Arc::clone(&verdict), lasts });
        let push = Push { app, account, token, body: Some(body_arrives), build: None, told: verdict };
        answer_hook(&git, push, (from, to), ended, last);
    }
    let limit = git.body_limit_bytes;
    git.tasks.spawn(async move {
        match copy(body, zipped, limit, &mut stdin, keep).await {
            // Nobody waits for the body of a push that builds nothing.
            Ok(kept) => drop(kept.map(|kept| arrived.send(kept))),
            Err(error) => tracing::info!(%error, "a git request's body ended early"),
        }
    });
    let body = match waits {
        Some(waits) => child::answer_push(stdout, waits),
        None => child::answer(Bytes::new(), stdout),
    };
    Ok(answered(&format!("application/x-{name}-result"), body))
}

/// Speaks with the hook beside the request: a client that goes away does not take it along.
fn answer_hook(
    git: &Git,
    mut push: Push,
    (mut from, mut to): (Receiver, Sender),
    ended: oneshot::Receiver<i32>,
    lasts: oneshot::Sender<bool>,
) {
    let live = git.pushes.enter(push.app.id);
    let mine = git.clone();
    git.tasks.spawn(async move {
        let answered = mine.deploys.answer(&mut push, &mut from, &mut to).await;
        if let Err(error) = &answered {
            // Also how a push ends that git refuses before the hook: nothing was said on the pipe.
            tracing::debug!(%error, app.name = %push.app.name, "a push ended before its verdict");
        }
        drop((from, to));
        let status = ended.await;
        crashpoints::reach(Point::PushEnded);
        // A client that went away is told nothing.
        lasts.send(status == Ok(0)).unwrap_or_default();
        drop(live);
        match push.build {
            // Git heard the verdict and acted on it.
            Some(build) if answered.is_ok() && status == Ok(0) => mine.pushes.forget(build),
            Some(build) => mine.settle(build).await,
            None => {}
        }
    });
}

fn answered(media_type: &str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-cache, max-age=0, must-revalidate"),
        (PRAGMA, "no-cache"),
        (EXPIRES, "Fri, 01 Jan 1980 00:00:00 GMT"),
    ];
    (headers, body).into_response()
}

/// The line that precedes the references, except in version 2, as `git http-backend` has it.
fn announcement(service: &str, protocol: Option<&str>) -> Bytes {
    if protocol.is_some_and(|protocol| protocol.split(':').any(|part| part == "version=2")) {
        return Bytes::new();
    }
    let line = format!("# service={service}\n");
    format!("{:04x}{line}0000", line.len() + 4).into()
}

/// The client's `Git-Protocol`; anything but plain words of a sensible length is left out.
fn protocol(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("git-protocol")?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"=:.-_".contains(&byte);
    (value.len() <= PROTOCOL && value.bytes().all(plain)).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_is_as_git_http_backend_makes_it() {
        let first = announcement("git-receive-pack", None);
        assert_eq!(&first[..], b"001f# service=git-receive-pack\n0000");
        assert_eq!(&announcement("git-upload-pack", Some("version=1"))[..], b"001e# service=git-upload-pack\n0000");
        assert!(announcement("git-upload-pack", Some("version=2")).is_empty());
    }

    #[test]
    fn only_a_plain_protocol_is_passed_on() {
        let of =
            |value: &str| protocol(&HeaderMap::from_iter([("git-protocol".parse().unwrap(), value.parse().unwrap())]));
        assert_eq!(of("version=2").as_deref(), Some("version=2"));
        assert_eq!(of("version=2; x"), None);
        assert_eq!(of(&"a".repeat(65)), None);
    }
}
