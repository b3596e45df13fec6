//! Layers: recording what was packed, and having on the host what an instance mounts.

use blobs::Draft;
use engine::Packed;
use store::Write;
use store::layers::Layer;
use vocabulary::Digest;

use crate::Builds;
use crate::compile::Trouble;

/// Finishes the blob the engine wrote a layer's durable form to.
pub(crate) async fn finish(packed: &Packed, draft: Draft) -> Result<Layer, Trouble> {
    let (blob, bytes) = tokio::task::spawn_blocking(move || draft.finish())
        .await
        .map_err(|error| Trouble::Again(format!("keeping a layer was interrupted: {error}")))?
        .map_err(|error| Trouble::Again(format!("could not keep a layer: {error}")))?;
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok(Layer { digest: packed.digest.clone(), blob, blob_bytes: signed(bytes), tar_bytes: signed(packed.tar_bytes) })
}

/// Records layers in a write.
pub(crate) async fn record(write: &mut Write, layers: &[&Layer]) -> Result<(), store::Error> {
    for layer in layers {
        store::layers::create(write, layer).await?;
    }
    Ok(())
}

impl Builds {
    /// Makes the host's images of those layers that have none. Answers the layers whose blob is gone, too.
    pub(crate) async fn import(&self, layers: &[Digest]) -> Result<Vec<Digest>, Trouble> {
        let mut lost = Vec::new();
        for layer in self.engine.missing(layers.to_vec()).await? {
            let row = store::layers::get(&self.store, &layer).await?;
            match row.and_then(|row| self.blobs.get(&row.blob).ok()) {
                Some(blob) => self.engine.import(layer, blob.into()).await?,
                None => lost.push(layer),
            }
        }
        Ok(lost)
    }
}
