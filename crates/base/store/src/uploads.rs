//! Sources that were uploaded and may be built: which blob is behind an address that was given out.
//!
//! A row is there from the moment an upload is whole until its hour is over, or its account's room is needed for another
//! after a build has it.

use vocabulary::{AccountId, Digest, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The part of its address that is its own.
    pub id: String,
    /// Whose.
    pub account_id: AccountId,
    /// Its bytes.
    pub blob: Digest,
    /// How many.
    pub bytes: i64,
    /// When it was whole.
    pub created_at: Timestamp,
}

/// How much of an account may wait to be built.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Uploads.
    pub uploads: usize,
    /// Bytes of all of them.
    pub bytes: i64,
}

fn upload(row: &Row) -> Result<Upload, Error> {
    Ok(Upload {
        id: row.try_get("id")?,
        account_id: parsed(row, "account_id")?,
        blob: parsed(row, "blob")?,
        bytes: row.try_get("bytes")?,
        created_at: time(row, "created_at")?,
    })
}

/// Records an upload in place of an older one under its id; false, with nothing recorded, if it has no room beside those
/// of its account that no build has yet. Those that a build has make room, the oldest first.
pub async fn place(write: &mut Write, new: &Upload, room: Room) -> Result<bool, Error> {
    let rows = sql::query("SELECT * FROM uploads WHERE account_id = $1 AND id <> $2 ORDER BY used, created_at DESC")
        .bind(new.account_id.to_string())
        .bind(new.id.as_str());
    let rows = rows.fetch_all(&mut *write.transaction).await?;
    let (mut uploads, mut bytes) = (1, new.bytes);
    for row in &rows {
        let old = upload(row)?;
        uploads += 1;
        bytes += old.bytes;
        if uploads <= room.uploads && bytes <= room.bytes {
            continue;
        }
        if row.try_get::<i64>("used")? == 0 {
            return Ok(false);
        }
        delete(write, &old.id).await?;
        (uploads, bytes) = (uploads - 1, bytes - old.bytes);
    }
    delete(write, &new.id).await?;
    let statement = sql::query(
        "INSERT INTO uploads (id, account_id, blob, bytes, used, created_at) VALUES ($1, $2, $3, $4, 0, $5)",
    );
    let statement = statement.bind(new.id.as_str()).bind(new.account_id.to_string()).bind(new.blob.as_str());
    statement.bind(new.bytes).bind(new.created_at.micros()).execute(&mut *write.transaction).await?;
    Ok(true)
}

async fn delete(write: &mut Write, id: &str) -> Result<(), Error> {
    sql::query("DELETE FROM uploads WHERE id = $1").bind(id).execute(&mut *write.transaction).await?;
    Ok(())
}

/// The upload with this id, if it was made after `since`.
pub async fn get(store: &Store, id: &str, since: Timestamp) -> Result<Option<Upload>, Error> {
    let row = sql::query("SELECT * FROM uploads WHERE id = $1 AND created_at > $2").bind(id).bind(since.micros());
    row.fetch_optional(&store.readers).await?.as_ref().map(upload).transpose()
}

/// Says that a build of an account's has this source: its uploads of it are the first to make room. Another's of the same
/// bytes wait on.
pub async fn mark_used(write: &mut Write, account: AccountId, blob: &Digest) -> Result<(), Error> {
    let statement = sql::query("UPDATE uploads SET used = 1 WHERE account_id = $1 AND blob = $2");
    let statement = statement.bind(account.to_string()).bind(blob.as_str());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Forgets the uploads made before `since`; answers how many.
pub async fn forget(write: &mut Write, since: Timestamp) -> Result<u64, Error> {
    let statement = sql::query("DELETE FROM uploads WHERE created_at <= $1").bind(since.micros());
    Ok(statement.execute(&mut *write.transaction).await?.rows_affected())
}

/// The blobs of all uploads.
pub async fn blobs(store: &Store) -> Result<Vec<Digest>, Error> {
    let rows = sql::query("SELECT blob FROM uploads").fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "blob")).collect()
}
