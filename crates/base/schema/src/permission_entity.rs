//! Who may do what with the apps of a team.

use serde::Serialize;
use uuid::Uuid;

/// `/teams/{team}/permissions`: one app.
#[derive(Debug, Clone, Serialize)]
pub struct PermissionEntity {
    /// The app's id.
    pub id: Uuid,
    /// The app's name.
    pub name: String,
    /// The team's id.
    pub team_id: Uuid,
    /// `app`: there are no spaces.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whoever was let in.
    pub users: Vec<PermittedUser>,
}

/// Somebody with permissions of their own.
#[derive(Debug, Clone, Serialize)]
pub struct PermittedUser {
    /// The account's id.
    pub id: Uuid,
    /// The account's email.
    pub email: String,
    /// `view`, `deploy`, `operate`, `manage`.
    pub permissions: Vec<&'static str>,
}
