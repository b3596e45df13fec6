//! An app on its way to another owner.

use serde::Serialize;
use uuid::Uuid;

use crate::{Named, Time, User};

/// `/account/app-transfers`.
#[derive(Debug, Clone, Serialize)]
pub struct AppTransfer {
    /// Its id.
    pub id: Uuid,
    /// Which app.
    pub app: Named,
    /// From whom.
    pub owner: User,
    /// To whom.
    pub recipient: User,
    /// `pending`, `accepted`, `declined`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
