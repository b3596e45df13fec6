//! `/apps`.

use access::Which;
use access::action::{CreateApp, DeleteApp, ListApps, RenameApp, SetMaintenance, SetStack, UpdateApp, ViewApp};
use std::collections::BTreeMap;
use std::slice;

use access::Caller;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use shapes::AppOwner;
use store::accounts::Emails;
use store::apps::App;
use store::teams::Team;
use vocabulary::{AccountId, AppName, Permissions, Stack, TeamId};

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
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
    caller: Permitted<CreateApp>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::App>)> {
    let stack = stack(&state, body.stack.as_ref()).await?;
    if let Some(region) = &body.region {
        regions::known(region.text())?;
    }
    let app = make(&state, &caller, body.name.as_deref(), stack, None).await?;
    let view = View::of(&state, &base, slice::from_ref(&app)).await?;
    Ok((StatusCode::CREATED, Json(view.shape(&app))))
}

/// `GET /apps`
pub(crate) async fn list(
    caller: Permitted<ListApps>,
    State(state): State<Shared>,
    range: Range,
    base: Base,
) -> Result<Response> {
    answer(&state, &base, &range, access::apps(&state.store, &caller, Which::All).await?).await
}

/// `GET /apps/{app}`
pub(crate) async fn info(
    _caller: Permitted<ViewApp>,
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    base: Base,
) -> Result<Json<schema::App>> {
    Ok(Json(View::of(&state, &base, slice::from_ref(&own.app)).await?.shape(&own.app)))
}

/// `PATCH /apps/{app}`: all of it or nothing.
pub(crate) async fn update(
    own: Permitted<UpdateApp>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Update>,
) -> Result<Json<schema::App>> {
    let name = body.name.as_deref().map(parsed).transpose()?;
    let build_stack = match &body.build_stack {
        Some(wanted) => Some(state.stacks.wanted(wanted.text()).await?),
        None => None,
    };
    let mut write = state.store.write_by(own.caller.account.id).await?;
    if let Some(name) = name.filter(|name| *name != own.app.name) {
        let own = own.also::<RenameApp>()?;
        store::apps::rename(&mut write, own.app.id, &name).await.map_err(|error| taken(error, &name))?;
    }
    if let Some(on) = body.maintenance {
        let own = own.also::<SetMaintenance>()?;
        store::apps::set_maintenance(&mut write, own.app.id, on).await?;
    }
    if let Some(stack) = build_stack {
        let own = own.also::<SetStack>()?;
        store::apps::set_build_stack(&mut write, own.app.id, stack).await?;
    }
    write.commit().await?;
    state.wakers.routes.wake();
    let app = &own.fresh(&state.store).await?.app;
    Ok(Json(View::of(&state, &base, slice::from_ref(app)).await?.shape(app)))
}

/// `DELETE /apps/{app}`. When it has answered nothing of the app can be reached; its dynos are stopped and its files
/// deleted soon after.
pub(crate) async fn delete(
    own: Permitted<DeleteApp>,
    State(state): State<Shared>,
    base: Base,
) -> Result<Json<schema::App>> {
    let app = &own.app;
    let view = View::of(&state, &base, slice::from_ref(app)).await?;
    let mut write = state.store.write_by(own.caller.account.id).await?;
    store::apps::delete(&mut write, app.id).await?;
    write.commit().await?;
    state.wakers.dynos.wake();
    state.wakers.routes.wake();
    state.wakers.retention.wake();
    state.wakers.changes.tell();
    state.builds.forget(app.id);
    state.logs.forget(app.id).await;
    state.repositories.remove(app.id).await;
    Ok(Json(view.shape(app)))
}

/// Makes an app, of the caller's own or of a team, under a name they choose or under one that is free.
pub(crate) async fn make(
    state: &ApiState,
    caller: &Caller,
    name: Option<&str>,
    stack: Stack,
    team: Option<InTeam<'_>>,
) -> Result<App> {
    let locked = team.is_some_and(|in_team| in_team.locked);
    let new = New { stack, owner: caller.account.id, team: team.map(|in_team| in_team.team.id), locked };
    let app = match name.filter(|name| !name.is_empty()) {
        Some(name) => record(state, &parsed(name)?, &new).await?,
        None => record_generated(state, &new).await?,
    };
    state.repositories.create(app.id).await;
    state.wakers.routes.wake();
    Ok(app)
}

