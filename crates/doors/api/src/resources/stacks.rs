//! `/stacks`.

use access::action::{Browse, ViewApp};
use axum::Json;
use axum::extract::Path;
use vocabulary::Stack;

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::resources::catalogue::{self, SINCE};

/// `GET /stacks`
pub(crate) async fn list(_caller: Permitted<Browse>) -> Json<Vec<schema::Stack>> {
    Json(Stack::ALL.into_iter().map(shape).collect())
}

/// `GET /apps/{app}/available-stacks`
pub(crate) async fn of_app(_own: Permitted<ViewApp>) -> Json<Vec<schema::Stack>> {
    Json(Stack::ALL.into_iter().map(shape).collect())
}

/// `GET /stacks/{stack}`, by id or name.
pub(crate) async fn info(_caller: Permitted<Browse>, Path(identity): Path<String>) -> Result<Json<schema::Stack>> {
    let found = Stack::ALL.into_iter().find(|stack| catalogue::is(&identity, "stack", stack.name()));
    found.map(|stack| Json(shape(stack))).ok_or_else(|| Error::not_found("stack"))
}

fn shape(stack: Stack) -> schema::Stack {
    schema::Stack {
        id: catalogue::id("stack", stack.name()),
        name: stack.name(),
        default: stack == Stack::default(),
        state: "public",
        created_at: SINCE.into(),
        updated_at: SINCE.into(),
    }
}
