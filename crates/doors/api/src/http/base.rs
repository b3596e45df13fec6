//! Where the caller found us, which is where streams are found, too.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::HOST;
use http::request::Parts;

/// Scheme and host of the request, as its client sees them.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// `https` where the router says so.
    pub(crate) scheme: &'static str,
    /// Host, with the port if one was given.
    pub(crate) host: String,
}

impl Base {
    /// An address of a path of ours.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.host)
    }
}

impl<S: Sync> FromRequestParts<S> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let https = header("x-forwarded-proto") == Some("https");
        let named = parts.uri.authority().map(|authority| authority.as_str().to_owned());
        let host = named.or_else(|| header(HOST.as_str()).map(str::to_owned)).filter(|host| plain(host));
        let scheme = if https { "https" } else { "http" };
        Ok(Self { scheme, host: host.unwrap_or_else(|| "localhost".to_owned()) })
    }
}

/// Whether a host can stand in an address without changing what follows it.
fn plain(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}
