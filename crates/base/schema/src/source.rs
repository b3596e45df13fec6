//! A place to upload a source to.

use serde::Serialize;

/// `POST /sources`.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// Its addresses.
    pub source_blob: SourceUrls,
}

/// Where a source goes and is read.
#[derive(Debug, Clone, Serialize)]
pub struct SourceUrls {
    /// What to build from.
    pub get_url: String,
    /// Where to put it.
    pub put_url: String,
}
