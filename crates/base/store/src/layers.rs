//! Layers with their blobs, the runtimes made of them, and each app's build cache.
//!
//! A layer is referred to by slugs that are not deleted, by build caches and by runtimes. [`drop_unreferenced`] is the
//! one that deletes a row.

use std::collections::{BTreeSet, HashSet};

use vocabulary::{AppId, Digest, Stack, Timestamp};

use crate::row::{json, parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// Which runtime: a program of an exact version, from a source that serves every stack, or a stack's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeKey<'a> {
    /// `node`, `python`, …
    pub name: &'a str,
    /// Exact.
    pub version: &'a str,
    /// The stack's image it was made of (`engine::InstalledStack::image`), on which alone it runs; None: any.
    pub stack_image: Option<&'a Digest>,
}

impl RuntimeKey<'_> {
    fn image(&self) -> &str {
        self.stack_image.map_or("", Digest::as_str)
    }
}

/// A layer's durable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// SHA-256 of the normalised tar.
    pub digest: Digest,
    /// Digest of the blob (tar.zst).
    pub blob: Digest,
    /// Bytes of the blob.
    pub blob_bytes: i64,
    /// Bytes of the tar.
    pub tar_bytes: i64,
}

/// Records a layer; one that is recorded stays as it is.
pub async fn create(write: &mut Write, layer: &Layer) -> Result<(), Error> {
    sql::query(
        "INSERT INTO layers (digest, blob, blob_bytes, tar_bytes, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(layer.digest.as_str())
    .bind(layer.blob.as_str())
    .bind(layer.blob_bytes)
    .bind(layer.tar_bytes)
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}

/// The layer with this digest.
pub async fn get(store: &Store, digest: &Digest) -> Result<Option<Layer>, Error> {
    let row = sql::query("SELECT * FROM layers WHERE digest = $1").bind(digest.as_str());
    row.fetch_optional(&store.readers).await?.as_ref().map(layer).transpose()
}

fn layer(row: &Row) -> Result<Layer, Error> {
    Ok(Layer {
        digest: parsed(row, "digest")?,
        blob: parsed(row, "blob")?,
        blob_bytes: row.try_get("blob_bytes")?,
        tar_bytes: row.try_get("tar_bytes")?,
    })
}

/// The blobs of all layers.
pub async fn blobs(store: &Store) -> Result<HashSet<Digest>, Error> {
    let rows = sql::query("SELECT blob FROM layers").fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "blob")).collect()
}

/// The layers of all runtimes and build caches.
pub async fn of_runtimes_and_caches(store: &Store) -> Result<HashSet<Digest>, Error> {
    let rows = sql::query("SELECT layer FROM runtimes UNION SELECT layer FROM build_caches");
    rows.fetch_all(&store.readers).await?.iter().map(|row| parsed(row, "layer")).collect()
}

/// Forgets the layers that nothing refers to, but those in `spare`; answers them. Their blobs are the caller's to
/// delete, once this is committed.
pub async fn drop_unreferenced(write: &mut Write, spare: &BTreeSet<Digest>) -> Result<Vec<Layer>, Error> {
    let rows = sql::query(
        "SELECT * FROM layers WHERE digest NOT IN (SELECT layer FROM build_caches) \
         AND digest NOT IN (SELECT layer FROM runtimes)",
    );
    let rows = rows.fetch_all(&mut *write.transaction).await?;
    let mut layers: Vec<Layer> = rows.iter().map(layer).collect::<Result<_, _>>()?;
    let kept = of_kept_slugs(write).await?;
    layers.retain(|layer| !spare.contains(&layer.digest) && !kept.contains(&layer.digest));
    for layer in &layers {
        let statement = sql::query("DELETE FROM layers WHERE digest = $1").bind(layer.digest.as_str());
        statement.execute(&mut *write.transaction).await?;
    }
    Ok(layers)
}

/// The layer of a runtime, and when it was last said to be in use.
pub async fn runtime(store: &Store, key: &RuntimeKey<'_>) -> Result<Option<(Digest, Timestamp)>, Error> {
    let row = sql::query("SELECT layer, used_at FROM runtimes WHERE name = $1 AND version = $2 AND stack_image = $3")
        .bind(key.name)
        .bind(key.version)
        .bind(key.image());
    let row = row.fetch_optional(&store.readers).await?;
    row.as_ref().map(|row| Ok((parsed(row, "layer")?, time(row, "used_at")?))).transpose()
}

/// The version of the runtime of this name that was made of a stack's image.
pub async fn version_of_image(store: &Store, name: &str, image: &Digest) -> Result<Option<String>, Error> {
    let row = sql::query("SELECT version FROM runtimes WHERE name = $1 AND stack_image = $2 ORDER BY version LIMIT 1")
        .bind(name)
        .bind(image.as_str());
    Ok(row.fetch_optional(&store.readers).await?.as_ref().map(|row| row.try_get("version")).transpose()?)
}

