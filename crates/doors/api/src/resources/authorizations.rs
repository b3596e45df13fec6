//! `/oauth/authorizations`: tokens.

use access::Caller;
use access::action::ManageAccount;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schema::AccessToken;
use serde::Deserialize;
use store::authorizations::{Authorization, New};
use vocabulary::{AuthorizationId, Scope, Secret, Timestamp, UnknownScope};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::Shared;
use crate::resources::account;
use crate::setup::new_token;

const SORTS: &[Sort<Authorization>] = &[("id", |entry| Key::text(&entry.id))];
/// The longest a token that ends may live, in seconds: ten years.
const LONGEST_SECONDS: i64 = 10 * 366 * 24 * 3600;

/// What `POST /oauth/authorizations` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    description: Option<String>,
    expires_in: Option<i64>,
    scope: Option<Vec<String>>,
}

/// `POST /oauth/authorizations`
pub(crate) async fn create(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Authorization>)> {
    let scope = body.scope.unwrap_or_else(|| vec!["global".to_owned()]);
    if scope.is_empty() || scope.iter().any(|one| one.parse::<Scope>().is_err()) {
        return Err(Error::invalid(format!("The {UnknownScope}.")));
    }
    let description = body.description.unwrap_or_else(|| "Long-lived user authorization".to_owned());
    let token = new_token();
    let new = New {
        account_id: caller.account.id,
        token: &token,
        description: description.get(..1000).unwrap_or(&description),
        scope: &scope,
        is_default: false,
        expires_at: expiry(body.expires_in)?,
    };
    let mut write = state.store.write().await?;
    let made = store::authorizations::create(&mut write, &new).await?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(shape(&made, &caller, Some(&token)))))
}

/// `GET /oauth/authorizations`
pub(crate) async fn list(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    range: Range,
) -> Result<Response> {
    let entries = store::authorizations::list(&state.store, caller.account.id).await?;
    list::answer(&range, entries, SORTS, |entry| shape(entry, &caller, None))
}

/// `GET /oauth/authorizations/{authorization}`; `~` is the account's own API key.
pub(crate) async fn info(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Authorization>> {
    let found = find(&state, &caller, &identity).await?;
    Ok(Json(shape(&found, &caller, None)))
}

/// `DELETE /oauth/authorizations/{authorization}`; its token is worthless when this has answered.
pub(crate) async fn delete(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Response> {
    let found = find(&state, &caller, &identity).await?;
    let mut write = state.store.write().await?;
    store::authorizations::delete(&mut write, found.id).await?;
    write.commit().await?;
    Ok(Json(shape(&found, &caller, None)).into_response())
}

async fn find(state: &Shared, caller: &Caller, identity: &str) -> Result<Authorization> {
    let id = identity.parse::<AuthorizationId>().ok();
    let own = store::authorizations::list(&state.store, caller.account.id).await?;
    let found = own.into_iter().find(|entry| if identity == "~" { entry.is_default } else { Some(entry.id) == id });
    found.ok_or_else(|| Error::not_found("authorization"))
}

fn expiry(seconds: Option<i64>) -> Result<Option<Timestamp>> {
    match seconds {
        None => Ok(None),
        Some(seconds) if (1..=LONGEST_SECONDS).contains(&seconds) => {
            Ok(Some(Timestamp::from_micros(Timestamp::now().micros() + seconds * 1_000_000)))
        }
        Some(_) => Err(Error::invalid("expires_in is a number of seconds, from 1 to ten years of them.")),
    }
}

/// `token` is at hand only where it was just made.
fn shape(entry: &Authorization, caller: &Caller, token: Option<&Secret>) -> schema::Authorization {
    let left = entry.expires_at.map(|end| (end.micros() - Timestamp::now().micros()).max(0) / 1_000_000);
    let token = token.map_or_else(|| entry.token_hint.clone(), |token| token.reveal().to_owned());
    schema::Authorization {
        id: entry.id.uuid(),
        description: entry.description.clone(),
        scope: entry.scope.clone(),
        access_token: Some(AccessToken { id: entry.token_id.uuid(), token, expires_in: left }),
        client: None,
        grant: None,
        refresh_token: None,
        session: None,
        user: account::reference(&caller.account),
        created_at: entry.created_at.into(),
        updated_at: entry.updated_at.into(),
    }
}
