//! OAuth authorizations. Each owns one access token; one given to a client owns a refresh token as well. Of a token
//! only its SHA-256 is kept.

use vocabulary::{AccountId, AuthorizationId, OAuthClientId, Secret, SessionId, Timestamp, TokenId};

use crate::row::{json, parsed, parsed_option, time, time_option, to_json};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, hash};

/// An authorization.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Its id.
    pub id: AuthorizationId,
    /// Whose.
    pub account_id: AccountId,
    /// The client it was given to, if any.
    pub client: Option<Client>,
    /// The session it ends with, if any.
    pub session_id: Option<SessionId>,
    /// The access token; nothing before a client exchanged its grant.
    pub token: Option<Token>,
    /// The refresh token, if it was given to a client.
    pub refresh_token: Option<Token>,
    /// What its maker called it.
    pub description: String,
    /// `global`, `read`, …
    pub scope: Vec<String>,
    /// Whether it is the account's own API key, which logging out leaves alone.
    pub is_default: bool,
    /// When the access token ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its own id, which the API shows.
    pub id: TokenId,
    /// The token with its middle redacted.
    pub hint: String,
}

/// The client of an authorization, as the API shows it there.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: OAuthClientId,
    /// Its name.
    pub name: String,
    /// Where its users come back to.
    pub redirect_uri: String,
}

/// A selection of authorizations, with their clients.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT authorizations.*, oauth_clients.name AS client_name, oauth_clients.redirect_uri AS ",
            "client_redirect_uri FROM authorizations LEFT JOIN oauth_clients ON oauth_clients.id = client_id ",
            $rest
        )
    };
}

