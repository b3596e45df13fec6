//! A build.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Id, Time, User};

/// A build.
#[derive(Debug, Clone, Serialize)]
pub struct Build {
    /// Its id.
    pub id: Uuid,
    /// Of which app.
    pub app: Id,
    /// The buildpacks used, or asked for.
    pub buildpacks: Option<Vec<BuildBuildpack>>,
    /// `cedar`.
    pub generation: &'static str,
    /// Empty: no labs feature exists.
    pub labs: Map<String, Value>,
    /// Its output, as text that grows while it builds.
    pub output_stream_url: String,
    /// What it released.
    pub release: Option<Id>,
    /// What it made.
    pub slug: Option<Id>,
    /// What it was built from.
    pub source_blob: SourceBlob,
    /// The stack it builds for.
    pub stack: String,
    /// `pending`, `succeeded`, `failed`.
    pub status: &'static str,
    /// Who asked for it.
    pub user: User,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// A buildpack of a build.
#[derive(Debug, Clone, Serialize)]
pub struct BuildBuildpack {
    /// Its address.
    pub url: String,
    /// Its name, or the address again.
    pub name: String,
}

/// The source of a build.
#[derive(Debug, Clone, Serialize)]
pub struct SourceBlob {
    /// `SHA256:` and the digest.
    pub checksum: Option<String>,
    /// Where it can be read for a while.
    pub url: String,
    /// The commit, or what the caller calls it.
    pub version: Option<String>,
    /// What the caller says of it.
    pub version_description: Option<String>,
}
