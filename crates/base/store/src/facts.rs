//! Numbers that must grow over restarts.

use crate::{Error, Write};

/// The next value of a counter, beginning at 1.
pub async fn next(write: &mut Write, name: &str) -> Result<u64, Error> {
    let value: i64 = sqlx::query_scalar(
        "INSERT INTO facts (name, value) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 \
         RETURNING value",
    )
    .bind(name)
    .fetch_one(&mut *write.transaction)
    .await?;
    u64::try_from(value).map_err(|_| Error::Corrupt("counter"))
}

/// Raises a counter to at least `value`, so that the next one is greater.
pub async fn raise(write: &mut Write, name: &str, value: u64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET \
         value = max(value, excluded.value)",
    )
    .bind(name)
    .bind(i64::try_from(value).map_err(|_| Error::Corrupt("counter"))?)
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}
