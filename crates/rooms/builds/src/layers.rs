//! Layers: recording what was packed, and having on the host what an instance mounts.

use blobs::{Blobs, Draft, Pin};
use engine::Packed;
use store::Write;
use store::layers::Layer;
use vocabulary::Digest;

use crate::Builds;
use crate::compile::Trouble;

/// A layer that was packed and is not recorded yet. It and its blob are not collected while this is held: until the row
/// is committed that refers to the layer, be it a slug's, a cache's or a runtime's.
pub(crate) struct Fresh {
    pub(crate) row: Layer,
    _pins: [Pin; 2],
}

/// Finishes the blob the engine wrote a layer's durable form to.
pub(crate) async fn finish(blobs: &Blobs, packed: &Packed, draft: Draft) -> Result<Fresh, Trouble> {
    let layer = blobs.pin(&packed.digest);
    let (blob, bytes) = tokio::task::spawn_blocking(move || draft.finish())
        .await
        .map_err(|error| Trouble::Again(format!("keeping a layer was interrupted: {error}")))?
        .map_err(|error| Trouble::Again(format!("could not keep a layer: {error}")))?;
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let row = Layer {
        digest: packed.digest.clone(),
        blob: (*blob).clone(),
        blob_bytes: signed(bytes),
        tar_bytes: signed(packed.tar_bytes),
    };
    Ok(Fresh { row, _pins: [layer, blob] })
}

/// Records layers in a write.
pub(crate) async fn record(write: &mut Write, layers: &[&Fresh]) -> Result<(), store::Error> {
    for layer in layers {
        store::layers::create(write, &layer.row).await?;
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
