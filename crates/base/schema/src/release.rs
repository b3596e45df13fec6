//! A release.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Id, Named, Time, User};

/// A release.
#[derive(Debug, Clone, Serialize)]
pub struct Release {
    /// Its id.
    pub id: Uuid,
    /// Its number within the app.
    pub version: i64,
    /// Empty: there are no add-ons yet.
    pub addon_plan_names: Vec<String>,
    /// Of which app.
    pub app: Named,
    /// The slug, as an artifact.
    pub artifacts: Vec<Value>,
    /// Whether it is what runs.
    pub current: bool,
    /// `Deploy 1234567`.
    pub description: String,
    /// Whether one can go back to it.
    pub eligible_for_rollback: bool,
    /// Null: slugs are no images.
    pub oci_image: Option<Id>,
    /// The output of its release phase, if it has one.
    pub output_stream_url: Option<String>,
    /// What it runs.
    pub slug: Option<Id>,
    /// `pending`, `succeeded`, `failed`.
    pub status: &'static str,
    /// Who made it.
    pub user: User,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
