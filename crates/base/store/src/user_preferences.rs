//! What users have told pages to remember for them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::row::{json, to_json};
use crate::sql;
use crate::{Error, Store, Write};
use vocabulary::{AccountId, Timestamp};

/// Preferences by name, as the API shows them.
pub type Preferences = BTreeMap<String, Value>;

/// An account's preferences; those never set are not among them.
pub async fn get(store: &Store, account: AccountId) -> Result<Preferences, Error> {
    let row = sql::query("SELECT preferences FROM user_preferences WHERE account_id = $1").bind(account.to_string());
    let row = row.fetch_optional(&store.readers).await?;
    row.as_ref().map_or(Ok(Preferences::new()), |row| json(row, "preferences"))
}

/// As [`get`], as the write under way sees them.
pub async fn get_in(write: &mut Write, account: AccountId) -> Result<Preferences, Error> {
    let row = sql::query("SELECT preferences FROM user_preferences WHERE account_id = $1").bind(account.to_string());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    row.as_ref().map_or(Ok(Preferences::new()), |row| json(row, "preferences"))
}

/// Replaces an account's preferences.
pub async fn set(write: &mut Write, account: AccountId, preferences: &Preferences) -> Result<(), Error> {
    let statement = sql::query(
        "INSERT INTO user_preferences (account_id, preferences, updated_at) VALUES ($1, $2, $3) \
         ON CONFLICT (account_id) DO UPDATE SET preferences = excluded.preferences, updated_at = excluded.updated_at",
    )
    .bind(account.to_string())
    .bind(to_json(preferences, "user_preferences.preferences")?)
    .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
