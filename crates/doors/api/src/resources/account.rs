//! `/account` and `/users`: whoever calls.

use access::action::{Browse, ListUserApps, ManageAccount, ManageUser, ViewAccount, ViewUser};
use access::{Act, Caller};
use std::time::Instant;

use access::Which;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use schema::{Account, RateLimit, SmsNumber, User};
use serde::Deserialize;
use store::accounts::Emails;
use vocabulary::{AccountId, Secret};

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::client::ClientAddress;
use crate::http::error::{Error, Result};
use crate::http::password;
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::apps;

/// The longest full name in characters.
const LONGEST_NAME: usize = 200;

/// `GET /account`
pub(crate) async fn info(caller: Permitted<ViewAccount>) -> Json<Account> {
    Json(shape(&caller.account))
}

/// What `PATCH /account` takes. Another email or password wants the present password.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    email: Option<String>,
    /// An empty text takes the name away.
    name: Option<String>,
    password: Option<Secret>,
    new_password: Option<Secret>,
}

/// `PATCH /account`. With another password, all sessions but the caller's end.
pub(crate) async fn update(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    from: ClientAddress,
    Body(body): Body<Update>,
) -> Result<Json<Account>> {
    changed(&state, &caller, &from, body).await
}

/// `PATCH /users/{user}`: oneself, as by `PATCH /account`.
pub(crate) async fn update_user(
    user: Permitted<ManageUser>,
    State(state): State<Shared>,
    from: ClientAddress,
    Body(body): Body<Update>,
) -> Result<Json<Account>> {
    changed(&state, &user.caller, &from, body).await
}

async fn changed(state: &ApiState, caller: &Caller, from: &ClientAddress, body: Update) -> Result<Json<Account>> {
    let id = caller.account.id;
    let name = body.name.map(|name| named(&name)).transpose()?;
    let email = body.email.map(|email| password::email(&email)).transpose().map_err(Error::invalid)?;
    let email = email.filter(|email| *email != caller.account.email);
    if email.is_some() || body.new_password.is_some() {
        let said = "Give your present password, too, as `password`.";
        confirmed(state, caller, from, body.password.as_ref().ok_or_else(|| Error::invalid(said))?).await?;
    }
    let hash = match &body.new_password {
        None => None,
        Some(password) => Some(password::new_hash(state, password).await?),
    };
    let mut write = state.store.write().await?;
    if let Some(name) = name {
        store::accounts::set_name(&mut write, id, name.as_deref()).await?;
    }
    if let Some(email) = email {
        store::accounts::set_email(&mut write, id, &email).await.map_err(taken)?;
    }
    if let Some(hash) = hash {
        let own = caller.authorization.as_ref().and_then(|authorization| authorization.session_id);
        store::accounts::set_password(&mut write, id, &hash).await?;
        store::sessions::delete_others(&mut write, id, own).await?;
    }
    write.commit().await?;
    let account = store::accounts::get(&state.store, id).await?.ok_or_else(|| Error::not_found("account"))?;
    Ok(Json(shape(&account)))
}

/// `DELETE /account`, of who owns no app and leads no team alone, and who knows the password (Platform API Reference,
/// "Account Delete": the header `Heroku-Password`). Sessions and tokens are worthless when this has answered.
pub(crate) async fn delete(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    from: ClientAddress,
    headers: HeaderMap,
) -> Result<Json<Account>> {
    removed(&state, &caller, &from, &headers).await
}

/// `DELETE /users/{user}`: oneself, as by `DELETE /account`.
pub(crate) async fn delete_user(
    user: Permitted<ManageUser>,
    State(state): State<Shared>,
    from: ClientAddress,
    headers: HeaderMap,
) -> Result<Json<Account>> {
    removed(&state, &user, &from, &headers).await
}

async fn removed<A: Act>(
    state: &ApiState,
    own: &access::Permitted<A>,
    from: &ClientAddress,
    headers: &HeaderMap,
) -> Result<Json<Account>>
where
    A::On: AsRef<Caller>,
{
    let caller: &Caller = (**own).as_ref();
    let password = headers.get("heroku-password").and_then(|value| value.to_str().ok()).map(Secret::new);
    let said = "Give your password as the header Heroku-Password: an account does not come back.";
    confirmed(state, caller, from, password.as_ref().ok_or_else(|| Error::invalid(said))?).await?;
    let mut write = state.store.write().await?;
    if store::accounts::remove(&mut write, caller.account.id).await? {
        write.commit().await?;
        return Ok(Json(shape(&caller.account)));
    }
    drop(write);
    if let Some(team) = store::teams::led_alone_by(&state.store, caller.account.id).await?.first() {
        let name = &team.name;
        return Err(Error::invalid(format!("You are the only admin of the team {name}. Leave it to somebody first.")));
    }
    let mut apps = access::apps(&state.store, own, Which::Own).await?;
    apps.retain(|app| app.team_id.is_none() && app.owner_id == caller.account.id);
    let names = apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(", ");
    Err(Error::invalid(format!("You own {names}. Destroy or transfer what you own first.")))
}

/// `GET /account/rate-limits`
pub(crate) async fn rate_limits(caller: Permitted<Browse>, State(state): State<Shared>) -> Json<RateLimit> {
    Json(RateLimit { remaining: state.requests.left(&caller.account.id, Instant::now()) })
}

/// `GET /users/{user}`
pub(crate) async fn user(user: Permitted<ViewUser>) -> Json<Account> {
    Json(shape(&user.caller.account))
}

/// `GET /users/{user}/sms-number`
pub(crate) async fn sms_number(_user: Permitted<ViewUser>) -> Json<SmsNumber> {
    Json(SmsNumber::default())
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

/// Refuses whoever has a token and does not know the password.
async fn confirmed(state: &ApiState, caller: &Caller, from: &ClientAddress, given: &Secret) -> Result<()> {
    if password::is_of(state, from, &caller.account, given).await? {
        return Ok(());
    }
    Err(Error::invalid("That is not your present password."))
}

fn named(name: &str) -> Result<Option<String>> {
    let name = name.trim();
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("A name has at most {LONGEST_NAME} characters, on one line.")));
    }
    Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
}

fn taken(error: store::Error) -> Error {
    match error {
        store::Error::Taken(_) => Error::invalid("Email is already taken."),
        error => error.into(),
    }
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
