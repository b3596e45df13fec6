//! A process type of an app's formation.

use serde::Serialize;
use uuid::Uuid;

use crate::{Named, Time};

/// One process type's share.
#[derive(Debug, Clone, Serialize)]
pub struct Formation {
    /// Its id.
    pub id: Uuid,
    /// Of which app.
    pub app: Named,
    /// The process type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What its dynos run.
    pub command: String,
    /// How many dynos.
    pub quantity: u32,
    /// Of which size.
    pub size: String,
    /// The size again.
    pub dyno_size: Named,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
