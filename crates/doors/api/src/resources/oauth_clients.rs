//! `/oauth/clients`: programs that act for users with their consent.

use access::Caller;
use access::action::ManageAccount;
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use schema::OAuthClient;
use serde::Deserialize;
use store::Write;
use store::oauth_clients::Client;
use url::{Host, Url};
use vocabulary::OAuthClientId;

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::setup::new_token;

const SORTS: &[Sort<Client>] = &[("id", |client| Key::text(&client.id)), ("name", |client| Key::text(&client.name))];
/// The longest name in characters, and the longest address in bytes.
const LONGEST: (usize, usize) = (100, 2000);
/// The most clients of one account.
const MOST: usize = 100;

/// What `POST` and `PATCH` take.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    name: Option<String>,
    redirect_uri: Option<String>,
}

/// `POST /oauth/clients`
pub(crate) async fn create(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Body(body): Body<Wish>,
) -> Result<(StatusCode, Json<OAuthClient>)> {
    let (Some(name), Some(redirect_uri)) = (body.name, body.redirect_uri) else {
        return Err(Error::invalid("A client has a name and a redirect_uri."));
    };
    let (name, redirect_uri) = (named(&name)?, reachable(&redirect_uri)?);
    if store::oauth_clients::list(&state.store, caller.account.id).await?.len() >= MOST {
        return Err(Error::invalid(format!("An account has at most {MOST} clients.")));
    }
    let mut write = state.store.write().await?;
    let client =
        store::oauth_clients::create(&mut write, caller.account.id, &name, &redirect_uri, &new_token()).await?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(shape(&client))))
}

/// `GET /oauth/clients`
pub(crate) async fn list(caller: Permitted<ManageAccount>, State(state): State<Shared>, range: Range) -> Result {
    let clients = store::oauth_clients::list(&state.store, caller.account.id).await?;
    list::answer(&range, clients, SORTS, shape)
}

/// `GET /oauth/clients/{client}`
pub(crate) async fn info(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<OAuthClient>> {
    Ok(Json(shape(&own(&state, &caller, &identity).await?)))
}

/// `PATCH /oauth/clients/{client}`
pub(crate) async fn update(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
    Body(body): Body<Wish>,
) -> Result<Json<OAuthClient>> {
    let id = own(&state, &caller, &identity).await?.id;
    let name = body.name.map(|name| named(&name)).transpose()?;
    let redirect_uri = body.redirect_uri.map(|uri| reachable(&uri)).transpose()?;
    let mut write = state.store.write().await?;
    let client = store::oauth_clients::update(&mut write, id, name.as_deref(), redirect_uri.as_deref()).await?;
    written(write, client).await
}

/// `POST /oauth/clients/{client}/actions/rotate-credentials`: a new secret; the old one is worthless when this has
/// answered. Tokens stay good.
pub(crate) async fn rotate(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<OAuthClient>> {
    let id = own(&state, &caller, &identity).await?.id;
    let mut write = state.store.write().await?;
    let client = store::oauth_clients::set_secret(&mut write, id, &new_token()).await?;
    written(write, client).await
}

/// `DELETE /oauth/clients/{client}`: every token it was given is worthless when this has answered.
pub(crate) async fn delete(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<OAuthClient>> {
    let client = own(&state, &caller, &identity).await?;
    let mut write = state.store.write().await?;
    store::oauth_clients::delete(&mut write, client.id).await?;
    write.commit().await?;
    Ok(Json(shape(&client)))
}

/// A client whoever registered it: anybody may let it act for them.
pub(crate) async fn anyones(state: &ApiState, identity: &str) -> Result<Client> {
    let missing = || Error::not_found("client");
    let id: OAuthClientId = identity.parse().map_err(|_| missing())?;
    store::oauth_clients::get(&state.store, id).await?.ok_or_else(missing)
}

/// Nobody sees another account's client, not even that it exists.
async fn own(state: &ApiState, caller: &Caller, identity: &str) -> Result<Client> {
    let client = anyones(state, identity).await?;
    if client.account_id == caller.account.id { Ok(client) } else { Err(Error::not_found("client")) }
}

async fn written(write: Write, client: Option<Client>) -> Result<Json<OAuthClient>> {
    let client = client.ok_or_else(|| Error::not_found("client"))?;
    write.commit().await?;
    Ok(Json(shape(&client)))
}

fn named(name: &str) -> Result<String> {
    let name = name.trim();
    let sound = !name.is_empty() && name.chars().count() <= LONGEST.0 && !name.chars().any(char::is_control);
    if sound { Ok(name.to_owned()) } else { Err(Error::invalid("A client's name has 1 to 100 characters.")) }
}

/// An address that codes may be sent to: encrypted, or on the machine or network of who tests (as the `heroku` command
/// has it).
fn reachable(text: &str) -> Result<String> {
    let refused = || Error::invalid("redirect_uri is an https:// address, or http:// for a local one.");
    let url = Url::parse(text.trim()).map_err(|_| refused())?;
    let encrypted = url.scheme() == "https" || (url.scheme() == "http" && is_local(&url));
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if encrypted && plain && text.len() <= LONGEST.1 { Ok(text.trim().to_owned()) } else { Err(refused()) }
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => matches!(name.rsplit('.').next(), Some("localhost" | "local")),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn shape(client: &Client) -> OAuthClient {
    OAuthClient {
        id: client.id.uuid(),
        name: client.name.clone(),
        redirect_uri: client.redirect_uri.clone(),
        secret: client.secret.reveal().to_owned(),
        ignores_delinquent: Some(false),
        created_at: client.created_at.into(),
        updated_at: client.updated_at.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sent_to_encrypted_or_local_addresses() {
        for good in [
            "https://a.example/callback?x=1",
            "http://localhost:3000/",
            "http://127.0.0.1/",
            "http://box.local/",
            "http://192.168.0.7/",
            "http://[::1]:80/",
        ] {
            assert!(reachable(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/",
            "ftp://a.example/",
            "javascript:alert(1)",
            "https://user@a.example/",
            "https://a.example/#x",
            "/callback",
            "http://localhost.example/",
        ] {
            assert!(reachable(bad).is_err(), "{bad}");
        }
    }
}
