//! `/teams/{team}/invitations`: asking somebody into a team who is to agree.
//!
//! No mail is sent: whoever invites gets the token, once, and passes it on. It is good for nobody but the account that
//! was invited.

use access::OnTeam;
use access::action::{AcceptInvitation, ManageMembers, ViewInvitation, ViewMembers};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use schema::{Named, Person, TeamInvitation, TeamMember};
use serde::Deserialize;
use store::team_invitations::{Invitation, New};
use vocabulary::{AccountId, Secret, TeamRole, UnknownTeamRole};

use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::{collaborators, team_members};
use crate::setup::new_token;

const SORTS: &[Sort<TeamInvitation>] = &[("id", |one| Key::text(&one.id)), ("email", |one| Key::text(&one.user.email))];

/// What `PUT` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Invite {
    email: String,
    role: Option<String>,
}

/// `GET /teams/{team}/invitations`
pub(crate) async fn list(own: Permitted<ViewMembers>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let mut shown = vec![];
    for one in store::team_invitations::list(&state.store, own.team.id).await? {
        shown.push(shape(&state, &one, named(&own), None).await?);
    }
    list::answer(&range, shown, SORTS, Clone::clone)
}

/// `PUT /teams/{team}/invitations`: of somebody who has an account. Who is invited again gets another token.
pub(crate) async fn put(
    own: Permitted<ManageMembers>,
    State(state): State<Shared>,
    Body(body): Body<Invite>,
) -> Result<Json<TeamInvitation>> {
    let role: TeamRole = body
        .role
        .as_deref()
        .unwrap_or("member")
        .parse()
        .map_err(|_: UnknownTeamRole| Error::invalid("Roles in a team are admin, member and viewer."))?;
    let account = collaborators::existing(&state, &body.email).await?;
    let token = new_token();
    let new = New { team: own.team.id, account: account.id, invited_by: own.caller.account.id, role, token: &token };
    let mut write = state.store.write().await?;
    if store::team_members::role_in(&mut write, own.team.id, account.id).await?.is_some() {
        return Err(Error::invalid(format!("{} is in this team already.", account.email)));
    }
    let made = store::team_invitations::set(&mut write, &new).await?;
    write.commit().await?;
    Ok(Json(shape(&state, &made, named(&own), Some(&token)).await?))
}

/// `DELETE /teams/{team}/invitations/{invitation}`, by id.
pub(crate) async fn delete(
    own: Permitted<ManageMembers>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<TeamInvitation>> {
    let all = store::team_invitations::list(&state.store, own.team.id).await?;
    let found = all.into_iter().find(|one| one.id.to_string() == identity);
    let found = found.ok_or_else(|| Error::not_found("invitation"))?;
    let mut write = state.store.write().await?;
    store::team_invitations::delete(&mut write, found.id).await?;
    write.commit().await?;
    Ok(Json(shape(&state, &found, named(&own), None).await?))
}

/// `GET /teams/invitations/{token}`: to whom it is for.
pub(crate) async fn info(
    caller: Permitted<ViewInvitation>,
    State(state): State<Shared>,
    Path(token): Path<String>,
) -> Result<Json<TeamInvitation>> {
    let found = own(&caller, store::team_invitations::by_token(&state.store, &Secret::new(token)).await?)?;
    let team = store::teams::get(&state.store, found.team_id).await?.ok_or_else(|| Error::not_found("team"))?;
    let team = Named { id: team.id.uuid(), name: team.name.to_string() };
    Ok(Json(shape(&state, &found, team, None).await?))
}

/// `POST /teams/invitations/{token}/accept`: by whom it is for, who is in the team from then on.
pub(crate) async fn accept(
    caller: Permitted<AcceptInvitation>,
    State(state): State<Shared>,
    Path(token): Path<String>,
) -> Result<(StatusCode, Json<TeamMember>)> {
    let mut write = state.store.write().await?;
    let found = own(&caller, store::team_invitations::by_token_in(&mut write, &Secret::new(token)).await?)?;
    store::team_invitations::delete(&mut write, found.id).await?;
    let member = store::team_members::set(&mut write, found.team_id, caller.account.id, found.role).await?;
    let member = member.ok_or_else(|| Error::invalid("You are the only admin of this team."))?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(team_members::shape(&member, &caller.account))))
}

/// The invitation of a token, if the caller is who was invited: nobody else learns that there is one.
fn own(caller: &Caller, found: Option<Invitation>) -> Result<Invitation> {
    let own = found.filter(|one| one.account_id == caller.account.id);
    own.ok_or_else(|| Error::not_found("invitation"))
}

fn named(own: &OnTeam) -> Named {
    Named { id: own.team.id.uuid(), name: own.team.name.to_string() }
}

async fn person(state: &ApiState, id: AccountId) -> Result<Person> {
    let account = store::accounts::get(&state.store, id).await?;
    let (email, name) = account.map(|account| (account.email, account.name)).unwrap_or_default();
    Ok(Person { id: id.uuid(), email, name })
}

async fn shape(state: &ApiState, one: &Invitation, team: Named, token: Option<&Secret>) -> Result<TeamInvitation> {
    Ok(TeamInvitation {
        id: one.id.uuid(),
        invited_by: person(state, one.invited_by).await?,
        role: one.role.as_str(),
        team,
        user: person(state, one.account_id).await?,
        token: token.map(|token| token.reveal().to_owned()),
        created_at: one.created_at.into(),
        updated_at: one.updated_at.into(),
    })
}
