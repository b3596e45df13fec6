//! The buildpack registry's paths (the CLI reaches them through `HEROKU_BUILDPACK_REGISTRY_URL`): the buildpacks that
//! come with the platform.

use axum::Json;
use axum::extract::RawQuery;
use schema::{RegistryBuildpack, RegistrySource, Revision};
use serde_json::{Value, json};

use crate::http::error::{Error, Result};
use crate::http::path::Path;
use crate::resources::catalogue::{self, SINCE};

struct Entry {
    name: &'static str,
    category: &'static str,
    description: &'static str,
}

const NAMESPACE: &str = "heroku";
const LICENSE: &str = "Apache-2.0";
const ENTRIES: [Entry; 3] = [
    Entry { name: "nodejs", category: "languages", description: "Node.js apps with npm" },
    Entry { name: "static", category: "languages", description: "Static sites" },
    Entry { name: "procfile", category: "tools", description: "Apps that bring their own Procfile" },
];

/// `GET /buildpacks?in[namespace][]=&in[name][]=&like[description]=`
pub(crate) async fn search(RawQuery(query): RawQuery) -> Json<Vec<RegistryBuildpack>> {
    let query = query.unwrap_or_default().replace("%5B", "[").replace("%5D", "]");
    Json(ENTRIES.iter().filter(|entry| query.split('&').all(|part| fits(entry, part))).map(shape).collect())
}

/// `GET /buildpacks/{namespace}%2F{name}`
pub(crate) async fn info(Path(name): Path<String>) -> Result<Json<RegistryBuildpack>> {
    Ok(Json(shape(find(&name)?)))
}

/// `GET /buildpacks/{namespace}%2F{name}/readme`
pub(crate) async fn readme(Path(name): Path<String>) -> Result<Json<Value>> {
    let entry = find(&name)?;
    Ok(Json(json!({ "content": format!("# {NAMESPACE}/{}\n\n{}\n", entry.name, entry.description) })))
}

/// `GET /buildpacks/{namespace}%2F{name}/revisions`
pub(crate) async fn revisions(Path(name): Path<String>) -> Result<Json<[Revision; 1]>> {
    find(&name)?;
    Ok(Json([Revision { release: 1, status: "published", license: LICENSE, created_at: SINCE.into() }]))
}

fn find(name: &str) -> Result<&'static Entry> {
    let short = name.strip_prefix(NAMESPACE).and_then(|rest| rest.strip_prefix('/'));
    let found = short.and_then(|short| ENTRIES.iter().find(|entry| entry.name == short));
    found.ok_or_else(|| Error::not_found("buildpack"))
}

fn fits(entry: &Entry, part: &str) -> bool {
    match part.split_once('=') {
        Some((_, "")) | None => true,
        Some(("in[namespace][]", namespace)) => namespace == NAMESPACE,
        Some(("in[name][]", name)) => name == entry.name,
        Some(("like[description]", text)) => entry.description.to_lowercase().contains(&text.to_lowercase()),
        Some(_) => true,
    }
}

fn shape(entry: &Entry) -> RegistryBuildpack {
    RegistryBuildpack {
        id: catalogue::id("buildpack", entry.name),
        namespace: NAMESPACE,
        name: entry.name,
        description: entry.description,
        category: entry.category,
        support: "slipway",
        license: LICENSE,
        blob_url: format!("urn:buildpack:{NAMESPACE}/{}", entry.name),
        source: RegistrySource { kind: "built-in", owner: NAMESPACE, repo: entry.name },
    }
}
