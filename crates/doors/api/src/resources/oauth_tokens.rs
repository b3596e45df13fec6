//! `/oauth/tokens` and `/oauth/token`: where a client exchanges a grant, or a refresh token, for an access token.
//!
//! Who calls is proved by the client's secret alone, as at Heroku; which client that is, the grant or refresh token
//! says. There is one access token for each authorization: a refresh replaces it.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use schema::{Empty, GrantType, Id, OAuthToken};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::time::Instant;
use store::authorizations::Authorization;
use store::oauth_clients::Client;
use store::{Store, Write};
use vocabulary::{Secret, Timestamp};

use access::action::ManageAccount;

use crate::http::body::Body;
use crate::http::client::ClientAddress;
use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::authorizations::{self, shown};
use crate::setup::new_token;

/// How long a grant is good for (Heroku's Add-on Partner API: five minutes).
pub(crate) const GRANT_SECONDS: i64 = 300;
/// How long a client's access token is good for: eight hours (Heroku Dev Center, "OAuth": 28,799 s).
pub(crate) const ACCESS_SECONDS: i64 = 28_799;

/// What `POST /oauth/tokens` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    client: Option<SecretPart>,
    grant: Option<GrantPart>,
    refresh_token: Option<TokenPart>,
}

#[derive(Debug, Deserialize)]
struct SecretPart {
    secret: Secret,
}

#[derive(Debug, Deserialize)]
struct GrantPart {
    code: Option<Secret>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TokenPart {
    token: Secret,
}

/// What is exchanged.
#[derive(Debug)]
pub(crate) enum Given {
    /// A code, with what proves that it was asked for by whoever exchanges it (RFC 7636).
    Code {
        /// The code.
        code: Secret,
        /// The proof, if one was announced.
        verifier: Option<Secret>,
    },
    /// A refresh token.
    Refresh(Secret),
}

/// What a client gets.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// The authorization with its new access token.
    pub(crate) authorization: Authorization,
    /// That token.
    pub(crate) access: Secret,
    /// The refresh token.
    pub(crate) refresh: Secret,
}

/// `POST /oauth/tokens`
pub(crate) async fn create(
    State(state): State<Shared>,
    from: ClientAddress,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<OAuthToken>)> {
    let secret = body.client.map_or_else(|| Secret::new(""), |client| client.secret);
    let kind = body.grant.as_ref().and_then(|grant| grant.kind.clone());
    let code = body.grant.and_then(|grant| grant.code);
    let (given, kind) = match (kind.as_deref(), code, body.refresh_token) {
        (Some("authorization_code") | None, Some(code), _) => {
            (Given::Code { code, verifier: None }, "authorization_code")
        }
        (Some("refresh_token") | None, _, Some(refresh)) => (Given::Refresh(refresh.token), "refresh_token"),
        _ => return Err(Error::invalid("Give a grant of type authorization_code, or a refresh_token.")),
    };
    let tokens = exchange(&state, &from, &secret, given).await?;
    Ok((StatusCode::CREATED, Json(shape(&tokens.authorization, Some((&tokens.access, &tokens.refresh)), kind)?)))
}

