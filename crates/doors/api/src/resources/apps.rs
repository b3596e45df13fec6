//! `/apps`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use store::apps::App;
use vocabulary::{AppName, Stack};

use crate::http::auth::Caller;
use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::own_app::OwnApp;
use crate::resources::{account, app_name, catalogue, regions};

const SORTS: &[Sort<App>] = &[
    ("id", |app| Key::text(&app.id)),
    ("name", |app| Key::text(&app.name)),
    ("updated_at", |app| Key::Time(app.updated_at)),
];
/// How many generated names are tried before giving up.
const NAME_ATTEMPTS: usize = 5;

/// What `POST /apps` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    name: Option<String>,
    region: Option<Identity>,
    stack: Option<Identity>,
}

/// What `PATCH /apps/{app}` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    name: Option<String>,
    maintenance: Option<bool>,
    build_stack: Option<Identity>,
}

/// A thing by id or name, or as an object with one of the two: clients send either.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Identity {
    /// `"heroku-24"`
    Plain(String),
    /// `{"name": "heroku-24"}`
    Name {
        /// The name.
        name: String,
    },
    /// `{"id": "…"}`
    Id {
        /// The id.
        id: String,
    },
}

impl Identity {
    /// The id or name.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Name { name: text } | Self::Id { id: text } => text,
        }
    }
}

/// `POST /apps`
pub(crate) async fn create(
    State(state): State<Shared>,
    caller: Caller,
    base: Base,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::App>)> {
    let stack = body.stack.as_ref().map_or(Ok(Stack::default()), stack)?;
    if let Some(region) = &body.region {
        regions::known(region.text())?;
    }
    let app = match body.name.filter(|name| !name.is_empty()) {
        Some(name) => record(&state, &parsed(&name)?, stack, &caller).await?,
        None => record_generated(&state, stack, &caller).await?,
    };
    state.repositories.create(app.id).await;
    state.wakers.routes.wake();
    Ok((StatusCode::CREATED, Json(shape(&state, &base, &caller, &app))))
}

/// `GET /apps`
pub(crate) async fn list(State(state): State<Shared>, caller: Caller, range: Range, base: Base) -> Result<Response> {
    let apps = store::apps::owned_by(&state.store, caller.account.id).await?;
    list::answer(&range, apps, SORTS, |app| shape(&state, &base, &caller, app))
}

/// `GET /apps/{app}`
pub(crate) async fn info(State(state): State<Shared>, base: Base, own: OwnApp) -> Json<schema::App> {
    Json(shape(&state, &base, &own.caller, &own.app))
}

/// `PATCH /apps/{app}`: all of it or nothing.
pub(crate) async fn update(
    State(state): State<Shared>,
    base: Base,
    OwnApp { app, caller }: OwnApp,
    Body(body): Body<Update>,
) -> Result<Json<schema::App>> {
    let name = body.name.as_deref().map(parsed).transpose()?;
    let build_stack = body.build_stack.as_ref().map(stack).transpose()?;
    let mut write = state.store.write().await?;
    if let Some(name) = name.filter(|name| *name != app.name) {
        store::apps::rename(&mut write, app.id, &name).await.map_err(|error| taken(error, &name))?;
    }
    if let Some(on) = body.maintenance {
        store::apps::set_maintenance(&mut write, app.id, on).await?;
    }
    if let Some(stack) = build_stack {
        store::apps::set_build_stack(&mut write, app.id, stack).await?;
    }
    write.commit().await?;
    state.wakers.routes.wake();
    let app = store::apps::get(&state.store, app.id).await?.ok_or_else(|| Error::not_found("app"))?;
    Ok(Json(shape(&state, &base, &caller, &app)))
}

/// `DELETE /apps/{app}`. When it has answered nothing of the app can be reached; its dynos are stopped and its files
/// deleted soon after.
pub(crate) async fn delete(
    State(state): State<Shared>,
    base: Base,
    OwnApp { app, caller }: OwnApp,
) -> Result<Json<schema::App>> {
    let mut write = state.store.write().await?;
    store::apps::delete(&mut write, app.id).await?;
    write.commit().await?;
    state.wakers.dynos.wake();
    state.wakers.routes.wake();
    state.wakers.retention.wake();
    state.wakers.changes.tell();
    state.builds.forget(app.id);
    state.logs.forget(app.id).await;
    state.repositories.remove(app.id).await;
    Ok(Json(shape(&state, &base, &caller, &app)))
}

async fn record(state: &ApiState, name: &AppName, stack: Stack, caller: &Caller) -> Result<App> {
    let mut write = state.store.write().await?;
    let app = store::apps::create(&mut write, name, caller.account.id, stack).await.map_err(|e| taken(e, name))?;
    state.releases.initial(&mut write, &app, caller.account.id).await?;
    write.commit().await?;
    Ok(app)
}

async fn record_generated(state: &ApiState, stack: Stack, caller: &Caller) -> Result<App> {
    for _ in 0..NAME_ATTEMPTS {
        let name = app_name::generate().ok_or_else(Error::broken)?;
        if store::apps::by_name(&state.store, &name).await?.is_none() {
            return record(state, &name, stack, caller).await;
        }
    }
    Err(Error::broken())
}

fn parsed(name: &str) -> Result<AppName> {
    name.parse().map_err(|error: vocabulary::InvalidAppName| Error::invalid(format!("{error}.")))
}

fn stack(identity: &Identity) -> Result<Stack> {
    let found = Stack::ALL.into_iter().find(|stack| catalogue::is(identity.text(), "stack", stack.name()));
    found.ok_or_else(|| Error::invalid(format!("{}.", vocabulary::UnknownStack)))
}

fn taken(error: store::Error, name: &AppName) -> Error {
    match error {
        store::Error::Taken(_) => Error::invalid(format!("Name {name} is already taken")),
        error => error.into(),
    }
}

fn shape(state: &ApiState, base: &Base, caller: &Caller, app: &App) -> schema::App {
    schema::App {
        id: app.id.uuid(),
        name: app.name.to_string(),
        acm: false,
        archived_at: None,
        base_image_name: None,
        build_stack: catalogue::stack(app.build_stack),
        stack: catalogue::stack(app.stack),
        buildpack_provided_description: app.buildpack_provided_description.clone(),
        buildpacks: None,
        current_build_architecture: vec![],
        generation: catalogue::generation(),
        git_url: state.hosts.git_url(&app.name, &base.host),
        web_url: Some(state.hosts.web_url(&app.name)),
        internal_routing: None,
        maintenance: app.maintenance,
        organization: None,
        team: None,
        space: None,
        owner: account::reference(&caller.account),
        region: regions::reference(),
        repo_size: None,
        slug_size: app.slug_size,
        released_at: app.released_at.map(Into::into),
        created_at: app.created_at.into(),
        updated_at: app.updated_at.into(),
    }
}

/// How others show an app.
pub(crate) fn reference(app: &App) -> schema::Named {
    schema::Named { id: app.id.uuid(), name: app.name.to_string() }
}
