//! A slug.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Named, Time};

/// A slug.
#[derive(Debug, Clone, Serialize)]
pub struct Slug {
    /// Its id.
    pub id: Uuid,
    /// Where its archive would be.
    pub blob: SlugBlob,
    /// `Node.js`.
    pub buildpack_provided_description: Option<String>,
    /// `SHA256:…` over the digests of its layers.
    pub checksum: Option<String>,
    /// What it was built from.
    pub commit: Option<String>,
    /// What was said of it.
    pub commit_description: Option<String>,
    /// Null: it is there. Else its releases are expired.
    pub deleted_at: Option<Time>,
    /// Process types with their commands.
    pub process_types: Value,
    /// Bytes.
    pub size: Option<i64>,
    /// The stack it runs on.
    pub stack: Named,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// How to fetch a slug's archive.
#[derive(Debug, Clone, Serialize)]
pub struct SlugBlob {
    /// `get`.
    pub method: &'static str,
    /// The address.
    pub url: String,
}
