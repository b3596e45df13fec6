//! A session; not in the published schema, read by the `heroku` command.

use serde::Serialize;
use uuid::Uuid;

use crate::{Time, User};

/// `/oauth/sessions`.
#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// Where from.
    pub description: String,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// Whose.
    pub user: User,
    /// When it began.
    pub created_at: Time,
    /// The same: a session does not change.
    pub updated_at: Time,
}
