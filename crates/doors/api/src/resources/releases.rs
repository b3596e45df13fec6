//! `/apps/{app}/releases`.

use std::slice;

use access::OnApp;
use access::action::{Deploy, Rollback, ViewApp};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use schema::Id;
use serde::Deserialize;
use serde_json::json;
use store::accounts::Emails;
use store::apps::App;
use store::releases::Release;
use vocabulary::{ReleaseId, ReleaseStatus, ReleaseVersion};

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::{account, apps, slugs};
use crate::streams::output;

const SORTS: &[Sort<Release>] =
    &[("id", |release| Key::text(&release.id)), ("version", |release| Key::Number(release.version.number()))];

/// The longest description of a release in characters.
const LONGEST_DESCRIPTION: usize = 1000;

/// What `POST /apps/{app}/releases` takes: a release to go back to, or a slug.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    release: Option<String>,
    slug: Option<String>,
    description: Option<String>,
}

/// What a release is shown with.
struct View<'a> {
    state: &'a ApiState,
    base: &'a Base,
    own: &'a OnApp,
    emails: Emails,
    current: Option<ReleaseId>,
}

/// `GET /apps/{app}/releases`
pub(crate) async fn list(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    base: Base,
    range: Range,
) -> Result<Response> {
    let releases = store::releases::list(&state.store, own.app.id).await?;
    let view = View::new(&state, &base, &own, &releases).await?;
    list::answer(&range, releases, SORTS, |release| view.shape(release))
}

/// `GET /apps/{app}/releases/{release}`, by id, number or `current`.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    base: Base,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Release>> {
    let release = find(&state, &own.app, &identity).await?;
    Ok(Json(View::new(&state, &base, &own, slice::from_ref(&release)).await?.shape(&release)))
}

/// `POST /apps/{app}/releases`: back to the slug and config vars of an earlier release, or a slug with the config vars
/// of now.
pub(crate) async fn create(
    own: Permitted<Rollback>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Release>)> {
    let made = match (body.release, body.slug) {
        (Some(release), _) => {
            let to = find(&state, &own.app, &release).await?;
            state.releases.rollback(&own.app, &to, own.caller.account.id).await?
        }
        (None, Some(slug)) => of_slug(&state, &own.also::<Deploy>()?, &slug, body.description).await?,
        (None, None) => return Err(Error::invalid("Give a release to go back to, or a slug.")),
    };
    Ok((StatusCode::CREATED, Json(View::new(&state, &base, &own, slice::from_ref(&made)).await?.shape(&made))))
}

async fn of_slug(
    state: &ApiState,
    own: &access::Permitted<Deploy>,
    identity: &str,
    description: Option<String>,
) -> Result<Release> {
    let slug = slugs::find(state, &own.app, identity).await?;
    let description = description.filter(|text| !text.trim().is_empty());
    let long = |text: &String| text.chars().count() > LONGEST_DESCRIPTION || text.chars().any(char::is_control);
    if description.as_ref().is_some_and(long) {
        return Err(Error::invalid(format!(
            "A description has at most {LONGEST_DESCRIPTION} characters, on one line."
        )));
    }
    Ok(state.releases.of_slug(&own.app, &slug, description.as_deref(), own.caller.account.id).await?)
}

/// The release of an app an identity names.
pub(crate) async fn find(state: &ApiState, app: &App, identity: &str) -> Result<Release> {
    let store = &state.store;
    let found = if identity == "current" {
        store::releases::current(store, app.id).await?
    } else if let Ok(id) = identity.parse::<ReleaseId>() {
        store::releases::get(store, id).await?.filter(|release| release.app_id == app.id)
    } else if let Ok(number) = identity.trim_start_matches('v').parse() {
        store::releases::by_version(store, app.id, ReleaseVersion::new(number)).await?
    } else {
        None
    };
    found.ok_or_else(|| Error::not_found("release"))
}

impl<'a> View<'a> {
    async fn new(state: &'a ApiState, base: &'a Base, own: &'a OnApp, releases: &[Release]) -> Result<Self> {
        let current = store::releases::current(&state.store, own.app.id).await?.map(|release| release.id);
        let users: Vec<_> = releases.iter().map(|release| release.account_id).collect();
        let emails = store::accounts::emails(&state.store, users).await?;
        Ok(Self { state, base, own, emails, current })
    }

    fn shape(&self, release: &Release) -> schema::Release {
        let slug = release.slug_id.map(|id| Id { id: id.uuid() });
        schema::Release {
            id: release.id.uuid(),
            version: release.version.number(),
            addon_plan_names: vec![],
            app: apps::reference(&self.own.app),
            artifacts: slug.iter().map(|slug| json!({"type": "slug", "id": slug.id})).collect(),
            current: self.current == Some(release.id),
            description: release.description.clone(),
            eligible_for_rollback: release.status == ReleaseStatus::Succeeded && slug.is_some(),
            oci_image: None,
            output_stream_url: release
                .has_output
                .then(|| output::release_url(self.state, self.base, self.own, release.id)),
            slug,
            status: release.status.as_str(),
            user: account::user_of(&self.emails, release.account_id),
            created_at: release.created_at.into(),
            updated_at: release.updated_at.into(),
        }
    }
}
