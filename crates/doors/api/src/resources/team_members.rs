//! `/teams/{team}/members`.

use access::OnTeam;
use access::action::{LeaveTeam, ManageMembers, ViewMembers, ViewTeam};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use schema::{Person, TeamMember};
use serde::Deserialize;
use store::accounts::Account;
use store::team_members::Member;
use vocabulary::{TeamRole, UnknownTeamRole};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::collaborators;

const SORTS: &[Sort<TeamMember>] =
    &[("email", |member| Key::text(&member.email)), ("id", |member| Key::text(&member.id))];

/// What `PUT`, `POST` and `PATCH` take.
#[derive(Debug, Deserialize)]
pub(crate) struct Set {
    email: String,
    role: String,
}

/// `GET /teams/{team}/members`
pub(crate) async fn list(own: Permitted<ViewMembers>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let mut members = vec![];
    for member in store::team_members::list(&state.store, own.team.id).await? {
        let account = store::accounts::get(&state.store, member.account_id).await?;
        members.extend(account.map(|account| shape(&member, &account)));
    }
    list::answer(&range, members, SORTS, Clone::clone)
}

/// `PUT /teams/{team}/members`: takes somebody in, or changes what they are.
pub(crate) async fn put(
    own: Permitted<ManageMembers>,
    State(state): State<Shared>,
    Body(body): Body<Set>,
) -> Result<Json<TeamMember>> {
    let account = collaborators::existing(&state, &body.email).await?;
    Ok(Json(set(&state, &own, &account, &body.role).await?))
}

/// `POST /teams/{team}/members`: takes somebody in.
pub(crate) async fn create(
    own: Permitted<ManageMembers>,
    State(state): State<Shared>,
    Body(body): Body<Set>,
) -> Result<(StatusCode, Json<TeamMember>)> {
    let account = collaborators::existing(&state, &body.email).await?;
    if store::team_members::get(&state.store, own.team.id, account.id).await?.is_some() {
        return Err(Error::invalid(format!("{} is in this team already.", account.email)));
    }
    Ok((StatusCode::CREATED, Json(set(&state, &own, &account, &body.role).await?)))
}

/// `PATCH /teams/{team}/members`: changes what somebody is.
pub(crate) async fn update(
    own: Permitted<ManageMembers>,
    State(state): State<Shared>,
    Body(body): Body<Set>,
) -> Result<Json<TeamMember>> {
    let (_, account) = find(&state, &own, &body.email).await?;
    Ok(Json(set(&state, &own, &account, &body.role).await?))
}

/// `DELETE /teams/{team}/members/{member}`: by an admin, and by everybody for themselves. Out of the team is out of
/// all its apps.
pub(crate) async fn delete(
    own: Permitted<ViewTeam>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<TeamMember>> {
    let leaves = own.caller.account.email.eq_ignore_ascii_case(&identity) && own.also::<LeaveTeam>().is_ok();
    if !leaves {
        own.also::<ManageMembers>()?;
    }
    let (member, account) = find(&state, &own, &identity).await?;
    let mut write = state.store.write().await?;
    if !store::team_members::remove(&mut write, own.team.id, account.id).await? {
        return Err(last_admin());
    }
    write.commit().await?;
    Ok(Json(shape(&member, &account)))
}

async fn set(state: &ApiState, own: &OnTeam, account: &Account, role: &str) -> Result<TeamMember> {
    let role: TeamRole =
        role.parse().map_err(|_: UnknownTeamRole| Error::invalid("Roles in a team are admin, member and viewer."))?;
    let mut write = state.store.write().await?;
    let member = store::team_members::set(&mut write, own.team.id, account.id, role).await?;
    let member = member.ok_or_else(last_admin)?;
    store::team_invitations::withdraw(&mut write, own.team.id, account.id).await?;
    write.commit().await?;
    Ok(shape(&member, account))
}

fn last_admin() -> Error {
    Error::invalid("A team has at least one admin. Make somebody else admin first.")
}

/// A member by their email or id, or by that of their place.
pub(crate) async fn find(state: &ApiState, own: &OnTeam, identity: &str) -> Result<(Member, Account)> {
    for member in store::team_members::list(&state.store, own.team.id).await? {
        let Some(account) = store::accounts::get(&state.store, member.account_id).await? else { continue };
        let ids = [account.id.to_string(), member.id.to_string()];
        if account.email.eq_ignore_ascii_case(identity) || ids.iter().any(|id| id == identity) {
            return Ok((member, account));
        }
    }
    Err(Error::not_found("team member"))
}

/// How the API shows one.
pub(crate) fn shape(member: &Member, account: &Account) -> TeamMember {
    TeamMember {
        id: member.id.uuid(),
        email: account.email.clone(),
        role: member.role.as_str(),
        federated: false,
        identity_provider: None,
        two_factor_authentication: account.second_factor,
        user: Person { id: account.id.uuid(), email: account.email.clone(), name: account.name.clone() },
        created_at: member.created_at.into(),
        updated_at: member.updated_at.into(),
    }
}
