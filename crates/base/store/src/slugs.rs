//! Slugs: what a build made, ready to run.

use vocabulary::{AppId, Digest, ProcessTypes, SlugId, Stack, Timestamp};

use crate::row::{json, parsed, time, time_option, to_json};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A slug.
#[derive(Debug, Clone)]
pub struct Slug {
    /// Its id.
    pub id: SlugId,
    /// Of which app.
    pub app_id: AppId,
    /// The stack it runs on.
    pub stack: Stack,
    /// The commit it was built from.
    pub commit: Option<String>,
    /// What the caller said of the commit.
    pub commit_description: Option<String>,
    /// What the buildpack calls the app: `Node.js`.
    pub buildpack_provided_description: Option<String>,
    /// The commands.
    pub process_types: ProcessTypes,
    /// Layers, bottom to top: runtimes, then the app.
    pub layers: Vec<Digest>,
    /// Bytes of the app's own blob.
    pub size: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

fn slug(row: &Row) -> Result<Slug, Error> {
    Ok(Slug {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        stack: parsed(row, "stack")?,
        commit: row.try_get("commit_sha")?,
        commit_description: row.try_get("commit_description")?,
        buildpack_provided_description: row.try_get("buildpack_provided_description")?,
        process_types: json(row, "process_types")?,
        layers: json(row, "layers")?,
        size: row.try_get("size")?,
        created_at: time(row, "created_at")?,
    })
}

/// Records a slug as it is given.
pub async fn create(write: &mut Write, slug: &Slug) -> Result<(), Error> {
    sql::query(
        "INSERT INTO slugs (id, app_id, stack, commit_sha, commit_description, buildpack_provided_description, \
         process_types, layers, size, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(slug.id.to_string())
    .bind(slug.app_id.to_string())
    .bind(slug.stack.name())
    .bind(&slug.commit)
    .bind(&slug.commit_description)
    .bind(&slug.buildpack_provided_description)
    .bind(to_json(&slug.process_types, "process_types")?)
    .bind(to_json(&slug.layers, "layers")?)
    .bind(slug.size)
    .bind(slug.created_at.micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}

/// The slug with this id.
pub async fn get(store: &Store, id: SlugId) -> Result<Option<Slug>, Error> {
    let row = sql::query("SELECT * FROM slugs WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(slug).transpose()
}

/// Since when a slug is deleted; nothing if it is not, or there is none.
pub async fn deleted_at(store: &Store, id: SlugId) -> Result<Option<Timestamp>, Error> {
    let row = sql::query("SELECT deleted_at FROM slugs WHERE id = $1").bind(id.to_string());
    let row = row.fetch_optional(&store.readers).await?;
    Ok(row.as_ref().map(|row| time_option(row, "deleted_at")).transpose()?.flatten())
}

/// Whether a slug is there and not deleted, as the write under way sees it.
pub async fn is_kept_in(write: &mut Write, id: SlugId) -> Result<bool, Error> {
    let row = sql::query("SELECT 1 FROM slugs WHERE id = $1 AND deleted_at IS NULL").bind(id.to_string());
    Ok(row.fetch_optional(&mut *write.transaction).await?.is_some())
}

/// Marks a slug as deleted: its layers are no longer kept for it. The row stays for as long as the app.
pub async fn delete(write: &mut Write, id: SlugId) -> Result<(), Error> {
    let statement = sql::query("UPDATE slugs SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL")
        .bind(id.to_string())
        .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// The layers of every slug that is not deleted.
pub async fn kept_layers(store: &Store) -> Result<Vec<(SlugId, Vec<Digest>)>, Error> {
    let rows = sql::query("SELECT id, layers FROM slugs WHERE deleted_at IS NULL").fetch_all(&store.readers).await?;
    rows.iter().map(|row| Ok((parsed(row, "id")?, json(row, "layers")?))).collect()
}

/// What the current release of every app that runs a slug has for commands.
pub async fn all_current_process_types(store: &Store) -> Result<Vec<(AppId, ProcessTypes)>, Error> {
    let rows = sql::query(
        "SELECT releases.app_id, slugs.process_types FROM releases JOIN slugs ON slugs.id = releases.slug_id \
         WHERE status = 'succeeded' AND version = (SELECT max(version) FROM releases AS other \
         WHERE other.app_id = releases.app_id AND other.status = 'succeeded')",
    );
    let rows = rows.fetch_all(&store.readers).await?;
    rows.iter().map(|row| Ok((parsed(row, "app_id")?, json(row, "process_types")?))).collect()
}
