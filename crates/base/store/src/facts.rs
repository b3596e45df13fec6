//! Numbers that must grow over restarts.

use crate::sql;
use crate::{Error, Write};

/// The next value of a counter, beginning at 1.
pub async fn next(write: &mut Write, name: &str) -> Result<u64, Error> {
    let value: i64 = sql::query_scalar(
        "INSERT INTO facts (name, value) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET value = facts.value + 1 \
         RETURNING value",
    )
    .bind(name)
    .fetch_one(&mut *write.transaction)
    .await?;
    u64::try_from(value).map_err(|_| Error::Corrupt("counter"))
}

/// Raises a counter to at least `value`, so that the next one is greater.
pub async fn raise(write: &mut Write, name: &str, value: u64) -> Result<(), Error> {
    sql::query(
        "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET \
         value = CASE WHEN excluded.value > facts.value THEN excluded.value ELSE facts.value END",
    )
    .bind(name)
    .bind(i64::try_from(value).map_err(|_| Error::Corrupt("counter"))?)
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}
