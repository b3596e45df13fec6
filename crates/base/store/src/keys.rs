//! Public keys of users.

use vocabulary::{AccountId, KeyId, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A public key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Whose.
    pub account_id: AccountId,
    /// MD5 of the key, as OpenSSH once wrote it: pairs of hexadecimal digits between colons.
    pub fingerprint: String,
    /// As it was uploaded.
    pub public_key: String,
    /// What follows the key on its line; may be empty.
    pub comment: String,
    /// When it was added.
    pub created_at: Timestamp,
}

fn key(row: &Row) -> Result<Key, Error> {
    Ok(Key {
        id: parsed(row, "id")?,
        account_id: parsed(row, "account_id")?,
        fingerprint: row.try_get("fingerprint")?,
        public_key: row.try_get("public_key")?,
        comment: row.try_get("comment")?,
        created_at: time(row, "created_at")?,
    })
}

/// Adds a key. Fails with [`Error::Taken`] if anybody has it.
pub async fn create(
    write: &mut Write,
    account: AccountId,
    fingerprint: &str,
    public_key: &str,
    comment: &str,
) -> Result<Key, Error> {
    let row = sql::query(
        "INSERT INTO keys (id, account_id, fingerprint, public_key, comment, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
    )
    .bind(KeyId::new().to_string())
    .bind(account.to_string())
    .bind(fingerprint)
    .bind(public_key)
    .bind(comment)
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await
    .map_err(Error::taken("fingerprint"))?;
    key(&row)
}

/// An account's keys, oldest first.
pub async fn list(store: &Store, account: AccountId) -> Result<Vec<Key>, Error> {
    let rows = sql::query("SELECT * FROM keys WHERE account_id = $1 ORDER BY id").bind(account.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(key).collect()
}

/// Removes a key.
pub async fn delete(write: &mut Write, id: KeyId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM keys WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
