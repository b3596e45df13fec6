//! Around each endpoint that wants one: who calls, and how often they do. What they may is the policy point's
//! ([`crate::http::permitted`]), and asked when the body is here: whoever sends slowly keeps no right for it.

use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State as Extract};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::http::auth::{self, Caller, Credentials};
use crate::http::body;
use crate::http::client::ClientAddress;
use crate::http::error::{Error, Result};
use crate::http::password;
use crate::http::second_factor;
use crate::http::state::{Shared, State};
use crate::router::Access;

const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// How many times the usual limit an account has: here always once.
const MULTIPLIER: HeaderName = HeaderName::from_static("ratelimit-multiplier");
/// How long a body may take: 1 MiB at 35 KiB a second.
const BODY: Duration = Duration::from_secs(30);
/// Asking what is left costs nothing (Platform API Reference, "Rate Limits").
const FREE: &str = "/account/rate-limits";

/// The layer of an endpoint with this access.
pub(crate) async fn layer(
    Extract((state, access)): Extract<(Shared, Access)>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let caller = match caller(&state, access, request.headers().clone()).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let account = caller.account.id;
    let left = if path.as_str() == FREE {
        Some(state.requests.left(&account, Instant::now()))
    } else {
        state.requests.take(account, Instant::now())
    };
    let mut response = match left {
        Some(_) => match heard(&state, access, caller, request).await {
            Ok(request) => next.run(request).await,
            Err(error) => error.into_response(),
        },
        None => Error::rate_limit().into_response(),
    };
    response.headers_mut().insert(REMAINING, HeaderValue::from(left.unwrap_or(0)));
    response.headers_mut().insert(MULTIPLIER, HeaderValue::from_static("1"));
    response
}

/// The request once its body is here, with the caller as they are then: a token may have ended meanwhile. An email and
/// password were checked a moment ago.
async fn heard(state: &State, access: Access, mut known: Caller, request: Request) -> Result<Request> {
    let mut request = request;
    if !request.body().is_end_stream() {
        let (parts, whole) = request.into_parts();
        let whole = timeout(BODY, body::read(whole)).await;
        let whole = whole.map_err(|_| Error::bad_request("The request's body did not come within 30 s."))??;
        if known.authorization.is_some() {
            known = caller(state, access, parts.headers.clone()).await?;
        }
        request = Request::from_parts(parts, Body::from(whole));
    }
    request.extensions_mut().insert(known);
    Ok(request)
}

/// `headers` on their own: a request cannot be shared between threads, as waiting here needs.
async fn caller(state: &State, access: Access, headers: HeaderMap) -> Result<Caller> {
    let found = match auth::credentials(&headers) {
        None => return Err(Error::unauthorized("There were no credentials in your `Authorization` header.")),
        Some(Credentials::Token(token)) => auth::by_token(state, &token).await?,
        Some(Credentials::Password { email, password }) => match auth::by_token(state, &password).await? {
            None if access == Access::TokenOrPassword => {
                let account = password::account(state, &ClientAddress::of(&headers), &email, &password).await?;
                if let Some(account) = &account {
                    second_factor::of_request(state, account, &headers).await?;
                }
                account.map(|account| Caller { account, authorization: None })
            }
            found => found,
        },
    };
    found.ok_or_else(|| Error::unauthorized("Invalid credentials provided."))
}
