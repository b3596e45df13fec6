//! `/apps/{app}/slugs`.

use access::action::ViewApp;
use axum::Json;
use axum::extract::{Path, State};
use schema::SlugBlob;
use vocabulary::SlugId;

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::Shared;
use crate::resources::catalogue;

/// `GET /apps/{app}/slugs/{slug}`
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Slug>> {
    let id: SlugId = identity.parse().map_err(|_| Error::not_found("slug"))?;
    let slug = store::slugs::get(&state.store, id).await?.filter(|slug| slug.app_id == own.app.id);
    let slug = slug.ok_or_else(|| Error::not_found("slug"))?;
    let deleted_at = store::slugs::deleted_at(&state.store, slug.id).await?;
    Ok(Json(schema::Slug {
        id: slug.id.uuid(),
        // A slug is layers here, not one archive; there is nothing to fetch.
        blob: SlugBlob { method: "get", url: String::new() },
        buildpack_provided_description: slug.buildpack_provided_description,
        checksum: None,
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
