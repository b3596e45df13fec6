//! A dyno.

use serde::Serialize;
use uuid::Uuid;

use crate::{Named, Numbered, Time};

/// One run of one dyno.
#[derive(Debug, Clone, Serialize)]
pub struct Dyno {
    /// This run.
    pub id: Uuid,
    /// `web.1`.
    pub name: String,
    /// Of which app.
    pub app: Named,
    /// Null but for an attached one-off dyno.
    pub attach_url: Option<String>,
    /// What it runs.
    pub command: String,
    /// The release it runs.
    pub release: Numbered,
    /// `Standard-1X`.
    pub size: String,
    /// `starting`, `up`, `crashed`, `down`.
    pub state: &'static str,
    /// Its process type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
