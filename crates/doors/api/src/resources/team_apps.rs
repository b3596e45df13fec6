//! `/teams/{team}/apps` and `/teams/apps`: the apps of teams.

use std::collections::BTreeSet;
use std::slice;

use access::OnApp;
use access::action::{CreateApp, CreateTeamApp, ListTeamApps, LockApp, TransferApp, ViewApp, ViewMembers};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use store::accounts::Account;
use store::apps::App;
use vocabulary::{AccountId, AppId, Permissions, Stack, TeamId};

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::{self, Permitted};
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::apps::{self, Identity, View};
use crate::resources::{collaborators, regions, team_members};

const SORTS: &[Sort<App>] = &[
    ("id", |app| Key::text(&app.id)),
    ("name", |app| Key::text(&app.name)),
    ("updated_at", |app| Key::Time(app.updated_at)),
];

/// What `POST /teams/apps` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    name: Option<String>,
    team: Option<String>,
    personal: Option<bool>,
    locked: Option<bool>,
    region: Option<Identity>,
    stack: Option<Identity>,
    space: Option<Identity>,
}

/// What `PATCH /teams/apps/{app}` takes: one of the two.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    locked: Option<bool>,
    owner: Option<String>,
}

/// `POST /teams/apps`
pub(crate) async fn create(
    caller: Permitted<CreateApp>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::TeamApp>)> {
    let stack = body.stack.as_ref().map_or(Ok(Stack::default()), apps::stack)?;
    if let Some(region) = &body.region {
        regions::known(region.text())?;
    }
    if body.space.is_some() {
        return Err(Error::unbuilt("An app in a space"));
    }
    let team = match &body.team {
        Some(team) => Some(permitted::named::<CreateTeamApp>(&state, &caller, team).await?),
        None if body.personal == Some(true) => None,
        None => return Err(Error::invalid("Name the team the app is for.")),
    };
    let made = apps::make(&state, &caller, body.name.as_deref(), stack, team.as_ref().map(|own| &own.team)).await?;
    let own = permitted::named::<ViewApp>(&state, &caller, &made.id.to_string()).await?;
    if body.locked == Some(true) {
        lock(&state, &own, true).await?;
    }
    Ok((StatusCode::CREATED, Json(shown(&state, &base, &own).await?)))
}

/// `GET /teams/apps/{app}`
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    base: Base,
) -> Result<Json<schema::TeamApp>> {
    Ok(Json(shown(&state, &base, &own).await?))
}

/// `PATCH /teams/apps/{app}`: locks or unlocks it, or gives it to a team or an account.
pub(crate) async fn update(
    own: Permitted<LockApp>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Update>,
) -> Result<Json<schema::TeamApp>> {
    if let Some(locked) = body.locked {
        lock(&state, &own, locked).await?;
    }
    if let Some(owner) = &body.owner {
        transfer(&state, &own.also::<TransferApp>()?, owner).await?;
    }
    Ok(Json(shown(&state, &base, &own).await?))
}

/// `GET /teams/{team}/apps`
pub(crate) async fn list(
    own: Permitted<ListTeamApps>,
    State(state): State<Shared>,
    base: Base,
    range: Range,
) -> Result<Response> {
    let apps = store::apps::of_team(&state.store, own.team.id).await?;
    answer(&state, &base, &range, apps, own.caller.account.id).await
}

