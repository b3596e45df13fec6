//! What Heroku's API has and this one has not: told from the published schema, so that no second list has to agree
//! with the router's.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::Method;
use serde_json::Value;

use crate::http::error::Error;

/// A link of the schema.
struct Link {
    method: Method,
    /// Segments of the path; nothing stands for a parameter.
    path: Vec<Option<String>>,
    /// `Add-on - Create`.
    title: String,
}

static LINKS: LazyLock<Vec<Link>> = LazyLock::new(|| {
    let schemas = [schema::PUBLISHED_SDK, schema::PUBLISHED_V3].map(serde_json::from_str::<Value>);
    schemas.iter().flatten().flat_map(links).collect()
});

/// The answer to a path or method the router does not have.
pub(crate) async fn answer(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    match LINKS.iter().find(|link| link.method == *method && link.fits(path)) {
        Some(link) => Error::unbuilt(&format!("{} ({method} {path})", link.title)).into_response(),
        None if LINKS.iter().any(|link| link.fits(path)) => Error::method_not_allowed().into_response(),
        None => Error::no_such("There is no such endpoint. Check the path, the method and the version asked for.")
            .into_response(),
    }
}

impl Link {
    fn fits(&self, path: &str) -> bool {
        let segments = path.trim_matches('/').split('/');
        segments.clone().count() == self.path.len()
            && self.path.iter().zip(segments).all(|(own, given)| own.as_deref().is_none_or(|own| own == given))
    }
}

fn links(schema: &Value) -> Vec<Link> {
    let resources = schema["definitions"].as_object().into_iter().flatten();
    let link = |resource: &Value, link: &Value| {
        let of = resource["title"].as_str().unwrap_or_default().trim_start_matches("Heroku Platform API - ");
        Some(Link {
            method: link["method"].as_str()?.to_uppercase().parse().ok()?,
            path: segments(link["href"].as_str()?),
            title: format!("{of} - {}", link["title"].as_str().unwrap_or_default()),
        })
    };
    resources
        .flat_map(|(_, resource)| {
            resource["links"].as_array().into_iter().flatten().filter_map(move |one| link(resource, one))
        })
        .collect()
}

/// `/apps/{(%23%2Fdefinitions%2Fapp…)}/dynos` becomes `apps`, any, `dynos`.
fn segments(href: &str) -> Vec<Option<String>> {
    let segments = href.trim_matches('/').split('/');
    segments.map(|segment| Some(segment.to_owned()).filter(|segment| !segment.starts_with('{'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_what_is_not_built() {
        let fits = |method: Method, path: &str| LINKS.iter().any(|link| link.method == method && link.fits(path));
        assert!(LINKS.len() > 500);
        assert!(fits(Method::POST, "/apps/sushi/addons"));
        assert!(!fits(Method::POST, "/apps/sushi/nonsense"));
    }
}
