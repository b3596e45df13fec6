//! The ordered list of buildpacks set on an app.

use vocabulary::AppId;

use crate::sql;
use crate::{Error, Store, Write};

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// As the API's `buildpack.url`: `urn:buildpack:heroku/nodejs`, a git address, a tarball's.
    pub url: String,
    /// As the API's `buildpack.name`: `heroku/nodejs`, or the URL again.
    pub name: String,
}

/// The list, in order; empty means that the next build detects.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Installation>, Error> {
    let rows = sql::query("SELECT url, name FROM buildpack_installations WHERE app_id = $1 ORDER BY ordinal")
        .bind(app.to_string())
        .fetch_all(&store.readers)
        .await?;
    rows.iter().map(|row| Ok(Installation { url: row.try_get("url")?, name: row.try_get("name")? })).collect()
}

/// Replaces the list.
pub async fn replace(write: &mut Write, app: AppId, list: &[Installation]) -> Result<(), Error> {
    let clear = sql::query("DELETE FROM buildpack_installations WHERE app_id = $1").bind(app.to_string());
    clear.execute(&mut *write.transaction).await?;
    for (ordinal, entry) in (0_i64..).zip(list) {
        sql::query("INSERT INTO buildpack_installations (app_id, ordinal, url, name) VALUES ($1, $2, $3, $4)")
            .bind(app.to_string())
            .bind(ordinal)
            .bind(&entry.url)
            .bind(&entry.name)
            .execute(&mut *write.transaction)
            .await?;
    }
    Ok(())
}
