//! A stack.

use serde::Serialize;
use uuid::Uuid;

use crate::Time;

/// A stack.
#[derive(Debug, Clone, Serialize)]
pub struct Stack {
    /// Its id.
    pub id: Uuid,
    /// `heroku-24`.
    pub name: String,
    /// Whether new apps get it.
    pub default: bool,
    /// `public`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
