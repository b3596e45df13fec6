//! `/apps/{app}/builds`.

use std::slice;

use access::action::{Deploy, FetchCode, ViewApp};
use access::{Act, OnApp};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use blobs::Pin;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::accounts::Emails;
use store::apps::App;
use store::builds::Build;
use vocabulary::BuildId;

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::account;
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
    own: Permitted<Deploy>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Build>)> {
    let asked = &body.source_blob;
    let source = uploaded(&state, asked).await?;
    let new = builds::New {
        id: BuildId::new(),
        source: (*source).clone(),
        // What is uploaded to a source has, as at Heroku, no folder around it.
        strip_top_folder: false,
        source_version: asked.version.as_deref(),
        source_version_description: asked.version_description.as_deref(),
        buildpacks: body.buildpacks.map(asked_buildpacks).transpose()?,
        account: own.caller.account.id,
    };
    let build = state.builds.start(&own.app, &new).await?;
    let view = View::new(&state, &base, &own, slice::from_ref(&build)).await?;
    Ok((StatusCode::CREATED, Json(view.shape(&build)?)))
}

/// `GET /apps/{app}/builds`
pub(crate) async fn list(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    base: Base,
    range: Range,
) -> Result<Response> {
    let entries = store::builds::list(&state.store, own.app.id).await?;
    let view = View::new(&state, &base, &own, &entries).await?;
    list::answer(&range, entries, SORTS, |build| view.shape(build).ok())
}

/// `GET /apps/{app}/builds/{build}`
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    base: Base,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Build>> {
    let build = find(&state, &own.app, &identity).await?;
    Ok(Json(View::new(&state, &base, &own, slice::from_ref(&build)).await?.shape(&build)?))
}

/// `DELETE /apps/{app}/builds/{build}`: cancels one that has not been released.
pub(crate) async fn cancel(
    own: Permitted<Deploy>,
    State(state): State<Shared>,
    base: Base,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Build>> {
    let build = find(&state, &own.app, &identity).await?;
    let build = state.builds.cancel(&own.app, &build, &own.caller.account).await?;
    Ok(Json(View::new(&state, &base, &own, slice::from_ref(&build)).await?.shape(&build)?))
}

async fn find(state: &ApiState, app: &App, identity: &str) -> Result<Build> {
    let id: BuildId = identity.parse().map_err(|_| Error::not_found("build"))?;
    let build = store::builds::get(&state.store, id).await?.filter(|build| build.app_id == app.id);
    build.ok_or_else(|| Error::not_found("build"))
}

/// `DELETE /apps/{app}/build-cache`
pub(crate) async fn purge_cache(own: Permitted<Deploy>, State(state): State<Shared>) -> Result<Json<Value>> {
    let mut write = state.store.write().await?;
    store::layers::purge_build_cache(&mut write, own.app.id).await?;
    write.commit().await?;
    state.wakers.retention.wake();
    Ok(Json(json!({})))
}

/// The platform fetches nothing from addresses users name; what is to be built is uploaded to `POST /sources` first.
async fn uploaded(state: &ApiState, asked: &AskedSource) -> Result<Pin> {
    let message = "source_blob.url is no source that was uploaded here within the last hour: \
                   POST /sources gives an address to PUT the archive to. Other addresses are not fetched yet.";
    let source = sources::uploaded(state, &asked.url).await?.ok_or_else(|| Error::invalid(message))?;
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

/// What builds are shown with.
struct View<'a> {
    state: &'a ApiState,
    base: &'a Base,
    own: &'a OnApp,
    emails: Emails,
    /// Whether the source may be read, which the address of one is enough for.
    shows_source: bool,
}

impl<'a> View<'a> {
    async fn new<A: Act<On = OnApp>>(
        state: &'a ApiState,
        base: &'a Base,
        own: &'a access::Permitted<A>,
        builds: &[Build],
    ) -> Result<Self> {
        let users: Vec<_> = builds.iter().map(|build| build.account_id).collect();
        let emails = store::accounts::emails(&state.store, users).await?;
        Ok(Self { state, base, own, emails, shows_source: own.also::<FetchCode>().is_ok() })
    }

    fn shape(&self, build: &Build) -> Result<schema::Build> {
        let url = if self.shows_source {
            sources::blob_url(self.state, self.base, &build.source)?
        } else {
            sources::no_url(self.base)
        };
        let output = output::build_url(self.state, self.base, self.own, build.id);
        Ok(shapes::build(build, account::user_of(&self.emails, build.account_id), output, url))
    }
}
