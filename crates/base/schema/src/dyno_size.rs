//! A dyno size.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Named;

/// A dyno size.
#[derive(Debug, Clone, Serialize)]
pub struct DynoSize {
    /// Its id.
    pub id: Uuid,
    /// `Standard-1X`.
    pub name: &'static str,
    /// `amd64`.
    pub architecture: &'static str,
    /// Always false: nothing scales by itself yet.
    pub can_autoscale: bool,
    /// CPU share relative to Standard-1X.
    pub compute: u32,
    /// Null: nothing costs.
    pub cost: Option<Value>,
    /// Whether it has its CPUs to itself.
    pub dedicated: bool,
    /// `cedar`.
    pub generation: Named,
    /// `production`.
    pub infrastructure_tier: &'static str,
    /// GB.
    pub memory: f64,
    /// As `compute`.
    pub precise_dyno_units: f64,
    /// Always false.
    pub private_space_only: bool,
    /// The name's first word.
    pub product_dyno_tier: String,
}