fn authorization(row: &Row) -> Result<Authorization, Error> {
    let client = match parsed_option(row, "client_id")? {
        None => None,
        Some(id) => {
            Some(Client { id, name: row.try_get("client_name")?, redirect_uri: row.try_get("client_redirect_uri")? })
        }
    };
    Ok(Authorization {
        id: parsed(row, "id")?,
        account_id: parsed(row, "account_id")?,
        client,
        session_id: parsed_option(row, "session_id")?,
        token: token(row, "token_id", "token_hint")?,
        refresh_token: token(row, "refresh_id", "refresh_hint")?,
        description: row.try_get("description")?,
        scope: json(row, "scope")?,
        is_default: row.try_get("is_default")?,
        expires_at: time_option(row, "expires_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn token(row: &Row, id: &'static str, hint: &'static str) -> Result<Option<Token>, Error> {
    let id = parsed_option(row, id)?;
    let hint: Option<String> = row.try_get(hint)?;
    Ok(id.zip(hint).map(|(id, hint)| Token { id, hint }))
}

/// First and last characters of a token of at least 32 ASCII characters.
fn hint(token: &Secret) -> Result<String, Error> {
    let token = token.reveal();
    match (token.get(..9), token.len().checked_sub(5).and_then(|from| token.get(from..))) {
        (Some(head), Some(tail)) if token.len() >= 32 => Ok(format!("{head}**********{tail}")),
        _ => Err(Error::Corrupt("token")),
    }
}

/// What to make.
#[derive(Debug)]
pub struct New<'a> {
    /// Whose.
    pub account_id: AccountId,
    /// The token; at least 32 characters, ASCII.
    pub token: &'a Secret,
    /// What it is for.
    pub description: &'a str,
    /// `global`, …
    pub scope: &'a [String],
    /// Whether it is the account's own API key.
    pub is_default: bool,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Makes an authorization; forgets the account's tokens that have ended.
pub async fn create(write: &mut Write, new: &New<'_>) -> Result<Authorization, Error> {
    let now = Timestamp::now().micros();
    sql::query("DELETE FROM authorizations WHERE account_id = $1 AND expires_at <= $2 AND refresh_id IS NULL")
        .bind(new.account_id.to_string())
        .bind(now)
        .execute(&mut *write.transaction)
        .await?;
    let id = AuthorizationId::new();
    sql::query(
        "INSERT INTO authorizations (id, account_id, description, scope, is_default, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(id.to_string())
    .bind(new.account_id.to_string())
    .bind(new.description)
    .bind(to_json(&new.scope, "scope")?)
    .bind(new.is_default)
    .bind(now)
    .execute(&mut *write.transaction)
    .await?;
    set_token(write, id, new.token, new.expires_at).await
}

/// Makes one for a client, which gets its tokens when it exchanges a grant.
pub async fn create_for_client(
    write: &mut Write,
    account: AccountId,
    client: OAuthClientId,
    description: &str,
    scope: &[String],
) -> Result<Authorization, Error> {
    let id = AuthorizationId::new();
    sql::query(
        "INSERT INTO authorizations (id, account_id, client_id, description, scope, is_default, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, 0, $6, $6)",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(client.to_string())
    .bind(description)
    .bind(to_json(&scope, "scope")?)
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    get(write, id).await?.ok_or(Error::Corrupt("authorization"))
}

/// Gives it a new access token; the one it had is worthless from the commit on.
pub async fn set_token(
    write: &mut Write,
    id: AuthorizationId,
    token: &Secret,
    expires_at: Option<Timestamp>,
) -> Result<Authorization, Error> {
    sql::query(
        "UPDATE authorizations SET token_id = $2, token_hash = $3, token_hint = $4, expires_at = $5, updated_at = $6 \
         WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(TokenId::new().to_string())
    .bind(hash::of(token))
    .bind(hint(token)?)
    .bind(expires_at.map(Timestamp::micros))
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    get(write, id).await?.ok_or(Error::Corrupt("authorization"))
}

/// Gives it a new refresh token; the one it had is worthless from the commit on.
pub async fn set_refresh_token(write: &mut Write, id: AuthorizationId, token: &Secret) -> Result<(), Error> {
    sql::query("UPDATE authorizations SET refresh_id = $2, refresh_hash = $3, refresh_hint = $4 WHERE id = $1")
        .bind(id.to_string())
        .bind(TokenId::new().to_string())
        .bind(hash::of(token))
        .bind(hint(token)?)
        .execute(&mut *write.transaction)
        .await?;
    Ok(())
}

/// Lets it end with a session.
pub async fn bind_to_session(write: &mut Write, id: AuthorizationId, session: SessionId) -> Result<(), Error> {
    let statement = sql::query("UPDATE authorizations SET session_id = $2 WHERE id = $1");
    statement.bind(id.to_string()).bind(session.to_string()).execute(&mut *write.transaction).await?;
    Ok(())
}

/// Changes what it is called.
pub async fn set_description(write: &mut Write, id: AuthorizationId, description: &str) -> Result<(), Error> {
    let statement = sql::query("UPDATE authorizations SET description = $2, updated_at = $3 WHERE id = $1");
    let statement = statement.bind(id.to_string()).bind(description).bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Says which client it belongs to.
pub async fn set_client(write: &mut Write, id: AuthorizationId, client: OAuthClientId) -> Result<(), Error> {
    let statement = sql::query("UPDATE authorizations SET client_id = $2, updated_at = $3 WHERE id = $1");
    let statement = statement.bind(id.to_string()).bind(client.to_string()).bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Takes the access token away; what refreshes it stays.
pub async fn forget_token(write: &mut Write, id: AuthorizationId) -> Result<(), Error> {
    let statement = sql::query(
        "UPDATE authorizations SET token_id = NULL, token_hash = NULL, token_hint = NULL, expires_at = NULL, \
         updated_at = $2 WHERE id = $1",
    );
    statement.bind(id.to_string()).bind(Timestamp::now().micros()).execute(&mut *write.transaction).await?;
    Ok(())
}

/// The authorization as the write sees it.
pub async fn get(write: &mut Write, id: AuthorizationId) -> Result<Option<Authorization>, Error> {
    let row = sql::query(select!("WHERE authorizations.id = $1")).bind(id.to_string());
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(authorization).transpose()
}

/// The authorization an access token stands for, unless it has expired or its account was removed.
pub async fn by_token(store: &Store, token: &Secret) -> Result<Option<Authorization>, Error> {
    let row = sql::query(select!(
        "WHERE token_hash = $1 AND (expires_at IS NULL OR expires_at > $2) AND EXISTS (SELECT 1 FROM accounts \
         WHERE accounts.id = authorizations.account_id AND accounts.password_hash <> '')"
    ));
    let row = row.bind(hash::of(token)).bind(Timestamp::now().micros());
    row.fetch_optional(&store.readers).await?.as_ref().map(authorization).transpose()
}

/// Whether an authorization has not ended for good: it has an access token that is good, or may get another one.
pub async fn lives(store: &Store, id: AuthorizationId) -> Result<bool, Error> {
    let row = sql::query(
        "SELECT id FROM authorizations WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2 OR refresh_hash IS NOT \
         NULL)",
    );
    let row = row.bind(id.to_string()).bind(Timestamp::now().micros());
    Ok(row.fetch_optional(&store.readers).await?.is_some())
}

/// The authorization a refresh token stands for, unless its account was removed.
pub async fn by_refresh_token(write: &mut Write, token: &Secret) -> Result<Option<Authorization>, Error> {
    let row = sql::query(select!(
        "WHERE refresh_hash = $1 AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = authorizations.account_id \
         AND accounts.password_hash <> '')"
    ));
    let row = row.bind(hash::of(token));
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(authorization).transpose()
}

/// How many authorizations made by hand an account has that have not ended for good.
pub async fn count_living(store: &Store, account: AccountId) -> Result<i64, Error> {
    let row = sql::query(
        "SELECT COUNT(*) AS n FROM authorizations WHERE account_id = $1 AND session_id IS NULL \
         AND (expires_at IS NULL OR expires_at > $2 OR refresh_hash IS NOT NULL)",
    );
    let row = row.bind(account.to_string()).bind(Timestamp::now().micros());
    Ok(row.fetch_one(&store.readers).await?.try_get("n")?)
}

/// An account's authorizations, oldest first.
pub async fn list(store: &Store, account: AccountId) -> Result<Vec<Authorization>, Error> {
    let rows = sql::query(select!("WHERE authorizations.account_id = $1 ORDER BY authorizations.id"))
        .bind(account.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(authorization).collect()
}

/// Ends an authorization; its tokens are worthless from the commit on.
pub async fn delete(write: &mut Write, id: AuthorizationId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM authorizations WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
