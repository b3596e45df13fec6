//! An OAuth authorization, and what belongs to one.

use serde::Serialize;
use uuid::Uuid;

use crate::{Id, Time};

/// `/oauth/authorizations`.
#[derive(Debug, Clone, Serialize)]
pub struct Authorization {
    /// Its id.
    pub id: Uuid,
    /// What its maker called it.
    pub description: String,
    /// What its token may do.
    pub scope: Vec<String>,
    /// Its token; null before a client exchanged its grant.
    pub access_token: Option<AccessToken>,
    /// The client it was given to.
    pub client: Option<AuthorizationClient>,
    /// What that client exchanges for tokens; only in the answer that made it.
    pub grant: Option<Grant>,
    /// What that client gets new access tokens with.
    pub refresh_token: Option<AccessToken>,
    /// The session it ends with.
    pub session: Option<Id>,
    /// Whose.
    pub user: AuthorizationUser,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// A token of an authorization.
#[derive(Debug, Clone, Serialize)]
pub struct AccessToken {
    /// Its own id.
    pub id: Uuid,
    /// The token; whole only in the answer that made it, redacted ever after.
    pub token: String,
    /// Seconds it is good for, if it ends.
    pub expires_in: Option<i64>,
}

/// The client of an authorization.
#[derive(Debug, Clone, Serialize)]
pub struct AuthorizationClient {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Where its users come back to.
    pub redirect_uri: String,
}

/// The user of an authorization.
#[derive(Debug, Clone, Serialize)]
pub struct AuthorizationUser {
    /// The account's id.
    pub id: Uuid,
    /// The account's email.
    pub email: String,
    /// Full name.
    pub full_name: Option<String>,
}

/// A code for tokens.
#[derive(Debug, Clone, Serialize)]
pub struct Grant {
    /// Its own id.
    pub id: Uuid,
    /// The code.
    pub code: String,
    /// Seconds it is good for.
    pub expires_in: i64,
}