/// `DELETE /oauth/tokens/{token}`, by its id: a client's access token is worthless when this has answered; what it was
/// refreshed with is not.
pub(crate) async fn delete(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<OAuthToken>> {
    let own = authorizations::of_caller(&state, &caller).await?;
    let mut own = own.into_iter().filter(|entry| entry.refresh_token.is_some());
    let found = own.find(|entry| entry.token.as_ref().is_some_and(|token| token.id.to_string() == identity));
    let found = found.ok_or_else(|| Error::not_found("token"))?;
    let mut write = state.store.write().await?;
    store::authorizations::forget_token(&mut write, found.id).await?;
    write.commit().await?;
    Ok(Json(shape(&found, None, "authorization_code")?))
}

/// Exchanges what was given for new tokens, if it is good and the secret is that of its client.
pub(crate) async fn exchange(state: &ApiState, from: &ClientAddress, secret: &Secret, given: Given) -> Result<Tokens> {
    if state.strangers.take(from.clone(), Instant::now()).is_none() {
        return Err(Error::rate_limit());
    }
    let mut write = state.store.write().await?;
    let (authorization, refresh) = match given {
        Given::Code { code, verifier } => (by_code(&mut write, &code, verifier.as_ref()).await, None),
        Given::Refresh(token) => (by_refresh(&mut write, &token).await, Some(token)),
    };
    let authorization = match authorization {
        Ok(authorization) => authorization,
        // What was revoked on the way stays revoked.
        Err(error) => return write.commit().await.map_err(Error::from).and(Err(error)),
    };
    proved(&client_of(&state.store, &authorization).await?, secret)?;
    let (access, new_refresh) = (new_token(), refresh.is_none().then(new_token));
    if let Some(refresh) = &new_refresh {
        store::authorizations::set_refresh_token(&mut write, authorization.id, refresh).await?;
    }
    let ends = Some(in_seconds(ACCESS_SECONDS));
    let authorization = store::authorizations::set_token(&mut write, authorization.id, &access, ends).await?;
    write.commit().await?;
    let refresh = new_refresh.or(refresh).ok_or_else(Error::broken)?;
    Ok(Tokens { authorization, access, refresh })
}

/// The authorization of a code. A code that comes a second time was stolen, by its first or its second user: whatever
/// it was exchanged for is revoked (RFC 6749, 4.1.2).
async fn by_code(write: &mut Write, code: &Secret, verifier: Option<&Secret>) -> Result<Authorization> {
    let refused = || Error::unauthorized("The grant's code is unknown, used or has ended.");
    let grant = store::grants::by_code(write, code).await?.ok_or_else(refused)?;
    if grant.used {
        store::authorizations::delete(write, grant.authorization_id).await?;
        return Err(refused());
    }
    let proved = match &grant.challenge {
        // A verifier for a code without a challenge: somebody took the challenge away (RFC 9700, 2.1.1).
        None => verifier.is_none(),
        Some(challenge) => verifier.is_some_and(|verifier| challenge_of(verifier) == *challenge),
    };
    if grant.expires_at <= Timestamp::now() || !proved {
        return Err(refused());
    }
    store::grants::mark_used(write, grant.id).await?;
    store::authorizations::get(write, grant.authorization_id).await?.ok_or_else(refused)
}

async fn by_refresh(write: &mut Write, token: &Secret) -> Result<Authorization> {
    let found = store::authorizations::by_refresh_token(write, token).await?;
    found.ok_or_else(|| Error::unauthorized("The refresh token is unknown or was revoked."))
}

/// `S256` of RFC 7636.
fn challenge_of(verifier: &Secret) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.reveal().as_bytes()))
}

async fn client_of(store: &Store, authorization: &Authorization) -> Result<Client> {
    let missing = || Error::unauthorized("This belongs to no client.");
    let client = authorization.client.as_ref().ok_or_else(missing)?;
    store::oauth_clients::get(store, client.id).await?.ok_or_else(missing)
}

/// Whether this is the client's secret. Hashes are compared: how long that takes tells nothing of the secret.
pub(crate) fn proved(client: &Client, secret: &Secret) -> Result<()> {
    let same = Sha256::digest(client.secret.reveal()) == Sha256::digest(secret.reveal());
    if same { Ok(()) } else { Err(Error::unauthorized("That is not the client's secret.")) }
}

/// The moment so many seconds from now.
pub(crate) fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(Timestamp::now().micros() + seconds * 1_000_000)
}

/// How the API shows a client's tokens; they are redacted unless they are `known`.
fn shape(entry: &Authorization, known: Option<(&Secret, &Secret)>, kind: &'static str) -> Result<OAuthToken> {
    let (Some(access), Some(refresh)) = (&entry.token, &entry.refresh_token) else { return Err(Error::broken()) };
    Ok(OAuthToken {
        id: access.id.uuid(),
        access_token: shown(access, known.map(|known| known.0), entry.expires_at),
        authorization: Id { id: entry.id.uuid() },
        client: None,
        grant: GrantType { kind },
        refresh_token: shown(refresh, known.map(|known| known.1), None),
        session: Empty {},
        user: Id { id: entry.account_id.uuid() },
        created_at: entry.created_at.into(),
        updated_at: entry.updated_at.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge_of(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
