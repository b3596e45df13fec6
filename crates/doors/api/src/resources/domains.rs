//! `/apps/{app}/domains`: the one every app has by its name, and custom ones.

use access::action::{Configure, ViewApp};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use schema::Domain;
use serde::Deserialize;
use store::Write;
use store::apps::App;
use store::domains::Domain as Row;
use vocabulary::{HEROKU_HOSTS, Hostname};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::catalogue;

const SORTS: &[Sort<Domain>] =
    &[("id", |domain| Key::text(&domain.id)), ("hostname", |domain| Key::text(&domain.hostname))];
/// Custom domains of one app (Heroku Dev Center, "Limits").
const MOST: i64 = 1000;

/// What `POST /apps/{app}/domains` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    hostname: String,
    sni_endpoint: Option<String>,
}

/// What `PATCH /apps/{app}/domains/{domain}` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    sni_endpoint: Option<String>,
}

/// `GET /apps/{app}/domains`
pub(crate) async fn list(own: Permitted<ViewApp>, State(state): State<Shared>, range: Range) -> Result<Response> {
    list::answer(&range, all(&state, &own.app).await?, SORTS, Clone::clone)
}

/// `GET /apps/{app}/domains/{domain}`, by id or hostname.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<Domain>> {
    one(&state, &own.app, &identity).await.map(Json)
}

/// `POST /apps/{app}/domains`
pub(crate) async fn create(
    own: Permitted<Configure>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<Domain>)> {
    no_endpoint(body.sni_endpoint.as_deref())?;
    let hostname: Hostname =
        body.hostname.parse().map_err(|error| Error::invalid(format!("{}: {error}.", body.hostname)))?;
    let bare = hostname.below().unwrap_or(hostname.as_str());
    let ours = &state.hosts.domain;
    if bare == ours || bare.strip_suffix(ours).is_some_and(|rest| rest.ends_with('.')) {
        return Err(Error::invalid(format!("{hostname}: names under {ours} belong to the platform.")));
    }
    if HEROKU_HOSTS.contains(&bare) {
        return Err(Error::invalid(format!("{hostname}: the platform stands in for this host of Heroku's.")));
    }
    let mut write = state.store.write_by(own.caller.account.id).await?;
    may_have(&mut write, &own.app, &hostname).await?;
    let target = target().ok_or_else(Error::broken)?;
    let row = store::domains::create(&mut write, own.app.id, &hostname, &target).await;
    let row = row.map_err(|error| match error {
        store::Error::Taken(_) => in_use(&hostname),
        error => error.into(),
    })?;
    write.commit().await?;
    state.wakers.routes.wake();
    Ok((StatusCode::CREATED, Json(custom(&state, &own.app, &row))))
}

/// `PATCH /apps/{app}/domains/{domain}`: the one thing to change is its certificate, of which there are none to choose.
pub(crate) async fn update(
    own: Permitted<Configure>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
    Body(body): Body<Update>,
) -> Result<Json<Domain>> {
    let domain = one(&state, &own.app, &identity).await?;
    no_endpoint(body.sni_endpoint.as_deref())?;
    Ok(Json(domain))
}

/// `DELETE /apps/{app}/domains/{domain}`
pub(crate) async fn delete(
    own: Permitted<Configure>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<Domain>> {
    let domain = one(&state, &own.app, &identity).await?;
    let rows = store::domains::list(&state.store, own.app.id).await?;
    let Some(row) = rows.into_iter().find(|row| row.id.uuid() == domain.id) else {
        return Err(Error::invalid(format!("{} is the app's own domain and stays.", domain.hostname)));
    };
    let mut write = state.store.write_by(own.caller.account.id).await?;
    store::domains::delete(&mut write, row.id).await?;
    write.commit().await?;
    state.wakers.routes.wake();
    Ok(Json(domain))
}

async fn may_have(write: &mut Write, app: &App, hostname: &Hostname) -> Result<()> {
    if store::domains::count(write, app.id).await? >= MOST {
        return Err(Error::invalid(format!("An app has at most {MOST} domains.")));
    }
    // Below another owner's wildcard, or above another owner's names, requests would change hands.
    let others = store::domains::of_others(write, app).await?;
    if others.iter().any(|other| other.overlaps(hostname)) { Err(in_use(hostname)) } else { Ok(()) }
}

fn in_use(hostname: &Hostname) -> Error {
    Error::invalid(format!("{hostname} is currently in use by another app."))
}

fn no_endpoint(endpoint: Option<&str>) -> Result<()> {
    if endpoint.is_some() { Err(Error::not_found("sni_endpoint")) } else { Ok(()) }
}

/// A random label: 80 bits as 20 hexadecimal digits.
fn target() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:020x}", u128::from_le_bytes(bytes) >> 48))
}

async fn all(state: &ApiState, app: &App) -> Result<Vec<Domain>> {
    let rows = store::domains::list(&state.store, app.id).await?;
    let custom = rows.iter().map(|row| custom(state, app, row));
    Ok(std::iter::once(default(state, app)).chain(custom).collect())
}

async fn one(state: &ApiState, app: &App, identity: &str) -> Result<Domain> {
    let name = identity.parse::<Hostname>().map_or_else(|_| identity.to_ascii_lowercase(), String::from);
    let found = all(state, app).await?.into_iter().find(|one| one.hostname == name || one.id.to_string() == identity);
    found.ok_or_else(|| Error::not_found("domain"))
}

fn default(state: &ApiState, app: &App) -> Domain {
    Domain {
        id: catalogue::id("domain", &app.id.to_string()),
        app: shapes::app_reference(app),
        hostname: state.hosts.app(&app.name),
        kind: "heroku",
        cname: None,
        acm_status: None,
        acm_status_reason: None,
        sni_endpoint: None,
        status: "none",
        created_at: app.created_at.into(),
        updated_at: app.created_at.into(),
    }
}

fn custom(state: &ApiState, app: &App, row: &Row) -> Domain {
    shapes::domain(row, app, &state.hosts)
}
