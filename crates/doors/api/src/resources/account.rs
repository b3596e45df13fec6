//! `/account` and `/users`: whoever calls.

use access::action::{Browse, ListUserApps, ViewAccount, ViewUser};
use std::time::Instant;

use access::Which;
use axum::Json;
use axum::extract::State;
use schema::{Account, RateLimit, User};
use store::accounts::Emails;
use vocabulary::AccountId;

use crate::http::base::Base;
use crate::http::error::Result;
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::Shared;
use crate::resources::apps;

/// `GET /account`
pub(crate) async fn info(caller: Permitted<ViewAccount>) -> Json<Account> {
    Json(shape(&caller.account))
}

/// `GET /account/rate-limits`
pub(crate) async fn rate_limits(caller: Permitted<Browse>, State(state): State<Shared>) -> Json<RateLimit> {
    Json(RateLimit { remaining: state.requests.left(&caller.account.id, Instant::now()) })
}

/// `GET /users/{user}`
pub(crate) async fn user(user: Permitted<ViewUser>) -> Json<Account> {
    Json(shape(&user.caller.account))
}

/// `GET /users/{user}/apps`
pub(crate) async fn apps(
    user: Permitted<ListUserApps>,
    State(state): State<Shared>,
    range: Range,
    base: Base,
) -> Result {
    apps::answer(&state, &base, &range, access::apps(&state.store, &user, Which::Own).await?).await
}

/// How others show an account.
pub(crate) fn reference(account: &store::accounts::Account) -> User {
    User { id: account.id.uuid(), email: account.email.clone() }
}

/// How others show an account of which the id is known; one that is gone has no email.
pub(crate) fn user_of(emails: &Emails, id: AccountId) -> User {
    User { id: id.uuid(), email: emails.get(&id).cloned().unwrap_or_default() }
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
        last_login: None,
        mfa_enabled: false,
        mfa_exemption: false,
        mfa_exemption_reason: None,
        pipeline_cost_consent_at: None,
        sms_number: None,
        suspended_at: None,
        two_factor_authentication: false,
    }
}
