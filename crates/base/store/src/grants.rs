//! Grants: codes that a client exchanges, once, for the tokens of an authorization.

use vocabulary::{AuthorizationId, GrantId, Secret, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Write, hash};

/// A grant.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// What it is exchanged for.
    pub authorization_id: AuthorizationId,
    /// What the exchange must be proved with (RFC 7636, S256), if anything.
    pub challenge: Option<String>,
    /// Whether it was exchanged already: a second time is theft.
    pub used: bool,
    /// When it ends.
    pub expires_at: Timestamp,
}

fn grant(row: &Row) -> Result<Grant, Error> {
    Ok(Grant {
        id: parsed(row, "id")?,
        authorization_id: parsed(row, "authorization_id")?,
        challenge: row.try_get("challenge")?,
        used: row.try_get("used")?,
        expires_at: time(row, "expires_at")?,
    })
}

/// Makes a grant; forgets those that ended, and, with them, the authorizations that were never taken.
pub async fn create(
    write: &mut Write,
    authorization: AuthorizationId,
    code: &Secret,
    challenge: Option<&str>,
    expires_at: Timestamp,
) -> Result<Grant, Error> {
    let now = Timestamp::now().micros();
    for statement in [
        "DELETE FROM authorizations WHERE token_id IS NULL AND id IN \
         (SELECT authorization_id FROM grants WHERE expires_at <= $1 AND used = 0)",
        "DELETE FROM grants WHERE expires_at <= $1 AND used = 0",
    ] {
        sql::query(statement).bind(now).execute(&mut *write.transaction).await?;
    }
    let row = sql::query(
        "INSERT INTO grants (id, authorization_id, code_hash, challenge, expires_at) VALUES ($1, $2, $3, $4, $5) \
         RETURNING *",
    )
    .bind(GrantId::new().to_string())
    .bind(authorization.to_string())
    .bind(hash::of(code))
    .bind(challenge)
    .bind(expires_at.micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    grant(&row)
}

/// The grant of a code, used or not, in time or not.
pub async fn by_code(write: &mut Write, code: &Secret) -> Result<Option<Grant>, Error> {
    let row = sql::query("SELECT * FROM grants WHERE code_hash = $1").bind(hash::of(code));
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(grant).transpose()
}

/// Marks a grant as exchanged.
pub async fn mark_used(write: &mut Write, id: GrantId) -> Result<(), Error> {
    let statement = sql::query("UPDATE grants SET used = 1 WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
