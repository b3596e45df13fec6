//! The app a path names, if the caller may have it.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use store::Store;
use store::apps::App;
use vocabulary::{AppId, AppName};

use crate::http::auth::Caller;
use crate::http::error::{Error, Result};
use crate::http::state::Shared;

/// The app of the path's `{app}`, by id or name, and who calls. An app of someone else is 403, none is 404, as Heroku
/// tells them apart.
#[derive(Debug)]
pub(crate) struct OwnApp {
    /// The app.
    pub(crate) app: App,
    /// Its owner, who calls.
    pub(crate) caller: Caller,
}

impl FromRequestParts<Shared> for OwnApp {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Path(path) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|error| Error::bad_request(error.to_string()))?;
        let identity = path.get("app").map(String::as_str).unwrap_or_default();
        let app = find(&state.store, identity).await?.ok_or_else(|| Error::not_found("app"))?;
        if app.owner_id != caller.account.id {
            return Err(Error::forbidden(format!("You do not have access to the app {}.", app.name)));
        }
        Ok(Self { app, caller })
    }
}

async fn find(store: &Store, identity: &str) -> Result<Option<App>> {
    if let Ok(id) = identity.parse::<AppId>() {
        return Ok(store::apps::get(store, id).await?);
    }
    match identity.parse::<AppName>() {
        Ok(name) => Ok(store::apps::by_name(store, &name).await?),
        Err(_) => Ok(None),
    }
}
