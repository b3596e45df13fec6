//! An OAuth authorization.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Time, User};

/// `/oauth/authorizations`.
#[derive(Debug, Clone, Serialize)]
pub struct Authorization {
    /// Its id.
    pub id: Uuid,
    /// What its maker called it.
    pub description: String,
    /// What its token may do.
    pub scope: Vec<String>,
    /// Its token.
    pub access_token: Option<AccessToken>,
    /// Null: there are no OAuth clients yet.
    pub client: Option<Value>,
    /// Null, too.
    pub grant: Option<Value>,
    /// Null, too.
    pub refresh_token: Option<Value>,
    /// Null: there are no browser sessions.
    pub session: Option<Value>,
    /// Whose.
    pub user: User,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// The token of an authorization.
#[derive(Debug, Clone, Serialize)]
pub struct AccessToken {
    /// Its own id.
    pub id: Uuid,
    /// The token; whole only in the answer that made it, redacted ever after.
    pub token: String,
    /// Seconds it is good for, if it ends.
    pub expires_in: Option<i64>,
}
