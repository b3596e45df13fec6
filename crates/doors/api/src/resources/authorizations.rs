//! `/oauth/authorizations`: tokens, and what clients were allowed.

use access::Caller;
use access::action::ManageAccount;
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use schema::{AccessToken, AuthorizationClient, AuthorizationUser, Grant, Id};
use serde::{Deserialize, Deserializer};
use store::authorizations::{Authorization, New, Token};
use vocabulary::{AuthorizationId, OAuthClientId, Secret, Timestamp};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::scope;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::{oauth_clients, oauth_tokens};
use crate::setup::new_token;

const SORTS: &[Sort<Authorization>] = &[("id", |entry| Key::text(&entry.id))];
/// The longest a token that ends may live, in seconds: ten years.
const LONGEST_SECONDS: i64 = 10 * 366 * 24 * 3600;
/// The longest description in characters.
const LONGEST_DESCRIPTION: usize = 255;

/// The most authorizations of one account.
const MOST: i64 = 1000;

/// What `POST /oauth/authorizations` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    client: Option<ClientIdentity>,
    description: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<i64>,
    scope: Option<Vec<String>>,
}

/// A client by its id: the schema says a text, Heroku's own login page sends an object.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ClientIdentity {
    Text(String),
    Object { id: String },
}

/// What `PATCH` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    client: Option<ClientProof>,
    description: Option<String>,
}

/// A client with what proves that the caller speaks for it.
#[derive(Debug, Deserialize)]
struct ClientProof {
    id: String,
    secret: Secret,
}

/// The tokens of an authorization that are at hand because they were just made, or just told.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The access token.
    pub(crate) access: Option<&'a Secret>,
    /// The refresh token.
    pub(crate) refresh: Option<&'a Secret>,
}

/// `POST /oauth/authorizations`: a token for the caller, or, with a client, a grant for it.
pub(crate) async fn create(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Authorization>)> {
    let scope = body.scope.unwrap_or_else(|| vec!["global".to_owned()]);
    scope::known(&scope)?;
    let description = described(body.description)?;
    if store::authorizations::count_living(&state.store, caller.account.id).await? >= MOST {
        return Err(Error::invalid(format!("An account has at most {MOST} authorizations. Revoke some first.")));
    }
    if let Some(ClientIdentity::Text(client) | ClientIdentity::Object { id: client }) = body.client {
        let client = oauth_clients::anyones(&state, &client).await?;
        let description = description.unwrap_or_else(|| client.name.clone());
        let (made, grant) = granted(&state, &caller, client.id, &description, &scope, None).await?;
        let shown = schema::Authorization { grant: Some(grant), ..shape(&made, &caller, Known::default()) };
        return Ok((StatusCode::CREATED, Json(shown)));
    }
    let description = description.unwrap_or_else(|| "Long-lived user authorization".to_owned());
    let token = new_token();
    let new = New {
        account_id: caller.account.id,
        token: &token,
        description: &description,
        scope: &scope,
        is_default: false,
        expires_at: expiry(body.expires_in)?,
    };
    let mut write = state.store.write().await?;
    let made = store::authorizations::create(&mut write, &new).await?;
    if caller.authorization.is_none() {
        store::accounts::logged_in(&mut write, caller.account.id).await?;
    }
    write.commit().await?;
    let known = Known { access: Some(&token), refresh: None };
    Ok((StatusCode::CREATED, Json(shape(&made, &caller, known))))
}

/// Lets a client have what is in `scope`, for the code in the grant.
pub(crate) async fn granted(
    state: &ApiState,
    caller: &Caller,
    client: OAuthClientId,
    description: &str,
    scope: &[String],
    challenge: Option<&str>,
) -> Result<(Authorization, Grant)> {
    let (account, code) = (caller.account.id, new_token());
    let ends = oauth_tokens::in_seconds(oauth_tokens::GRANT_SECONDS);
    let mut write = state.store.write().await?;
    let made = store::authorizations::create_for_client(&mut write, account, client, description, scope).await?;
    let grant = store::grants::create(&mut write, made.id, &code, challenge, ends).await?;
    write.commit().await?;
    let expires_in = oauth_tokens::GRANT_SECONDS;
    Ok((made, Grant { id: grant.id.uuid(), code: code.reveal().to_owned(), expires_in }))
}

/// `GET /oauth/authorizations`
pub(crate) async fn list(caller: Permitted<ManageAccount>, State(state): State<Shared>, range: Range) -> Result {
    let entries = of_caller(&state, &caller).await?;
    list::answer(&range, entries, SORTS, |entry| shape(entry, &caller, Known::default()))
}

