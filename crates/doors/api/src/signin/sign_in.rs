//! Signing in: email and password, then, where there is a second factor, its code.

use axum::extract::State;
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::accounts::Account;
use vocabulary::{AccountId, Secret, Timestamp};

use crate::http::client::ClientAddress;
use crate::http::error::Error;
use crate::http::state::{Shared, State as ApiState};
use crate::http::{password, second_factor};
use crate::resources::oauth_tokens::in_seconds;
use crate::setup::random_text;
use crate::signin::fields::Fields;
use crate::signin::home::{redirect, way};
use crate::signin::page::{Field, Result, Text, complaint, shown};
use crate::signin::visitor::{SECONDS, Visitor};

/// How long the code may be waited for after the password was right.
const CODE_SECONDS: i64 = 600;

/// Somebody whose password was right, and who still has to give a code.
#[derive(Debug, Serialize, Deserialize)]
struct Half {
    account: AccountId,
    until: i64,
}

/// `POST /login`
pub(crate) async fn password(
    State(state): State<Shared>,
    visitor: Visitor,
    from: ClientAddress,
    headers: HeaderMap,
    fields: Fields,
) -> Result {
    visitor.sent(&state, &fields)?;
    let (email, next) = (fields.text("email").trim(), way(fields.text("next")));
    let account = match password::account(&state, &from, email, &fields.secret("password")).await {
        Ok(Some(account)) => account,
        Ok(None) => {
            let wrong = Some("There is no account with this email and password.");
            return Ok(form(&visitor, StatusCode::UNAUTHORIZED, email, next, wrong));
        }
        Err(error) if error.status() == StatusCode::TOO_MANY_REQUESTS => {
            return Ok(form(&visitor, error.status(), email, next, Some(error.message())));
        }
        Err(error) => return Err(error.into()),
    };
    if account.second_factor {
        let half = Half { account: account.id, until: in_seconds(CODE_SECONDS).micros() };
        return code_form(&state, &visitor, &half, next, StatusCode::OK, None);
    }
    signed_in(&state, visitor, &account, &from, &headers, next).await
}

/// `POST /login/code`
pub(crate) async fn code(
    State(state): State<Shared>,
    visitor: Visitor,
    from: ClientAddress,
    headers: HeaderMap,
    fields: Fields,
) -> Result {
    visitor.sent(&state, &fields)?;
    let next = way(fields.text("next"));
    let half = visitor.open::<Half>(&state, "half", fields.text("half"));
    let Some(half) = half.filter(|half| half.until > Timestamp::now().micros()) else {
        let wrong = Some("That took too long. Please sign in again.");
        return Ok(form(&visitor, StatusCode::UNAUTHORIZED, "", next, wrong));
    };
    let account = store::accounts::get(&state.store, half.account).await?.ok_or_else(|| Error::not_found("account"))?;
    match second_factor::check(&state, &account, &fields.secret("code")).await {
        Ok(()) => signed_in(&state, visitor, &account, &from, &headers, next).await,
        Err(error) if error.status().is_client_error() => {
            code_form(&state, &visitor, &half, next, error.status(), Some(error.message()))
        }
        Err(error) => Err(error.into()),
    }
}

/// The form for email and password.
pub(crate) fn form(visitor: &Visitor, status: StatusCode, email: &str, next: &str, wrong: Option<&str>) -> Response {
    let email = Field {
        label: "Email",
        name: "email",
        kind: "email",
        autocomplete: "username",
        value: email,
        first: wrong.is_none(),
        wrong: wrong.is_some(),
    };
    let password = Field {
        label: "Password",
        name: "password",
        kind: "password",
        autocomplete: "current-password",
        value: "",
        first: wrong.is_some(),
        wrong: wrong.is_some(),
    };
    let body = format!(
        "{}<form method=\"post\" action=\"/login\">\n{}{}{email}{password}\
         <div class=\"actions\"><button>Sign in</button></div>\n</form>",
        complaint(wrong),
        visitor.hidden_field(),
        hidden_next(next),
    );
    with_cookie(shown(status, "Sign in", &body), visitor)
}

fn code_form(
    state: &ApiState,
    visitor: &Visitor,
    half: &Half,
    next: &str,
    status: StatusCode,
    wrong: Option<&str>,
) -> Result {
    let code = Field {
        label: "Two-factor code",
        name: "code",
        kind: "text",
        autocomplete: "one-time-code",
        value: "",
        first: true,
        wrong: wrong.is_some(),
    };
    let body = format!(
        "{}<form method=\"post\" action=\"/login/code\">\n{}{}<input type=\"hidden\" name=\"half\" value=\"{}\">\n{code}\
         <p class=\"hint\">Six digits from your authenticator, or one of your recovery codes.</p>\
         <div class=\"actions\"><button>Go on</button></div>\n</form>",
        complaint(wrong),
        visitor.hidden_field(),
        hidden_next(next),
        visitor.seal(state, "half", half)?,
    );
    Ok(shown(status, "Your second factor", &body))
}

fn hidden_next(next: &str) -> String {
    format!("<input type=\"hidden\" name=\"next\" value=\"{}\">\n", Text(next))
}

/// Begins a session, under a cookie nobody had before.
async fn signed_in(
    state: &ApiState,
    visitor: Visitor,
    account: &Account,
    from: &ClientAddress,
    headers: &HeaderMap,
    next: &str,
) -> Result {
    let cookie = Secret::new(random_text::<32>());
    let mut write = state.store.write().await?;
    if let Some((_, old)) = &visitor.signed_in {
        store::sessions::delete(&mut write, old.id).await?;
    }
    let description = described(from, headers);
    let ends = in_seconds(SECONDS);
    store::sessions::create(&mut write, account.id, Some(&cookie), &description, ends).await?;
    store::accounts::logged_in(&mut write, account.id).await?;
    write.commit().await?;
    Ok(redirect(next, Some(&(visitor, cookie))))
}

/// What its owner knows a browser again by.
fn described(from: &ClientAddress, headers: &HeaderMap) -> String {
    let agent = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or("unknown");
    let agent: String = agent.chars().filter(|letter| !letter.is_control()).take(150).collect();
    format!("Browser at {}: {agent}", from.0)
}

fn with_cookie(mut response: Response, visitor: &Visitor) -> Response {
    if let Some(cookie) = visitor.set_cookie() {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
