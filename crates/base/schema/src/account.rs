//! An account.

use serde::Serialize;
use uuid::Uuid;

use crate::{Named, Time};

/// `GET /account`.
#[expect(clippy::struct_excessive_bools, reason = "the fields are the published ones")]
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Its id.
    pub id: Uuid,
    /// Its email, lower case.
    pub email: String,
    /// Full name.
    pub name: Option<String>,
    /// Always false: there is no such agreement here.
    pub acknowledged_msa: bool,
    /// Always null.
    pub acknowledged_msa_at: Option<Time>,
    /// Always false: nothing is tracked.
    pub allow_tracking: bool,
    /// Always false.
    pub beta: bool,
    /// Always null.
    pub country_of_residence: Option<String>,
    /// Always null: there are no teams yet.
    pub default_organization: Option<Named>,
    /// Always null.
    pub default_team: Option<Named>,
    /// Always null: nothing is paid for.
    pub delinquent_at: Option<Time>,
    /// Always false: eco dynos are like any other.
    pub eco_dynos_enabled: bool,
    /// Always null.
    pub eco_dynos_shutdown_at: Option<Time>,
    /// Whether another identity provider vouches for it.
    pub federated: bool,
    /// That provider.
    pub identity_provider: Option<Named>,
    /// Always null.
    pub italian_customer_terms: Option<String>,
    /// Always null.
    pub italian_partner_terms: Option<String>,
    /// When a password was last accepted.
    pub last_login: Option<Time>,
    /// Whether a second factor is asked for.
    pub mfa_enabled: bool,
    /// Always false.
    pub mfa_exemption: bool,
    /// Always null.
    pub mfa_exemption_reason: Option<String>,
    /// `legacy`.
    pub mfa_experience: &'static str,
    /// Always null.
    pub pipeline_cost_consent_at: Option<Time>,
    /// Always null.
    pub sms_number: Option<String>,
    /// Always null.
    pub suspended_at: Option<Time>,
    /// As `mfa_enabled`.
    pub two_factor_authentication: bool,
    /// Always true: no payment method is needed.
    pub verified: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
