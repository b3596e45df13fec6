//! `/apps/{app}/slugs`.

use access::action::ViewApp;
use axum::Json;
use axum::extract::{Path, State};
use schema::SlugBlob;
use sha2::{Digest as _, Sha256};
use store::apps::App;
use store::slugs::Slug;
use vocabulary::{Digest, SlugId};

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::catalogue;

/// `GET /apps/{app}/slugs/{slug}`
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Slug>> {
    let slug = find(&state, &own.app, &identity).await?;
    let deleted_at = store::slugs::deleted_at(&state.store, slug.id).await?;
    Ok(Json(schema::Slug {
        id: slug.id.uuid(),
        // A slug is layers here, not one archive; there is nothing to fetch.
        blob: SlugBlob { method: "get", url: String::new() },
        checksum: Some(checksum(&slug)),
        buildpack_provided_description: slug.buildpack_provided_description,
        commit: slug.commit,
        commit_description: slug.commit_description,
        deleted_at: deleted_at.map(Into::into),
        process_types: serde_json::to_value(&slug.process_types).map_err(|error| Error::internal(&error))?,
        size: Some(slug.size),
        stack: catalogue::stack(slug.stack),
        created_at: slug.created_at.into(),
        updated_at: slug.created_at.into(),
    }))
}

/// The slug of an app an id names.
pub(crate) async fn find(state: &ApiState, app: &App, identity: &str) -> Result<Slug> {
    let id: SlugId = identity.parse().map_err(|_| Error::not_found("slug"))?;
    let slug = store::slugs::get(&state.store, id).await?.filter(|slug| slug.app_id == app.id);
    slug.ok_or_else(|| Error::not_found("slug"))
}

/// SHA-256 over the digests of its layers, bottom to top, one a line: the same for the same files.
fn checksum(slug: &Slug) -> String {
    let lines = slug.layers.iter().map(Digest::as_str).collect::<Vec<_>>().join("\n");
    format!("SHA256:{}", Digest::from_bytes(&Sha256::digest(lines).into()).as_str())
}