/// `GET /oauth/authorizations/{authorization}`; `~` is the account's own API key.
pub(crate) async fn info(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Authorization>> {
    let found = find(&state, &caller, &identity).await?;
    Ok(Json(shape(&found, &caller, Known::default())))
}

/// `PATCH /oauth/authorizations/{authorization}`
pub(crate) async fn update(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
    Body(body): Body<Update>,
) -> Result<Json<schema::Authorization>> {
    let found = find(&state, &caller, &identity).await?;
    let client = match body.client {
        None => None,
        Some(proof) => {
            let client = oauth_clients::anyones(&state, &proof.id).await?;
            oauth_tokens::proved(&client, &proof.secret)?;
            Some(client.id)
        }
    };
    let description = described(body.description)?;
    let mut write = state.store.write().await?;
    if let Some(client) = client {
        store::authorizations::set_client(&mut write, found.id, client).await?;
    }
    if let Some(description) = description {
        store::authorizations::set_description(&mut write, found.id, &description).await?;
    }
    let updated = store::authorizations::get(&mut write, found.id).await?;
    write.commit().await?;
    let updated = updated.ok_or_else(|| Error::not_found("authorization"))?;
    Ok(Json(shape(&updated, &caller, Known::default())))
}

/// `POST /oauth/authorizations/{authorization}/actions/regenerate-tokens`: new tokens that end when the old ones would
/// have, and a client's as after a refresh; the old ones are worthless when this has answered.
pub(crate) async fn regenerate(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Authorization>> {
    let found = find(&state, &caller, &identity).await?;
    let (access, refresh) = (new_token(), found.refresh_token.is_some().then(new_token));
    let client_ends = oauth_tokens::in_seconds(oauth_tokens::ACCESS_SECONDS);
    let ends = if refresh.is_some() { Some(client_ends) } else { found.expires_at };
    let mut write = state.store.write().await?;
    if let Some(refresh) = &refresh {
        store::authorizations::set_refresh_token(&mut write, found.id, refresh).await?;
    }
    let made = store::authorizations::set_token(&mut write, found.id, &access, ends).await?;
    write.commit().await?;
    let known = Known { access: Some(&access), refresh: refresh.as_ref() };
    Ok(Json(shape(&made, &caller, known)))
}

/// `DELETE /oauth/authorizations/{authorization}`; its tokens are worthless when this has answered.
pub(crate) async fn delete(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Authorization>> {
    let found = find(&state, &caller, &identity).await?;
    let mut write = state.store.write().await?;
    store::authorizations::delete(&mut write, found.id).await?;
    write.commit().await?;
    Ok(Json(shape(&found, &caller, Known::default())))
}

/// The caller's authorizations. Those of sessions are not among them, as at Heroku: they come and go with their
/// session.
pub(crate) async fn of_caller(state: &ApiState, caller: &Caller) -> Result<Vec<Authorization>> {
    let mut own = store::authorizations::list(&state.store, caller.account.id).await?;
    own.retain(|entry| entry.session_id.is_none());
    Ok(own)
}

async fn find(state: &ApiState, caller: &Caller, identity: &str) -> Result<Authorization> {
    let id = identity.parse::<AuthorizationId>().ok();
    let own = of_caller(state, caller).await?;
    let found = own.into_iter().find(|entry| if identity == "~" { entry.is_default } else { Some(entry.id) == id });
    found.ok_or_else(|| Error::not_found("authorization"))
}

fn described(description: Option<String>) -> Result<Option<String>> {
    match description {
        Some(text) if text.chars().count() > LONGEST_DESCRIPTION => {
            Err(Error::invalid(format!("A description has at most {LONGEST_DESCRIPTION} characters.")))
        }
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

fn expiry(seconds: Option<i64>) -> Result<Option<Timestamp>> {
    match seconds {
        None => Ok(None),
        Some(seconds) if (1..=LONGEST_SECONDS).contains(&seconds) => Ok(Some(oauth_tokens::in_seconds(seconds))),
        Some(_) => Err(Error::invalid("expires_in is a number of seconds, from 1 to ten years of them.")),
    }
}

/// A number of seconds, or, as `heroku authorizations:create` sends it, a text with one.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(i64),
        Text(String),
    }
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Seconds::Number(seconds)) => Ok(Some(seconds)),
        Some(Seconds::Text(text)) => text.trim().parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// How the API shows one.
pub(crate) fn shape(entry: &Authorization, caller: &Caller, known: Known<'_>) -> schema::Authorization {
    let account = &caller.account;
    schema::Authorization {
        id: entry.id.uuid(),
        description: entry.description.clone(),
        scope: entry.scope.clone(),
        access_token: entry.token.as_ref().map(|token| shown(token, known.access, entry.expires_at)),
        client: entry.client.as_ref().map(|client| AuthorizationClient {
            id: client.id.uuid(),
            name: client.name.clone(),
            redirect_uri: client.redirect_uri.clone(),
        }),
        grant: None,
        refresh_token: entry.refresh_token.as_ref().map(|token| shown(token, known.refresh, None)),
        session: entry.session_id.map(|id| Id { id: id.uuid() }),
        user: AuthorizationUser {
            id: account.id.uuid(),
            email: account.email.clone(),
            full_name: account.name.clone(),
        },
        created_at: entry.created_at.into(),
        updated_at: entry.updated_at.into(),
    }
}

/// A token, redacted if it is not at hand.
pub(crate) fn shown(token: &Token, known: Option<&Secret>, ends: Option<Timestamp>) -> AccessToken {
    let left = ends.map(|end| (end.micros() - Timestamp::now().micros()).max(0) / 1_000_000);
    let text = known.map_or_else(|| token.hint.clone(), |known| known.reveal().to_owned());
    AccessToken { id: token.id.uuid(), token: text, expires_in: left }
}
