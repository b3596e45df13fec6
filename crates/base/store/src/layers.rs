//! Layers with their blobs, the runtimes made of them, and each app's build cache.

use sqlx::Row;
use vocabulary::{AppId, Digest, Stack, Timestamp};

use crate::row::parsed;
use crate::{Error, Store, Write};

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
    sqlx::query(
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
    let row = sqlx::query("SELECT * FROM layers WHERE digest = $1").bind(digest.as_str());
    let row = row.fetch_optional(&store.readers).await?;
    row.map(|row| {
        Ok(Layer {
            digest: parsed(&row, "digest")?,
            blob: parsed(&row, "blob")?,
            blob_bytes: row.try_get("blob_bytes")?,
            tar_bytes: row.try_get("tar_bytes")?,
        })
    })
    .transpose()
}

/// The layer of a runtime of an exact version.
pub async fn runtime(store: &Store, name: &str, version: &str) -> Result<Option<Digest>, Error> {
    let row = sqlx::query("SELECT layer FROM runtimes WHERE name = $1 AND version = $2").bind(name).bind(version);
    row.fetch_optional(&store.readers).await?.as_ref().map(|row| parsed(row, "layer")).transpose()
}

/// Records the layer of a runtime.
pub async fn set_runtime(write: &mut Write, name: &str, version: &str, layer: &Digest) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO runtimes (name, version, layer, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name, version) DO UPDATE SET layer = excluded.layer",
    )
    .bind(name)
    .bind(version)
    .bind(layer.as_str())
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}

/// The runtimes among some layers: name, exact version and layer, in the layers' order.
pub async fn runtimes_among(store: &Store, layers: &[Digest]) -> Result<Vec<(String, String, Digest)>, Error> {
    let mut found = Vec::new();
    for layer in layers {
        let row = sqlx::query("SELECT name, version FROM runtimes WHERE layer = $1 LIMIT 1").bind(layer.as_str());
        if let Some(row) = row.fetch_optional(&store.readers).await? {
            found.push((row.try_get("name")?, row.try_get("version")?, layer.clone()));
        }
    }
    Ok(found)
}

/// The build cache of an app on a stack.
pub async fn build_cache(store: &Store, app: AppId, stack: Stack) -> Result<Option<Digest>, Error> {
    let row = sqlx::query("SELECT layer FROM build_caches WHERE app_id = $1 AND stack = $2")
        .bind(app.to_string())
        .bind(stack.name());
    row.fetch_optional(&store.readers).await?.as_ref().map(|row| parsed(row, "layer")).transpose()
}

/// Replaces the build cache of an app on a stack.
pub async fn set_build_cache(write: &mut Write, app: AppId, stack: Stack, layer: &Digest) -> Result<(), Error> {
    sqlx::query(
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
    let statement = sqlx::query("DELETE FROM build_caches WHERE app_id = $1").bind(app.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
