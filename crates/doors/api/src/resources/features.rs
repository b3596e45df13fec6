//! `/apps/{app}/features`: what can be switched of an app.

use access::OnApp;
use access::action::{Configure, ViewApp};
use axum::Json;
use axum::extract::{Path, State};
use schema::Feature;
use serde::Deserialize;
use store::app_features::Switched;
use vocabulary::AppFeature;

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::catalogue::{self, SINCE};

/// What `PATCH` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    enabled: bool,
}

/// `GET /apps/{app}/features`
pub(crate) async fn list(own: Permitted<ViewApp>, State(state): State<Shared>) -> Result<Json<Vec<Feature>>> {
    let switched = store::app_features::of_app(&state.store, own.app.id).await?;
    Ok(Json(AppFeature::ALL.into_iter().map(|feature| shape(feature, switched.get(&feature))).collect()))
}

/// `GET /apps/{app}/features/{feature}`, by id or name.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<Feature>> {
    shown(&state, &own, find(&identity)?).await
}

/// `PATCH /apps/{app}/features/{feature}`: the next start of a dyno heeds it.
pub(crate) async fn update(
    own: Permitted<Configure>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
    Body(body): Body<Update>,
) -> Result<Json<Feature>> {
    let feature = find(&identity)?;
    let mut write = state.store.write().await?;
    store::app_features::set(&mut write, own.app.id, feature, body.enabled).await?;
    write.commit().await?;
    state.wakers.dynos.wake();
    shown(&state, &own, feature).await
}

fn find(identity: &str) -> Result<AppFeature> {
    let mut all = AppFeature::ALL.into_iter();
    let found = all.find(|feature| catalogue::is(identity, "app-feature", feature.as_str()));
    found.ok_or_else(|| Error::not_found("feature"))
}

async fn shown(state: &ApiState, own: &OnApp, feature: AppFeature) -> Result<Json<Feature>> {
    let switched = store::app_features::of_app(&state.store, own.app.id).await?;
    Ok(Json(shape(feature, switched.get(&feature))))
}

fn shape(feature: AppFeature, switched: Option<&Switched>) -> Feature {
    let (display_name, description, state) = match feature {
        AppFeature::Preboot => ("Preboot", "Start new web dynos before the old ones stop", "general"),
        AppFeature::LogRuntimeMetrics => {
            ("Log Runtime Metrics", "Write memory and load of each dyno into the log every 20 seconds", "beta")
        }
        AppFeature::RuntimeDynoMetadata => {
            ("Dyno Metadata", "Tell dynos their app, release and commit in HEROKU_* variables", "beta")
        }
    };
    Feature {
        id: catalogue::id("app-feature", feature.as_str()),
        name: feature.as_str(),
        display_name,
        description,
        doc_url: "",
        enabled: switched.map_or(feature.default_on(), |switched| switched.on),
        feedback_email: "",
        state,
        created_at: SINCE.into(),
        updated_at: switched.map_or(SINCE, |switched| switched.at).into(),
    }
}
