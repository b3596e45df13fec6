//! Teams, their members and preferences.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Named, Time};

/// `/teams`.
#[derive(Debug, Clone, Serialize)]
pub struct TeamInfo {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What the caller is in it.
    pub role: Option<&'static str>,
    /// `enterprise`: a team whose apps have permissions.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Always false: nothing is paid for.
    pub credit_card_collections: bool,
    /// Always false: no team is used where none is named.
    pub default: bool,
    /// Always null.
    pub enterprise_account: Option<Named>,
    /// Always null.
    pub identity_provider: Option<Value>,
    /// Null: there is no limit.
    pub membership_limit: Option<u32>,
    /// Always null.
    pub pipeline_cost_consent_at: Option<Time>,
    /// Always null.
    pub pipeline_cost_consent_user_email: Option<String>,
    /// Always false.
    pub provisioned_licenses: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// `/teams/{team}/members`.
#[derive(Debug, Clone, Serialize)]
pub struct TeamMember {
    /// Its id.
    pub id: Uuid,
    /// Who, by email.
    pub email: String,
    /// As what.
    pub role: &'static str,
    /// Always false.
    pub federated: bool,
    /// Always null.
    pub identity_provider: Option<Value>,
    /// Whether a second factor is asked of them.
    pub two_factor_authentication: bool,
    /// Who.
    pub user: Person,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// A user by id, email and name.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    /// The account's id.
    pub id: Uuid,
    /// The account's email.
    pub email: String,
    /// Full name.
    pub name: Option<String>,
}

/// `/teams/{team}/preferences`.
#[derive(Debug, Clone, Serialize)]
pub struct TeamPreferences {
    /// Null: members see what is not locked.
    #[serde(rename = "default-permission")]
    pub default_permission: Option<&'static str>,
    /// Always false: add-ons need no leave.
    #[serde(rename = "addons-controls")]
    pub addons_controls: Option<bool>,
}
