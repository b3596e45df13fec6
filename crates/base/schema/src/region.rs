//! A region.

use serde::Serialize;
use uuid::Uuid;

use crate::Time;

/// Where apps run.
#[derive(Debug, Clone, Serialize)]
pub struct Region {
    /// Its id.
    pub id: Uuid,
    /// `us`.
    pub name: &'static str,
    /// The country.
    pub country: &'static str,
    /// The place.
    pub locale: &'static str,
    /// In words.
    pub description: &'static str,
    /// Whether there are private spaces.
    pub private_capable: bool,
    /// On what.
    pub provider: Provider,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// What a region runs on.
#[derive(Debug, Clone, Serialize)]
pub struct Provider {
    /// Its name.
    pub name: &'static str,
    /// Its own name of the region; the schema allows only those of one cloud.
    pub region: &'static str,
}
