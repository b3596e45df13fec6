//! Features of apps that were switched.

use std::collections::BTreeMap;

use vocabulary::{AppFeature, AppId, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// How a feature was switched last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switched {
    /// Whether it is on.
    pub on: bool,
    /// When that was.
    pub at: Timestamp,
}

fn switched(row: &Row) -> Result<Switched, Error> {
    Ok(Switched { on: row.try_get("enabled")?, at: time(row, "updated_at")? })
}

/// The features of an app that were ever switched.
pub async fn of_app(store: &Store, app: AppId) -> Result<BTreeMap<AppFeature, Switched>, Error> {
    let rows = sql::query("SELECT * FROM app_features WHERE app_id = $1").bind(app.to_string());
    let rows = rows.fetch_all(&store.readers).await?;
    rows.iter().map(|row| Ok((parsed(row, "name")?, switched(row)?))).collect()
}

/// Whether a feature of an app is on.
pub async fn is_on(store: &Store, app: AppId, feature: AppFeature) -> Result<bool, Error> {
    let row = sql::query("SELECT * FROM app_features WHERE app_id = $1 AND name = $2");
    let row = row.bind(app.to_string()).bind(feature.as_str()).fetch_optional(&store.readers).await?;
    let switched = row.as_ref().map(switched).transpose()?;
    Ok(switched.map_or(feature.default_on(), |switched| switched.on))
}

/// The apps that have a feature off, or on, where the default is the other.
pub async fn unlike_default(store: &Store, feature: AppFeature) -> Result<Vec<AppId>, Error> {
    let rows = sql::query("SELECT app_id FROM app_features WHERE name = $1 AND enabled = $2");
    let rows = rows.bind(feature.as_str()).bind(!feature.default_on()).fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "app_id")).collect()
}

/// Switches a feature of an app.
pub async fn set(write: &mut Write, app: AppId, feature: AppFeature, on: bool) -> Result<(), Error> {
    let statement = sql::query(
        "INSERT INTO app_features (app_id, name, enabled, updated_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (app_id, name) DO UPDATE SET enabled = excluded.enabled, updated_at = excluded.updated_at",
    )
    .bind(app.to_string())
    .bind(feature.as_str())
    .bind(on)
    .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
