//! Which version of the API was asked for. There is one, 3, in one representation; its variants (`3.sdk`, `3.webhooks`,
//! …) all read the union of fields. Clients that name no version get it as well.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;

use crate::http::error::Error;

/// The layer.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let accepts = request.headers().get_all(ACCEPT);
    let mut ranges = accepts.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if accepts.iter().next().is_none() || ranges.any(acceptable) {
        next.run(request).await
    } else {
        Error::not_acceptable().into_response()
    }
}

fn acceptable(range: &str) -> bool {
    let mut versions = range.split(';').skip(1).filter_map(|parameter| parameter.trim().strip_prefix("version="));
    versions.all(|version| version == "3" || version.starts_with("3."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_variant_of_3_and_clients_without_a_version() {
        for range in ["application/vnd.heroku+json; version=3", "application/vnd.heroku+json;version=3.sdk", "*/*"] {
            assert!(acceptable(range), "{range}");
        }
        for range in ["application/vnd.heroku+json; version=2", "application/vnd.heroku+json; version=30"] {
            assert!(!acceptable(range), "{range}");
        }
    }
}
