//! `/apps/{app}/config-vars`.

use access::action::{EditConfig, ViewConfig};
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use store::apps::ConfigVars;
use vocabulary::{ConfigVarName, Secret};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::Shared;
use crate::resources::releases;

/// `GET /apps/{app}/config-vars`
pub(crate) async fn info(own: Permitted<ViewConfig>, State(state): State<Shared>) -> Result<Json<ConfigVars>> {
    Ok(Json(store::apps::config_vars(&state.store, own.app.id).await?))
}

/// `PATCH /apps/{app}/config-vars`; null unsets.
pub(crate) async fn update(
    own: Permitted<EditConfig>,
    State(state): State<Shared>,
    Body(body): Body<BTreeMap<String, Option<Secret>>>,
) -> Result<Json<ConfigVars>> {
    let mut changes = BTreeMap::new();
    for (name, value) in body {
        changes.insert(parsed(&name)?, value);
    }
    Ok(Json(state.releases.set_config(&own.app, &changes, own.caller.account.id).await?))
}

/// `GET /apps/{app}/releases/{release}/config-vars`
pub(crate) async fn of_release(
    own: Permitted<ViewConfig>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<ConfigVars>> {
    let release = releases::find(&state, &own.app, &identity).await?;
    Ok(Json(store::releases::config_vars(&state.store, release.id).await?))
}

fn parsed(name: &str) -> Result<ConfigVarName> {
    name.parse().map_err(|error: vocabulary::InvalidConfigVarName| Error::invalid(format!("{error}.")))
}
