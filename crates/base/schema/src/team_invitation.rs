//! An invitation into a team.

use serde::Serialize;
use uuid::Uuid;

use crate::{Named, Person, Time};

/// `/teams/{team}/invitations`.
#[derive(Debug, Clone, Serialize)]
pub struct TeamInvitation {
    /// Its id.
    pub id: Uuid,
    /// By whom.
    pub invited_by: Person,
    /// As what.
    pub role: &'static str,
    /// Into which team.
    pub team: Named,
    /// Who.
    pub user: Person,
    /// What they accept it by. Beyond the published schema, and told once: to whoever invites, as no mail is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
