//! `/account` and `/users`: whoever calls.

use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use schema::{Account, RateLimit, User};

use crate::http::auth::Caller;
use crate::http::base::Base;
use crate::http::error::{Error, Result};
use crate::http::range::Range;
use crate::http::state::Shared;
use crate::resources::apps;

/// `GET /account`
pub(crate) async fn info(caller: Caller) -> Json<Account> {
    Json(shape(&caller.account))
}

/// `GET /account/rate-limits`
pub(crate) async fn rate_limits(State(state): State<Shared>, caller: Caller) -> Json<RateLimit> {
    Json(RateLimit { remaining: state.requests.left(&caller.account.id, Instant::now()) })
}

/// `GET /users/{user}`
pub(crate) async fn user(caller: Caller, Path(user): Path<String>) -> Result<Json<Account>> {
    is_caller(&caller, &user)?;
    Ok(info(caller).await)
}

/// `GET /users/{user}/apps`
pub(crate) async fn apps(
    State(state): State<Shared>,
    caller: Caller,
    Path(user): Path<String>,
    range: Range,
    base: Base,
) -> Result {
    is_caller(&caller, &user)?;
    apps::list(State(state), caller, range, base).await
}

/// How others show an account.
pub(crate) fn reference(account: &store::accounts::Account) -> User {
    User { id: account.id.uuid(), email: account.email.clone() }
}

/// Nobody sees another account, not even that it exists.
fn is_caller(caller: &Caller, user: &str) -> Result<()> {
    let account = &caller.account;
    let same = user == "~" || user == account.id.to_string() || user.eq_ignore_ascii_case(&account.email);
    if same { Ok(()) } else { Err(Error::not_found("account")) }
}

fn shape(account: &store::accounts::Account) -> Account {
    Account {
        id: account.id.uuid(),
        email: account.email.clone(),
        name: account.name.clone(),
        created_at: account.created_at.into(),
        updated_at: account.updated_at.into(),
        verified: true,
        mfa_experience: "legacy",
        acknowledged_msa: false,
        acknowledged_msa_at: None,
        allow_tracking: false,
        beta: false,
        country_of_residence: None,
        default_organization: None,
        default_team: None,
        delinquent_at: None,
        eco_dynos_enabled: false,
        eco_dynos_shutdown_at: None,
        federated: false,
        identity_provider: None,
        italian_customer_terms: None,
        italian_partner_terms: None,
        last_login: account.last_login.map(Into::into),
        mfa_enabled: account.second_factor,
        mfa_exemption: false,
        mfa_exemption_reason: None,
        pipeline_cost_consent_at: None,
        sms_number: None,
        suspended_at: None,
        two_factor_authentication: account.second_factor,
    }
}