/// Says that a runtime is in use. Answers its layer, if there is one.
pub async fn use_runtime(write: &mut Write, key: &RuntimeKey<'_>) -> Result<Option<Digest>, Error> {
    let row = sql::query(
        "UPDATE runtimes SET used_at = $4 WHERE name = $1 AND version = $2 AND stack_image = $3 RETURNING layer",
    )
    .bind(key.name)
    .bind(key.version)
    .bind(key.image())
    .bind(Timestamp::now().micros());
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(|row| parsed(row, "layer")).transpose()
}

/// Forgets the runtimes that are this layer: its bytes are lost, and they are to be made again.
pub async fn forget_runtime(write: &mut Write, layer: &Digest) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM runtimes WHERE layer = $1").bind(layer.as_str());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Forgets the runtimes that no slug has and that were not in use since `since`. Answers how many.
pub async fn drop_unused_runtimes(write: &mut Write, since: Timestamp) -> Result<u64, Error> {
    let rows = sql::query("SELECT DISTINCT layer FROM runtimes WHERE used_at < $1").bind(since.micros());
    let rows = rows.fetch_all(&mut *write.transaction).await?;
    let mut layers: HashSet<Digest> = rows.iter().map(|row| parsed(row, "layer")).collect::<Result<_, _>>()?;
    let kept = of_kept_slugs(write).await?;
    layers.retain(|layer| !kept.contains(layer));
    let mut dropped = 0;
    for layer in &layers {
        let statement = sql::query("DELETE FROM runtimes WHERE used_at < $1 AND layer = $2").bind(since.micros());
        dropped += statement.bind(layer.as_str()).execute(&mut *write.transaction).await?.rows_affected();
    }
    Ok(dropped)
}

/// The layers of every slug that is kept. The two databases read a JSON list in ways of their own, so that it is read
/// here.
async fn of_kept_slugs(write: &mut Write) -> Result<HashSet<Digest>, Error> {
    let rows = sql::query("SELECT layers FROM slugs WHERE deleted_at IS NULL");
    let rows = rows.fetch_all(&mut *write.transaction).await?;
    let lists: Vec<Vec<Digest>> = rows.iter().map(|row| json(row, "layers")).collect::<Result<_, _>>()?;
    Ok(lists.into_iter().flatten().collect())
}

/// Records the layer of a runtime.
pub async fn set_runtime(write: &mut Write, key: &RuntimeKey<'_>, layer: &Digest) -> Result<(), Error> {
    sql::query(
        "INSERT INTO runtimes (name, version, stack_image, layer, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $5) \
         ON CONFLICT (name, version, stack_image) DO UPDATE SET layer = excluded.layer, used_at = excluded.used_at",
    )
    .bind(key.name)
    .bind(key.version)
    .bind(key.image())
    .bind(layer.as_str())
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}

/// The runtimes among some layers that run on a stack's image: name, exact version and whether they are the image's own,
/// in the layers' order.
pub async fn runtimes_among(
    store: &Store,
    layers: &[Digest],
    image: &Digest,
) -> Result<Vec<(String, String, bool)>, Error> {
    let mut found = Vec::new();
    for layer in layers {
        let row = sql::query(
            "SELECT name, version, stack_image FROM runtimes WHERE layer = $1 AND stack_image IN ('', $2) \
             ORDER BY stack_image LIMIT 1",
        );
        let row = row.bind(layer.as_str()).bind(image.as_str());
        if let Some(row) = row.fetch_optional(&store.readers).await? {
            let of_the_image = !row.try_get::<String>("stack_image")?.is_empty();
            found.push((row.try_get("name")?, row.try_get("version")?, of_the_image));
        }
    }
    Ok(found)
}

/// The build cache of an app on a stack.
pub async fn build_cache(store: &Store, app: AppId, stack: Stack) -> Result<Option<Digest>, Error> {
    let row = sql::query("SELECT layer FROM build_caches WHERE app_id = $1 AND stack = $2")
        .bind(app.to_string())
        .bind(stack.name());
    row.fetch_optional(&store.readers).await?.as_ref().map(|row| parsed(row, "layer")).transpose()
}

/// Replaces the build cache of an app on a stack.
pub async fn set_build_cache(write: &mut Write, app: AppId, stack: Stack, layer: &Digest) -> Result<(), Error> {
    sql::query(
        "INSERT INTO build_caches (app_id, stack, layer) VALUES ($1, $2, $3) \
         ON CONFLICT (app_id, stack) DO UPDATE SET layer = excluded.layer",
    )
    .bind(app.to_string())
    .bind(stack.name())
    .bind(layer.as_str())
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}

/// Forgets the build caches of an app.
pub async fn purge_build_cache(write: &mut Write, app: AppId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM build_caches WHERE app_id = $1").bind(app.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
