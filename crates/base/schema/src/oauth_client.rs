//! An OAuth client.

use serde::Serialize;
use uuid::Uuid;

use crate::Time;

/// `/oauth/clients`.
#[derive(Debug, Clone, Serialize)]
pub struct OAuthClient {
    /// Its id.
    pub id: Uuid,
    /// What its users read.
    pub name: String,
    /// Where its users come back to.
    pub redirect_uri: String,
    /// How it proves to be itself.
    pub secret: String,
    /// Always false: nothing is paid for.
    pub ignores_delinquent: Option<bool>,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
