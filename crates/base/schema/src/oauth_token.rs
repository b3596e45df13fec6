//! What a client gets for a grant or a refresh token.

use serde::Serialize;
use uuid::Uuid;

use crate::{AccessToken, Id, Time};

/// `POST /oauth/tokens`.
#[derive(Debug, Clone, Serialize)]
pub struct OAuthToken {
    /// The access token's own id.
    pub id: Uuid,
    /// The access token.
    pub access_token: AccessToken,
    /// The authorization behind it.
    pub authorization: Id,
    /// Always null: the client knows its secret.
    pub client: Option<Id>,
    /// Which kind of grant was exchanged.
    pub grant: GrantType,
    /// The refresh token.
    pub refresh_token: AccessToken,
    /// Empty: a client's tokens end with no session.
    pub session: Empty,
    /// Whose.
    pub user: Id,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// The kind of a grant.
#[derive(Debug, Clone, Serialize)]
pub struct GrantType {
    /// `authorization_code` or `refresh_token`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// An object with nothing in it.
#[derive(Debug, Clone, Serialize)]
pub struct Empty {}
