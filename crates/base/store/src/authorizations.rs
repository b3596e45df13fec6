//! OAuth authorizations, each the owner of one access token. Of a token only its SHA-256 is kept.

use sha2::{Digest as _, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use vocabulary::{AccountId, AuthorizationId, Digest, Secret, Timestamp};

use crate::row::{json, parsed, time, time_option, to_json};
use crate::{Error, Store, Write};

/// An authorization.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Its id.
    pub id: AuthorizationId,
    /// Whose.
    pub account_id: AccountId,
    /// The access token's own id, which the API shows.
    pub token_id: AuthorizationId,
    /// The token with its middle redacted.
    pub token_hint: String,
    /// What its maker called it.
    pub description: String,
    /// `global`, `read`, …
    pub scope: Vec<String>,
    /// Whether it is the account's own API key, which logging out leaves alone.
    pub is_default: bool,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn authorization(row: &SqliteRow) -> Result<Authorization, Error> {
    Ok(Authorization {
        id: parsed(row, "id")?,
        account_id: parsed(row, "account_id")?,
        token_id: parsed(row, "token_id")?,
        token_hint: row.try_get("token_hint")?,
        description: row.try_get("description")?,
        scope: json(row, "scope")?,
        is_default: row.try_get("is_default")?,
        expires_at: time_option(row, "expires_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn hash(token: &Secret) -> Digest {
    Digest::from_bytes(&Sha256::digest(token.reveal().as_bytes()).into())
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

/// Makes an authorization.
pub async fn create(write: &mut Write, new: &New<'_>) -> Result<Authorization, Error> {
    let token = new.token.reveal();
    let hint: String = match (token.get(..9), token.len().checked_sub(5).and_then(|from| token.get(from..))) {
        (Some(head), Some(tail)) if token.len() >= 32 => format!("{head}**********{tail}"),
        _ => return Err(Error::Corrupt("token")),
    };
    let row = sqlx::query(
        "INSERT INTO authorizations (id, account_id, token_id, token_hash, token_hint, description, scope, is_default, \
         expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) RETURNING *",
    )
    .bind(AuthorizationId::new().to_string())
    .bind(new.account_id.to_string())
    .bind(AuthorizationId::new().to_string())
    .bind(hash(new.token).as_str().to_owned())
    .bind(hint)
    .bind(new.description)
    .bind(to_json(&new.scope, "scope")?)
    .bind(new.is_default)
    .bind(new.expires_at.map(Timestamp::micros))
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    authorization(&row)
}

/// The authorization a token stands for, unless it has expired.
pub async fn by_token(store: &Store, token: &Secret) -> Result<Option<Authorization>, Error> {
    let row =
        sqlx::query("SELECT * FROM authorizations WHERE token_hash = $1 AND (expires_at IS NULL OR expires_at > $2)")
            .bind(hash(token).as_str().to_owned())
            .bind(Timestamp::now().micros());
    row.fetch_optional(&store.readers).await?.as_ref().map(authorization).transpose()
}

/// An account's authorizations, oldest first.
pub async fn list(store: &Store, account: AccountId) -> Result<Vec<Authorization>, Error> {
    let rows = sqlx::query("SELECT * FROM authorizations WHERE account_id = $1 ORDER BY id").bind(account.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(authorization).collect()
}

/// Ends an authorization; its token is worthless from the commit on.
pub async fn delete(write: &mut Write, id: AuthorizationId) -> Result<(), Error> {
    let statement = sqlx::query("DELETE FROM authorizations WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
