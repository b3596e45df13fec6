//! `/stacks`.

use access::action::{Browse, ViewApp};
use axum::Json;
use axum::extract::{Path, State};
use vocabulary::Stack;

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::Shared;
use crate::resources::catalogue::{self, SINCE};

/// `GET /stacks`
pub(crate) async fn list(_caller: Permitted<Browse>, State(state): State<Shared>) -> Result<Json<Vec<schema::Stack>>> {
    Ok(Json(state.stacks.all().await?.into_iter().map(shape).collect()))
}

/// `GET /apps/{app}/available-stacks`
pub(crate) async fn of_app(_own: Permitted<ViewApp>, State(state): State<Shared>) -> Result<Json<Vec<schema::Stack>>> {
    Ok(Json(state.stacks.all().await?.into_iter().map(shape).collect()))
}

/// `GET /stacks/{stack}`, by id or name.
pub(crate) async fn info(
    _caller: Permitted<Browse>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Stack>> {
    let found = state.stacks.find(&identity).await?;
    found.map(|stack| Json(shape(stack))).ok_or_else(|| Error::not_found("stack"))
}

fn shape(stack: Stack) -> schema::Stack {
    schema::Stack {
        id: catalogue::id("stack", stack.name()),
        name: stack.to_string(),
        default: stack == Stack::default(),
        state: "public",
        created_at: SINCE.into(),
        updated_at: SINCE.into(),
    }
}
