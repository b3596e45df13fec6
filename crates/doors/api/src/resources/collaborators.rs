//! `/apps/{app}/collaborators` and `/teams/apps/{app}/collaborators`: who works on an app, and how far.

use access::OnApp;
use access::action::{JoinApp, LeaveApp, ManageAccess, ViewApp};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use store::accounts::Account;
use vocabulary::{Permissions, UnknownPermission};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::{account, catalogue};

const SORTS: &[Sort<schema::Collaborator>] =
    &[("id", |one| Key::text(&one.id)), ("email", |one| Key::text(&one.user.email))];

/// What `POST` takes. The schema's `silent` has no meaning: no mail is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    user: String,
    permissions: Option<Vec<String>>,
}

/// What `PATCH` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    permissions: Vec<String>,
}

/// `GET …/collaborators`
pub(crate) async fn list(own: Permitted<ViewApp>, State(state): State<Shared>, range: Range) -> Result<Response> {
    list::answer(&range, all(&state, &own).await?, SORTS, Clone::clone)
}

/// `GET …/collaborators/{collaborator}`, by id or email.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Collaborator>> {
    Ok(Json(find(&state, &own, &identity).await?))
}

/// `POST /apps/{app}/collaborators`
pub(crate) async fn create(
    own: Permitted<ManageAccess>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Collaborator>)> {
    let given = permissions(&own, body.permissions.as_deref())?;
    added(&state, &own, &existing(&state, &body.user).await?, given).await
}

/// `POST /teams/apps/{app}/collaborators`. Members of the team let themselves in, to see; more is given by those who
/// manage the app.
pub(crate) async fn create_on_team_app(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Collaborator>)> {
    let user = existing(&state, &body.user).await?;
    let joins = user.id == own.caller.account.id && body.permissions.is_none();
    let given = if joins {
        own.also::<JoinApp>()?;
        Permissions::VIEW
    } else {
        let own = own.also::<ManageAccess>()?;
        permissions(&own, body.permissions.as_deref())?
    };
    added(&state, &own, &user, given).await
}

/// `PATCH /teams/apps/{app}/collaborators/{collaborator}`
pub(crate) async fn update(
    own: Permitted<ManageAccess>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
    Body(body): Body<Update>,
) -> Result<Json<schema::Collaborator>> {
    let given = permissions(&own, Some(&body.permissions))?;
    let user = let_in(&state, &own, &identity).await?;
    let mut write = state.store.write_by(own.caller.account.id).await?;
    store::collaborators::set(&mut write, own.app.id, user.id, given).await?;
    write.commit().await?;
    Ok(Json(find(&state, &own, &user.email).await?))
}

