//! `/apps/{app}/builds`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use blobs::Pin;
use http::StatusCode;
use schema::{BuildBuildpack, Id, SourceBlob, User};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::builds::Build;
use vocabulary::BuildId;

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::account;
use crate::resources::own_app::OwnApp;
use crate::streams::{output, sources};

const SORTS: &[Sort<Build>] =
    &[("id", |build| Key::text(&build.id)), ("started_at", |build| Key::Time(build.created_at))];

/// What `POST /apps/{app}/builds` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    source_blob: AskedSource,
    buildpacks: Option<Vec<AskedBuildpack>>,
}

#[derive(Debug, Deserialize)]
struct AskedSource {
    url: String,
    version: Option<String>,
    version_description: Option<String>,
    checksum: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AskedBuildpack {
    url: Option<String>,
    name: Option<String>,
}

/// `POST /apps/{app}/builds`
pub(crate) async fn create(
    State(state): State<Shared>,
    base: Base,
    own: OwnApp,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Build>)> {
    let asked = &body.source_blob;
    let source = uploaded(&state, asked)?;
    let new = builds::New {
        source: (*source).clone(),
        // What is uploaded to a source has, as at Heroku, no folder around it.
        strip_top_folder: false,
        source_version: asked.version.as_deref(),
        source_version_description: asked.version_description.as_deref(),
        buildpacks: body.buildpacks.map(asked_buildpacks).transpose()?,
        account: own.caller.account.id,
    };
    let build = state.builds.start(&own.app, &new).await?;
    Ok((StatusCode::CREATED, Json(shape(&state, &base, &own, &build)?)))
}

/// `GET /apps/{app}/builds`
pub(crate) async fn list(State(state): State<Shared>, base: Base, own: OwnApp, range: Range) -> Result<Response> {
    let entries = store::builds::list(&state.store, own.app.id).await?;
    list::answer(&range, entries, SORTS, |build| shape(&state, &base, &own, build).ok())
}

/// `GET /apps/{app}/builds/{build}`
pub(crate) async fn info(
    State(state): State<Shared>,
    base: Base,
    own: OwnApp,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Build>> {
    let id: BuildId = identity.parse().map_err(|_| Error::not_found("build"))?;
    let build = store::builds::get(&state.store, id).await?.filter(|build| build.app_id == own.app.id);
    let build = build.ok_or_else(|| Error::not_found("build"))?;
    Ok(Json(shape(&state, &base, &own, &build)?))
}

/// `DELETE /apps/{app}/build-cache`
pub(crate) async fn purge_cache(State(state): State<Shared>, own: OwnApp) -> Result<Json<Value>> {
    let mut write = state.store.write().await?;
    store::layers::purge_build_cache(&mut write, own.app.id).await?;
    write.commit().await?;
    state.wakers.retention.wake();
    Ok(Json(json!({})))
}

/// The platform fetches nothing from addresses users name; what is to be built is uploaded to `POST /sources` first.
fn uploaded(state: &ApiState, asked: &AskedSource) -> Result<Pin> {
    let message = "source_blob.url is no source that was uploaded here within the last hour: \
                   POST /sources gives an address to PUT the archive to. Other addresses are not fetched yet.";
    let source = sources::uploaded(state, &asked.url).ok_or_else(|| Error::invalid(message))?;
    let sum = asked.checksum.as_deref().map(|sum| sum.rsplit(':').next().unwrap_or(sum).to_lowercase());
    if sum.is_some_and(|sum| sum != source.as_str()) {
        return Err(Error::invalid("The source does not have the checksum source_blob.checksum says."));
    }
    Ok(source)
}

fn asked_buildpacks(asked: Vec<AskedBuildpack>) -> Result<Vec<String>> {
    let each = asked.into_iter().map(|one| one.name.or(one.url));
    each.collect::<Option<_>>().ok_or_else(|| Error::invalid("A buildpack has a url or a name."))
}

fn shape(state: &ApiState, base: &Base, own: &OwnApp, build: &Build) -> Result<schema::Build> {
    let buildpack = |given: &String| BuildBuildpack { url: given.clone(), name: given.clone() };
    Ok(schema::Build {
        id: build.id.uuid(),
        app: Id { id: build.app_id.uuid() },
        buildpacks: Some(build.buildpacks.iter().map(buildpack).collect()),
        generation: "cedar",
        labs: Map::new(),
        output_stream_url: output::build_url(state, base, build.id),
        release: build.release_id.map(|id| Id { id: id.uuid() }),
        slug: build.slug_id.map(|id| Id { id: id.uuid() }),
        source_blob: SourceBlob {
            checksum: Some(format!("SHA256:{}", build.source)),
            url: sources::blob_url(state, base, &build.source)?,
            version: build.source_version.clone(),
            version_description: build.source_version_description.clone(),
        },
        stack: build.stack.to_string(),
        status: build.status.as_str(),
        user: user(own),
        created_at: build.created_at.into(),
        updated_at: build.updated_at.into(),
    })
}

/// Only an app's owner builds it yet.
fn user(own: &OwnApp) -> User {
    account::reference(&own.caller.account)
}
