//! A generation: which kind of platform an app runs on.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Time;

/// `/generations`.
#[derive(Debug, Clone, Serialize)]
pub struct Generation {
    /// Its id.
    pub id: Uuid,
    /// `cedar`.
    pub name: &'static str,
    /// Always empty: what is not built is not built for every app alike.
    pub unsupported_features: [&'static str; 0],
    /// Always empty.
    pub expanded_supported_features: [Value; 0],
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