/// `DELETE …/collaborators/{collaborator}`: those who manage the app, and everybody for themselves.
pub(crate) async fn delete(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Collaborator>> {
    let leaves = own.also::<LeaveApp>().is_ok() && is(&own.caller.account, &identity);
    if !leaves {
        own.also::<ManageAccess>()?;
    }
    let user = let_in(&state, &own, &identity).await?;
    let gone = find(&state, &own, &user.email).await?;
    let mut write = state.store.write_by(own.caller.account.id).await?;
    store::collaborators::remove(&mut write, own.app.id, user.id).await?;
    write.commit().await?;
    Ok(Json(gone))
}

fn is(account: &Account, identity: &str) -> bool {
    account.email.eq_ignore_ascii_case(identity) || account.id.to_string() == identity
}

/// The account of an email or an id. Nobody is invited by mail, so there has to be one.
pub(crate) async fn existing(state: &ApiState, identity: &str) -> Result<Account> {
    let found = match identity.parse() {
        Ok(id) => store::accounts::get(&state.store, id).await?,
        Err(_) => store::accounts::by_email(&state.store, identity).await?,
    };
    found.ok_or_else(|| Error::invalid(format!("Nobody on this platform has the email {identity}.")))
}

/// The account of somebody who was let in, by their email or id or by that of their place. The owner was not.
async fn let_in(state: &ApiState, own: &OnApp, identity: &str) -> Result<Account> {
    for one in store::collaborators::list(&state.store, own.app.id).await? {
        let account = store::accounts::get(&state.store, one.account_id).await?;
        if let Some(account) = account.filter(|account| is(account, identity) || one.id.to_string() == identity) {
            return Ok(account);
        }
    }
    Err(Error::not_found("collaborator"))
}

/// What is to be given. A personal app has no permissions to choose from; on a team's, whoever is let in sees it.
fn permissions(own: &OnApp, asked: Option<&[String]>) -> Result<Permissions> {
    let asked = asked.map(|words| words.iter().map(|word| word.parse()).collect()).transpose();
    let asked: Option<Permissions> =
        asked.map_err(|error: UnknownPermission| Error::invalid(sentence(&error.to_string())))?;
    match (&own.team, asked) {
        (None, None) => Ok(Permissions::ALL_BUT_MANAGE),
        (None, Some(_)) => Err(Error::invalid("Only apps of a team have permissions to choose from.")),
        (Some(_), asked) => Ok(asked.unwrap_or_default().or(Permissions::VIEW)),
    }
}

fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at_checked(1).unwrap_or_default();
    format!("{}{rest}.", first.to_uppercase())
}

async fn added(
    state: &ApiState,
    own: &OnApp,
    user: &Account,
    given: Permissions,
) -> Result<(StatusCode, Json<schema::Collaborator>)> {
    let already = || Error::invalid(format!("{} has access to this app already.", user.email));
    if own.team.is_none() && user.id == own.app.owner_id {
        return Err(already());
    }
    let mut write = state.store.write_by(own.caller.account.id).await?;
    let made = store::collaborators::create(&mut write, own.app.id, user.id, given).await;
    made.map_err(|error| if matches!(error, store::Error::Taken(_)) { already() } else { error.into() })?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(find(state, own, &user.email).await?)))
}

async fn find(state: &ApiState, own: &OnApp, identity: &str) -> Result<schema::Collaborator> {
    let mut found = all(state, own).await?.into_iter();
    let same = |one: &schema::Collaborator| {
        one.user.email.eq_ignore_ascii_case(identity)
            || one.id.to_string() == identity
            || one.user.id.to_string() == identity
    };
    found.find(same).ok_or_else(|| Error::not_found("collaborator"))
}

/// The owner, then those who were let in.
async fn all(state: &ApiState, own: &OnApp) -> Result<Vec<schema::Collaborator>> {
    let mut all = vec![owner(state, own).await?];
    let let_in = store::collaborators::list(&state.store, own.app.id).await?;
    let emails = store::accounts::emails(&state.store, let_in.iter().map(|one| one.account_id).collect()).await?;
    for one in let_in {
        let role = match own.app.team_id {
            Some(team) => store::team_members::get(&state.store, team, one.account_id).await?.map(|member| member.role),
            None => None,
        };
        all.push(shapes::collaborator(&one, &own.app, account::user_of(&emails, one.account_id), role));
    }
    Ok(all)
}

/// The owner, who was not let in by anyone.
async fn owner(state: &ApiState, own: &OnApp) -> Result<schema::Collaborator> {
    let app = &own.app;
    let emails = store::accounts::emails(&state.store, vec![app.owner_id]).await?;
    let user = match &own.team {
        Some(team) => shapes::team_owner(team.id, &team.name),
        None => account::user_of(&emails, app.owner_id),
    };
    Ok(schema::Collaborator {
        id: catalogue::id("collaborator", &format!("{}/{}", app.id, user.id)),
        app: shapes::app_reference(app),
        permissions: shapes::meanings(Permissions::ALL),
        role: Some("owner"),
        user,
        created_at: app.created_at.into(),
        updated_at: app.created_at.into(),
    })
}
