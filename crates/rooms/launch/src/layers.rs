//! Making a slug's layers ready on the host.

use std::os::fd::OwnedFd;

use blobs::Blobs;
use engine::Engine;
use store::Store;
use vocabulary::Digest;

use crate::Error;

/// Imports the layers the host has no image of from their blobs. May be repeated, also by two at once: importing a
/// layer that is there changes nothing.
pub(crate) async fn make_ready(store: &Store, blobs: &Blobs, engine: &Engine, layers: &[Digest]) -> Result<(), Error> {
    if layers.is_empty() {
        return Ok(());
    }
    for digest in engine.missing(layers.to_vec()).await? {
        let layer = store::layers::get(store, &digest).await?.ok_or_else(|| Error::NoLayer(digest.clone()))?;
        let blob = blobs.get(&layer.blob).map_err(|source| Error::Blob { layer: digest.clone(), source })?;
        engine.import(digest, OwnedFd::from(blob)).await?;
    }
    Ok(())
}