/// A team that an app is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InTeam<'a> {
    /// The team.
    pub(crate) team: &'a Team,
    /// Whether its members neither see nor join the app by themselves.
    pub(crate) locked: bool,
}

struct New {
    stack: Stack,
    owner: AccountId,
    team: Option<TeamId>,
    locked: bool,
}

/// Whoever makes an app of a team may do everything with it (Heroku Dev Center, "Managing Enterprise Team Users").
async fn record(state: &ApiState, name: &AppName, new: &New) -> Result<App> {
    let mut write = state.store.write_by(new.owner).await?;
    let mut app = store::apps::create(&mut write, name, new.owner, new.stack).await.map_err(|e| taken(e, name))?;
    if new.team.is_some() {
        store::apps::give(&mut write, app.id, (new.owner, None), new.owner, new.team).await?;
        store::collaborators::create(&mut write, app.id, new.owner, Permissions::ALL).await?;
        store::apps::set_locked(&mut write, app.id, new.locked).await?;
        (app.team_id, app.locked) = (new.team, new.locked);
    }
    state.releases.initial(&mut write, &app, new.owner).await?;
    write.commit().await?;
    Ok(app)
}

async fn record_generated(state: &ApiState, new: &New) -> Result<App> {
    for _ in 0..NAME_ATTEMPTS {
        let name = app_name::generate().ok_or_else(Error::broken)?;
        match record(state, &name, new).await {
            Err(error) if error.is_invalid() => {}
            made => return made,
        }
    }
    Err(Error::broken())
}

fn parsed(name: &str) -> Result<AppName> {
    name.parse().map_err(|error: vocabulary::InvalidAppName| Error::invalid(format!("{error}.")))
}

/// The stack of a new app.
pub(crate) async fn stack(state: &ApiState, wanted: Option<&Identity>) -> Result<Stack> {
    match wanted {
        Some(wanted) => state.stacks.wanted(wanted.text()).await,
        None => Ok(Stack::default()),
    }
}

fn taken(error: store::Error, name: &AppName) -> Error {
    match error {
        store::Error::Taken(_) => Error::invalid(format!("Name {name} is already taken")),
        error => error.into(),
    }
}

/// What apps are shown with: who has them.
pub(crate) struct View<'a> {
    state: &'a ApiState,
    base: &'a Base,
    emails: Emails,
    teams: BTreeMap<TeamId, Team>,
}

impl<'a> View<'a> {
    pub(crate) async fn of(state: &'a ApiState, base: &'a Base, apps: &[App]) -> Result<Self> {
        let mut view = Self { state, base, emails: Emails::new(), teams: BTreeMap::new() };
        let mut owners = vec![];
        for app in apps {
            match app.team_id {
                None => owners.push(app.owner_id),
                Some(id) if view.teams.contains_key(&id) => {}
                Some(id) => view.teams.extend(store::teams::get(&state.store, id).await?.map(|team| (id, team))),
            }
        }
        view.emails = store::accounts::emails(&state.store, owners).await?;
        Ok(view)
    }

    pub(crate) fn team(&self, app: &App) -> Option<&Team> {
        app.team_id.and_then(|id| self.teams.get(&id))
    }

    /// Who has an app.
    pub(crate) fn owner(&self, app: &App) -> AppOwner {
        let account = account::user_of(&self.emails, app.owner_id);
        AppOwner::new(account, self.team(app).map(|team| (team.id, &team.name)))
    }

    pub(crate) fn shape(&self, app: &App) -> schema::App {
        self.with(app, catalogue::generation())
    }

    /// An app, its generation shown like this.
    pub(crate) fn with<G>(&self, app: &App, generation: G) -> schema::App<G> {
        shapes::app(app, self.owner(app), &self.state.hosts, &self.base.host, generation)
    }
}

/// A list of apps as an answer.
pub(crate) async fn answer(state: &ApiState, base: &Base, range: &Range, apps: Vec<App>) -> Result {
    let view = View::of(state, base, &apps).await?;
    list::answer(range, apps, SORTS, |app| view.shape(app))
}