/// `GET /teams/{team}/members/{member}/apps`: those somebody is a collaborator of.
pub(crate) async fn of_member(
    own: Permitted<ViewMembers>,
    State(state): State<Shared>,
    base: Base,
    range: Range,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Response> {
    let (_, member) = team_members::find(&state, &own, &identity).await?;
    let joined = joined(&state, member.id).await?;
    let mut apps = store::apps::of_team(&state.store, own.team.id).await?;
    apps.retain(|app| joined.contains(&app.id));
    answer(&state, &base, &range, apps, own.caller.account.id).await
}

/// Apps as teams show them, to this account.
pub(crate) async fn answer(state: &ApiState, base: &Base, range: &Range, apps: Vec<App>, caller: AccountId) -> Result {
    let view = View::of(state, base, &apps).await?;
    let joined = joined(state, caller).await?;
    list::answer(range, apps, SORTS, |app| shape(&view, app, joined.contains(&app.id)))
}

/// The apps somebody is a collaborator of.
async fn joined(state: &ApiState, account: AccountId) -> Result<BTreeSet<AppId>> {
    let given = store::collaborators::of_account(&state.store, account).await?;
    Ok(given.into_iter().map(|one| one.app_id).collect())
}

async fn lock(state: &ApiState, own: &OnApp, locked: bool) -> Result<()> {
    if own.team.is_none() {
        return Err(Error::invalid("Only apps of a team can be locked."));
    }
    let mut write = state.store.write().await?;
    store::apps::set_locked(&mut write, own.app.id, locked).await?;
    Ok(write.commit().await?)
}

/// Gives an app to the team or the account of this name.
async fn transfer(state: &ApiState, own: &access::Permitted<TransferApp>, owner: &str) -> Result<()> {
    if owner.contains('@') || owner.parse::<AccountId>().is_ok_and(|_| own.team.is_some()) {
        let recipient = collaborators::existing(state, owner).await?;
        return to_account(state, own, &recipient).await;
    }
    let to = permitted::named::<CreateTeamApp>(state, &own.caller, owner).await?;
    let caller = own.caller.account.id;
    let mut write = state.store.write().await?;
    if own.team.is_some() {
        store::collaborators::remove_all(&mut write, own.app.id).await?;
    }
    given(store::apps::give(&mut write, own.app.id, held(own), caller, Some(to.team.id)).await?)?;
    store::collaborators::set(&mut write, own.app.id, caller, Permissions::ALL).await?;
    store::app_transfers::withdraw(&mut write, own.app.id).await?;
    Ok(write.commit().await?)
}

/// Whose the app was when the caller was permitted.
fn held(own: &OnApp) -> (AccountId, Option<TeamId>) {
    (own.app.owner_id, own.app.team_id)
}

fn given(was_theirs: bool) -> Result<()> {
    if was_theirs { Ok(()) } else { Err(Error::invalid("The app changed hands meanwhile. Look at it and try again.")) }
}

/// Out of a team, to somebody who is in it or works on the app: nobody else is given an app without being asked.
async fn to_account(state: &ApiState, own: &OnApp, recipient: &Account) -> Result<()> {
    let Some(team) = &own.team else {
        return Err(Error::invalid("An app of your own is offered with POST /account/app-transfers."));
    };
    let is_in = store::team_members::get(&state.store, team.id, recipient.id).await?.is_some();
    let works = store::collaborators::get(&state.store, own.app.id, recipient.id).await?.is_some();
    if !is_in && !works {
        return Err(Error::invalid(format!("{} is neither in the team nor works on the app.", recipient.email)));
    }
    let mut write = state.store.write().await?;
    store::collaborators::remove_all(&mut write, own.app.id).await?;
    given(store::apps::give(&mut write, own.app.id, held(own), recipient.id, None).await?)?;
    Ok(write.commit().await?)
}

/// The app as the store has it now.
async fn shown<A: access::Act<On = OnApp>>(
    state: &ApiState,
    base: &Base,
    own: &access::Permitted<A>,
) -> Result<schema::TeamApp> {
    let own = own.fresh(&state.store).await?;
    let view = View::of(state, base, slice::from_ref(&own.app)).await?;
    let joined = store::collaborators::get(&state.store, own.app.id, own.caller.account.id).await?;
    Ok(shape(&view, &own.app, joined.is_some()))
}

fn shape(view: &View<'_>, app: &App, joined: bool) -> schema::TeamApp {
    schema::TeamApp { app: view.with(app, "cedar"), joined, locked: app.locked }
}
