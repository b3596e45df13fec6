//! Something that can be switched.

use serde::Serialize;
use uuid::Uuid;

use crate::Time;

/// `/apps/{app}/features`, `/teams/{team}/features`.
#[derive(Debug, Clone, Serialize)]
pub struct Feature {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: &'static str,
    /// Its name for people.
    pub display_name: &'static str,
    /// In words.
    pub description: &'static str,
    /// Where to read about it.
    pub doc_url: &'static str,
    /// Whether it is on.
    pub enabled: bool,
    /// Whom to tell.
    pub feedback_email: &'static str,
    /// `general`; `beta` for what `heroku labs` lists.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Time,
    /// When it was last switched.
    pub updated_at: Time,
}
