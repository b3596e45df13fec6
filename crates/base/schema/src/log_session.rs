//! A log session.

use serde::Serialize;
use uuid::Uuid;

use crate::Time;

/// Where a log can be read for a while.
#[derive(Debug, Clone, Serialize)]
pub struct LogSession {
    /// Its id.
    pub id: Uuid,
    /// The address; whoever has it can read.
    pub logplex_url: String,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
