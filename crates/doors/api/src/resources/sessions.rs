//! `/oauth/sessions`: browsers that are signed in, and command lines that one of them let in.

use access::Caller;
use access::action::ManageAccount;
use axum::Json;
use axum::extract::{Path, State};
use vocabulary::{SessionId, Timestamp};

use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::Shared;
use crate::resources::account;

const SORTS: &[Sort<store::sessions::Session>] = &[("id", |session| Key::text(&session.id))];

/// `GET /oauth/sessions`
pub(crate) async fn list(caller: Permitted<ManageAccount>, State(state): State<Shared>, range: Range) -> Result {
    let sessions = store::sessions::list(&state.store, caller.account.id).await?;
    list::answer(&range, sessions, SORTS, |session| shape(session, &caller))
}

/// `DELETE /oauth/sessions/{session}`; `~` is the one the caller's token ends with. Its cookie and its tokens are
/// worthless when this has answered.
pub(crate) async fn delete(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Session>> {
    let id = match identity.as_str() {
        "~" => caller.authorization.as_ref().and_then(|authorization| authorization.session_id),
        id => id.parse::<SessionId>().ok(),
    };
    let own = store::sessions::list(&state.store, caller.account.id).await?;
    let found = own.into_iter().find(|session| Some(session.id) == id).ok_or_else(|| Error::not_found("session"))?;
    let mut write = state.store.write().await?;
    store::sessions::delete(&mut write, found.id).await?;
    write.commit().await?;
    Ok(Json(shape(&found, &caller)))
}

fn shape(session: &store::sessions::Session, caller: &Caller) -> schema::Session {
    schema::Session {
        id: session.id.uuid(),
        description: session.description.clone(),
        expires_in: (session.expires_at.micros() - Timestamp::now().micros()).max(0) / 1_000_000,
        user: account::reference(&caller.account),
        created_at: session.created_at.into(),
        updated_at: session.created_at.into(),
    }
}
