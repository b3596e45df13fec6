//! What is paid for: nothing.

use access::action::{Browse, ViewApp, ViewTeam};
use axum::Json;
use axum::extract::Path;
use schema::{AppUsage, Delinquency, TeamUsage};

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;

/// `GET /account/delinquency`
pub(crate) async fn delinquency(_caller: Permitted<Browse>) -> Json<Delinquency> {
    Json(Delinquency::default())
}

/// `GET /teams/{team}/delinquency`
pub(crate) async fn team_delinquency(_own: Permitted<ViewTeam>) -> Json<Delinquency> {
    Json(Delinquency::default())
}

/// `GET /apps/{app}/usage`
pub(crate) async fn app_usage(_own: Permitted<ViewApp>) -> Json<AppUsage> {
    Json(AppUsage::default())
}

/// `GET /teams/{team}/usage`
pub(crate) async fn team_usage(_own: Permitted<ViewTeam>) -> Json<TeamUsage> {
    Json(TeamUsage::default())
}

/// `GET /teams/{team}/apps/{app}/usage`
pub(crate) async fn team_app_usage(
    own: Permitted<ViewApp>,
    Path((team, _)): Path<(String, String)>,
) -> Result<Json<AppUsage>> {
    let same = own.team.as_ref().is_some_and(|own| own.name.as_str() == team || own.id.to_string() == team);
    if same { Ok(Json(AppUsage::default())) } else { Err(Error::not_found("team app")) }
}
