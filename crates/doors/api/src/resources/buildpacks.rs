//! `/apps/{app}/buildpack-installations`.

use access::action::{Deploy, ViewApp};
use axum::Json;
use axum::extract::State;
use schema::{BuildpackInstallation, NamedUrl};
use serde::Deserialize;
use store::buildpacks::Installation;

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::Shared;

/// The most buildpacks of an app: far more than anyone chains.
const MOST: usize = 50;

/// What `PUT /apps/{app}/buildpack-installations` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Replace {
    updates: Vec<Update>,
}

#[derive(Debug, Deserialize)]
struct Update {
    /// Not there when the CLI did not find the name in the registry.
    buildpack: Option<String>,
}

/// `GET /apps/{app}/buildpack-installations`
pub(crate) async fn list(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
) -> Result<Json<Vec<BuildpackInstallation>>> {
    Ok(Json(shape(store::buildpacks::list(&state.store, own.app.id).await?)))
}

/// `PUT /apps/{app}/buildpack-installations`: the whole list anew, for the next build.
pub(crate) async fn replace(
    own: Permitted<Deploy>,
    State(state): State<Shared>,
    Body(body): Body<Replace>,
) -> Result<Json<Vec<BuildpackInstallation>>> {
    if body.updates.len() > MOST {
        return Err(Error::invalid(format!("An app has at most {MOST} buildpacks.")));
    }
    let each = body.updates.iter().map(installation);
    let list = each.collect::<Result<Vec<_>>>()?;
    let mut write = state.store.write().await?;
    store::buildpacks::replace(&mut write, own.app.id, &list).await?;
    write.commit().await?;
    Ok(Json(shape(list)))
}

fn installation(update: &Update) -> Result<Installation> {
    let message = "There is no such buildpack: name one that `heroku buildpacks:search` lists, or its address.";
    let given = update.buildpack.as_deref().ok_or_else(|| Error::invalid(message))?;
    builds::installation(given).map_err(Error::invalid)
}

fn shape(list: Vec<Installation>) -> Vec<BuildpackInstallation> {
    let numbered = list.into_iter().enumerate();
    let one = |(ordinal, entry): (usize, Installation)| BuildpackInstallation {
        ordinal,
        buildpack: NamedUrl { url: entry.url, name: entry.name },
    };
    numbered.map(one).collect()
}
