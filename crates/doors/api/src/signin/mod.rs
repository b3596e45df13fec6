//! The pages people sign in with: plain HTML that needs no script.
//!
//! Knows forms, cookies and who may be sent where. What is decided there goes through the same calls as the API.
//!
//! A page trusts its visitor's cookie, so a form must prove that it was shown by us: its hidden field opens only
//! together with the cookie it was made for, and a browser that says where a form comes from must say this host. Apps
//! lie under the same domain as we do and may set cookies for it, which is why neither `SameSite` nor a field that equals
//! a cookie would be enough.

mod command_line;
mod consent;
mod fields;
mod home;
mod page;
mod password;
mod sign_in;
mod token;
mod two_factor;
mod visitor;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

use crate::http::error::Error;
use crate::http::state::Shared;
use crate::http::{panic, request_id};

pub(crate) use command_line::{Logins, begin};

/// The pages with their paths.
pub(crate) fn table() -> [(&'static str, MethodRouter<Shared>); 12] {
    [
        ("/login", get(home::show).post(sign_in::password)),
        ("/login/code", post(sign_in::code)),
        ("/login/out", post(home::sign_out)),
        ("/login/password", get(password::show).post(password::change)),
        ("/login/style.css", get(style)),
        ("/login/two-factor", get(two_factor::show)),
        ("/login/two-factor/on", post(two_factor::turn_on)),
        ("/login/two-factor/off", post(two_factor::turn_off)),
        ("/auth/browser/{login}", get(command_line::show).post(command_line::answer)),
        ("/oauth/authorize", get(consent::show).post(consent::answer)),
        ("/oauth/token", post(token::create)),
        ("/auth/cli/{login}", get(command_line::wait)),
    ]
}

/// The pages as a router.
pub(crate) fn router() -> Router<Shared> {
    let pages = table().into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route));
    let pages = pages.method_not_allowed_fallback(async || Error::method_not_allowed());
    // Each answer has its id, even that to a panic.
    pages.layer(from_fn(safely)).layer(from_fn(panic::layer)).layer(from_fn(request_id::layer))
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

/// What every page says of itself: nothing but our style is loaded, no other page frames it, nobody keeps it.
async fn safely(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let said: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, policy),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with it browsers hide where a form comes from.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in said {
        // A page that sends its visitor elsewhere has a policy of its own.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
