//! `/apps/{app}/dynos`.

use access::OnApp;
use access::action::{Restart, ViewApp};
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use dynos::Which;
use http::StatusCode;
use serde_json::{Value, json};
use store::apps::App;
use store::dynos::Dyno;
use vocabulary::{DynoName, DynoState, ProcessType, ReleaseId};

use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::apps;

const SORTS: &[Sort<Dyno>] = &[("id", |dyno| Key::text(&dyno.id)), ("name", |dyno| Key::text(&dyno.name))];

/// The numbers of an app's releases.
type Versions = BTreeMap<ReleaseId, i64>;

/// `GET /apps/{app}/dynos`
pub(crate) async fn list(own: Permitted<ViewApp>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let dynos = shown(&state, &own.app).await?;
    let versions = versions(&state, &own.app).await?;
    list::answer(&range, dynos, SORTS, |dyno| shape(dyno, &own.app, &versions))
}

/// `GET /apps/{app}/dynos/{dyno}`, by id or name.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Dyno>> {
    let dyno = find(&state, &own.app, &identity).await?;
    Ok(Json(shape(&dyno, &own.app, &versions(&state, &own.app).await?)))
}

/// `DELETE /apps/{app}/dynos`
pub(crate) async fn restart_all(
    own: Permitted<Restart>,
    State(state): State<Shared>,
) -> Result<(StatusCode, Json<Value>)> {
    restarted(&state, &own, &Which::All).await
}

/// `DELETE /apps/{app}/dynos/{dyno}`, and `POST …/actions/stop`: a stopped dyno of the formation is started anew.
pub(crate) async fn restart(
    own: Permitted<Restart>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>)> {
    let name = find(&state, &own.app, &identity).await?.name;
    restarted(&state, &own, &Which::One(name)).await
}

/// `DELETE /apps/{app}/formations/{type}`, and `POST …/actions/stop`.
pub(crate) async fn restart_type(
    own: Permitted<Restart>,
    State(state): State<Shared>,
    Path((_, kind)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>)> {
    let kind: ProcessType = kind.parse().map_err(|_| Error::not_found("process type"))?;
    restarted(&state, &own, &Which::Type(kind)).await
}

async fn restarted(state: &ApiState, own: &OnApp, which: &Which) -> Result<(StatusCode, Json<Value>)> {
    state.dynos.restart(&own.app, which, &own.caller.account.email).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

async fn find(state: &ApiState, app: &App, identity: &str) -> Result<Dyno> {
    let found = shown(state, app).await?.into_iter();
    let mut found = found.filter(|dyno| dyno.name.to_string() == identity || dyno.id.to_string() == identity);
    found.next().ok_or_else(|| Error::not_found("dyno"))
}

/// The newest run of each dyno that is not being stopped: while one replaces another, both exist under one name.
async fn shown(state: &ApiState, app: &App) -> Result<Vec<Dyno>> {
    let oldest_first = store::dynos::list(&state.store, app.id).await?;
    let alive = oldest_first.into_iter().filter(|dyno| dyno.state != DynoState::Down);
    let newest: BTreeMap<DynoName, Dyno> = alive.map(|dyno| (dyno.name.clone(), dyno)).collect();
    Ok(newest.into_values().collect())
}

async fn versions(state: &ApiState, app: &App) -> Result<Versions> {
    let releases = store::releases::list(&state.store, app.id).await?;
    Ok(releases.into_iter().map(|release| (release.id, release.version.number())).collect())
}

fn shape(dyno: &Dyno, app: &App, versions: &Versions) -> schema::Dyno {
    let version = versions.get(&dyno.release_id).copied().unwrap_or_default();
    schema::Dyno {
        id: dyno.id.uuid(),
        name: dyno.name.to_string(),
        app: apps::reference(app),
        attach_url: None,
        command: dyno.command.clone(),
        release: schema::Numbered { id: dyno.release_id.uuid(), version },
        size: dyno.size.to_string(),
        state: dyno.state.as_str(),
        kind: dyno.name.process_type().to_string(),
        created_at: dyno.created_at.into(),
        updated_at: dyno.updated_at.into(),
    }
}
