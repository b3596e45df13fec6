//! A collaborator.

use serde::Serialize;
use uuid::Uuid;

use crate::{Named, Time, User};

/// Who may work on an app.
#[derive(Debug, Clone, Serialize)]
pub struct Collaborator {
    /// Its id.
    pub id: Uuid,
    /// On which app.
    pub app: Named,
    /// What they may do.
    pub permissions: Vec<Permission>,
    /// `owner`, `collaborator`, or what they are in the team that has the app.
    pub role: Option<&'static str>,
    /// Who.
    pub user: User,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// One thing a collaborator may do.
#[derive(Debug, Clone, Serialize)]
pub struct Permission {
    /// `deploy`.
    pub name: &'static str,
    /// In words.
    pub description: &'static str,
}
