//! `/favorites`, of the host `particleboard.heroku.com`: the apps that the caller marked, as far as they may see them.

use std::collections::BTreeMap;

use access::Which;
use access::action::{ListApps, Mark, ViewApp};
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::favorites::Favorite as Row;
use vocabulary::{AppId, AppName};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::permitted::{self, Permitted};
use crate::http::state::Shared;
use crate::resources::apps::Identity;

/// The most favorites of one account; an account may lose sight of an app, so that its apps are no bound.
const MOST: usize = 1000;
/// The one kind of thing that can be marked.
const APP: &str = "app";

/// A favorite, in the words of the official command.
#[derive(Debug, Serialize)]
pub(crate) struct Favorite {
    id: String,
    /// The app's id.
    resource_id: AppId,
    /// The app's name.
    resource_name: AppName,
    r#type: &'static str,
}

impl Favorite {
    fn new(row: &Row, name: AppName) -> Self {
        Self { id: row.id.to_string(), resource_id: row.app_id, resource_name: name, r#type: APP }
    }
}

/// What `POST /favorites` takes: the app by name or id.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    r#type: String,
    resource_id: Identity,
}

/// `GET /favorites`: all of them are apps, whatever type is asked for. Those the caller cannot see any more are not
/// shown, and are there again when they can.
pub(crate) async fn list(caller: Permitted<ListApps>, State(state): State<Shared>) -> Result<Json<Vec<Favorite>>> {
    let apps = access::apps(&state.store, &caller, Which::All).await?;
    let mut names: BTreeMap<AppId, AppName> = apps.into_iter().map(|app| (app.id, app.name)).collect();
    let rows = store::favorites::list(&state.store, caller.account.id).await?;
    Ok(Json(rows.iter().filter_map(|row| Some(Favorite::new(row, names.remove(&row.app_id)?))).collect()))
}

/// `POST /favorites`. May be repeated.
pub(crate) async fn create(
    caller: Permitted<Mark>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<Favorite>)> {
    if body.r#type != APP {
        return Err(Error::invalid("Only apps can be favorites."));
    }
    let seen = permitted::named::<ViewApp>(&state, &caller, body.resource_id.text()).await?;
    let own = store::favorites::list(&state.store, caller.account.id).await?;
    if own.len() >= MOST && own.iter().all(|row| row.app_id != seen.app.id) {
        return Err(Error::invalid(format!("An account has at most {MOST} favorites.")));
    }
    let mut write = state.store.write().await?;
    let row = store::favorites::create(&mut write, caller.account.id, seen.app.id).await?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(Favorite::new(&row, seen.app.name.clone()))))
}

/// `DELETE /favorites/{favorite}`
pub(crate) async fn delete(
    caller: Permitted<Mark>,
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Favorite>> {
    let own = store::favorites::list(&state.store, caller.account.id).await?;
    let row = own.into_iter().find(|row| row.id.to_string() == id).ok_or_else(|| Error::not_found("favorite"))?;
    let apps = access::apps(&state.store, &caller, Which::All).await?;
    let app = apps.into_iter().find(|app| app.id == row.app_id).ok_or_else(|| Error::not_found("favorite"))?;
    let mut write = state.store.write().await?;
    store::favorites::delete(&mut write, row.id).await?;
    write.commit().await?;
    Ok(Json(Favorite::new(&row, app.name)))
}
