//! Sessions: browsers that are signed in, and command lines that were let in by one.

use vocabulary::{AccountId, Secret, SessionId, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, hash};

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub account_id: AccountId,
    /// Where from, for its owner to know it again.
    pub description: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
}

fn session(row: &Row) -> Result<Session, Error> {
    Ok(Session {
        id: parsed(row, "id")?,
        account_id: parsed(row, "account_id")?,
        description: row.try_get("description")?,
        expires_at: time(row, "expires_at")?,
        created_at: time(row, "created_at")?,
    })
}

/// Begins a session, a browser's with its cookie; forgets those that ended.
pub async fn create(
    write: &mut Write,
    account: AccountId,
    cookie: Option<&Secret>,
    description: &str,
    expires_at: Timestamp,
) -> Result<Session, Error> {
    let now = Timestamp::now().micros();
    sql::query("DELETE FROM sessions WHERE expires_at <= $1").bind(now).execute(&mut *write.transaction).await?;
    let row = sql::query(
        "INSERT INTO sessions (id, account_id, cookie_hash, description, expires_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
    )
    .bind(SessionId::new().to_string())
    .bind(account.to_string())
    .bind(cookie.map(hash::of))
    .bind(description)
    .bind(expires_at.micros())
    .bind(now)
    .fetch_one(&mut *write.transaction)
    .await?;
    session(&row)
}

/// The session of a browser's cookie, unless it has ended.
pub async fn by_cookie(store: &Store, cookie: &Secret) -> Result<Option<Session>, Error> {
    let row = sql::query(
        "SELECT * FROM sessions WHERE cookie_hash = $1 AND expires_at > $2 AND EXISTS (SELECT 1 FROM accounts \
         WHERE accounts.id = sessions.account_id AND accounts.password_hash <> '')",
    );
    let row = row.bind(hash::of(cookie)).bind(Timestamp::now().micros());
    row.fetch_optional(&store.readers).await?.as_ref().map(session).transpose()
}

/// Whether a session has not ended, as the write sees it.
pub async fn lives(write: &mut Write, id: SessionId) -> Result<bool, Error> {
    let row = sql::query("SELECT id FROM sessions WHERE id = $1 AND expires_at > $2");
    let row = row.bind(id.to_string()).bind(Timestamp::now().micros());
    Ok(row.fetch_optional(&mut *write.transaction).await?.is_some())
}

/// An account's sessions that have not ended, oldest first.
pub async fn list(store: &Store, account: AccountId) -> Result<Vec<Session>, Error> {
    let rows = sql::query("SELECT * FROM sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY id");
    let rows = rows.bind(account.to_string()).bind(Timestamp::now().micros());
    rows.fetch_all(&store.readers).await?.iter().map(session).collect()
}

/// Ends a session, and its tokens with it.
pub async fn delete(write: &mut Write, id: SessionId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM sessions WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Ends every session of an account but one.
pub async fn delete_others(write: &mut Write, account: AccountId, but: Option<SessionId>) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM sessions WHERE account_id = $1 AND id IS DISTINCT FROM $2");
    let statement = statement.bind(account.to_string()).bind(but.map(|id| id.to_string()));
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
