//! `/teams`: many users with apps in common.

use access::action::{Browse, CreateTeam, ListApps, ManageTeam, ViewTeam};
use access::{OnTeam, TeamStanding};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use schema::{Feature, Permission, TeamInfo, TeamPreferences};
use serde::Deserialize;
use store::teams::Team;
use vocabulary::{InvalidTeamName, Permissions, TeamName, TeamRole};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::Shared;
use crate::resources::catalogue::{self, SINCE};
use crate::resources::collaborators;

const SORTS: &[Sort<(Team, TeamStanding)>] =
    &[("id", |(team, _)| Key::text(&team.id)), ("name", |(team, _)| Key::text(&team.name))];
/// The feature by which the official command knows that the apps of a team have permissions.
const ACCESS_CONTROLS: &str = "org-access-controls";

/// Members see what is not locked, and add-ons need no leave.
const PREFERENCES: TeamPreferences = TeamPreferences { default_permission: None, addons_controls: Some(false) };

/// What `POST /teams` takes. The rest of what the schema has is about payment.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    name: String,
}

/// What `PATCH /teams/{team}` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    name: Option<String>,
    default: Option<bool>,
}

/// `GET /teams`
pub(crate) async fn list(caller: Permitted<ListApps>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let teams = access::teams(&state.store, &caller).await?;
    list::answer(&range, teams, SORTS, |(team, standing)| shape(team, *standing))
}

/// `POST /teams`: whoever makes one is its admin.
pub(crate) async fn create(
    caller: Permitted<CreateTeam>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<TeamInfo>)> {
    let name = parsed(&body.name)?;
    let mut write = state.store.write().await?;
    let team = store::teams::create(&mut write, &name).await.map_err(|error| taken(error, &name))?;
    store::team_members::set(&mut write, team.id, caller.account.id, TeamRole::Admin).await?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(shape(&team, TeamStanding::Member(TeamRole::Admin)))))
}

/// `GET /teams/{team}`
pub(crate) async fn info(own: Permitted<ViewTeam>) -> Json<TeamInfo> {
    Json(shown(&own))
}

/// `PATCH /teams/{team}`
pub(crate) async fn update(
    own: Permitted<ManageTeam>,
    State(state): State<Shared>,
    Body(body): Body<Update>,
) -> Result<Json<TeamInfo>> {
    if body.default.is_some() {
        return Err(Error::unbuilt("A default team"));
    }
    if let Some(name) = body.name.as_deref().map(parsed).transpose()? {
        let mut write = state.store.write().await?;
        store::teams::rename(&mut write, own.team.id, &name).await.map_err(|error| taken(error, &name))?;
        write.commit().await?;
    }
    Ok(Json(shown(&*own.fresh(&state.store).await?)))
}

/// `DELETE /teams/{team}`: one without apps.
pub(crate) async fn delete(own: Permitted<ManageTeam>, State(state): State<Shared>) -> Result<Json<TeamInfo>> {
    let mut write = state.store.write().await?;
    if !store::teams::delete(&mut write, own.team.id).await? {
        return Err(Error::invalid("This team has apps. Delete or transfer them first."));
    }
    write.commit().await?;
    Ok(Json(shown(&own)))
}

/// `GET /teams/permissions`: those there are.
pub(crate) async fn permissions(_caller: Permitted<Browse>) -> Json<Vec<Permission>> {
    Json(collaborators::shown(Permissions::ALL))
}

/// `GET /teams/{team}/features`
pub(crate) async fn features(_own: Permitted<ViewTeam>) -> Json<[Feature; 1]> {
    Json([access_controls()])
}

/// `GET /teams/{team}/features/{feature}`
pub(crate) async fn feature(
    _own: Permitted<ViewTeam>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<Feature>> {
    let feature = access_controls();
    let same = catalogue::is(&identity, "team-feature", ACCESS_CONTROLS);
    if same { Ok(Json(feature)) } else { Err(Error::not_found("feature")) }
}

/// `GET /teams/{team}/preferences`
pub(crate) async fn preferences(_own: Permitted<ViewTeam>) -> Json<TeamPreferences> {
    Json(PREFERENCES)
}

/// What `PATCH /teams/{team}/preferences` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Preferences {
    #[serde(rename = "addons-controls")]
    addons_controls: Option<bool>,
}

/// `PATCH /teams/{team}/preferences`: what is the case can be asked for.
pub(crate) async fn set_preferences(
    _own: Permitted<ManageTeam>,
    Body(body): Body<Preferences>,
) -> Result<Json<TeamPreferences>> {
    if body.addons_controls == Some(true) {
        return Err(Error::unbuilt("A list of add-ons a team allows"));
    }
    Ok(Json(PREFERENCES))
}

fn parsed(name: &str) -> Result<TeamName> {
    name.parse().map_err(|error: InvalidTeamName| Error::invalid(format!("{error}.")))
}

fn taken(error: store::Error, name: &TeamName) -> Error {
    match error {
        store::Error::Taken(_) => Error::invalid(format!("Name {name} is already taken")),
        error => error.into(),
    }
}

fn shown(own: &OnTeam) -> TeamInfo {
    shape(&own.team, own.standing)
}

fn shape(team: &Team, standing: TeamStanding) -> TeamInfo {
    let role = match standing {
        TeamStanding::Member(role) => Some(role.as_str()),
        TeamStanding::Collaborator => Some("collaborator"),
        TeamStanding::Stranger => None,
    };
    TeamInfo {
        id: team.id.uuid(),
        name: team.name.to_string(),
        role,
        kind: "enterprise",
        credit_card_collections: false,
        default: false,
        enterprise_account: None,
        identity_provider: None,
        membership_limit: None,
        pipeline_cost_consent_at: None,
        pipeline_cost_consent_user_email: None,
        provisioned_licenses: false,
        created_at: team.created_at.into(),
        updated_at: team.updated_at.into(),
    }
}

fn access_controls() -> Feature {
    Feature {
        id: catalogue::id("team-feature", ACCESS_CONTROLS),
        name: ACCESS_CONTROLS,
        display_name: "App permissions",
        description: "Each collaborator of an app has permissions of their own",
        doc_url: "",
        enabled: true,
        feedback_email: "",
        state: "general",
        created_at: SINCE.into(),
        updated_at: SINCE.into(),
    }
}
