//! `/login/two-factor`: turning the second factor on and off. Each needs a code, so that nobody is locked out by a
//! secret that did not arrive. Turning it on needs the password as well: whoever finds a browser left open must not
//! make the account theirs.

use axum::extract::State;
use http::StatusCode;
use qrcode::QrCode;
use qrcode::render::svg;
use store::accounts::Account;
use vocabulary::{Secret, Timestamp};

use crate::http::base::Base;
use crate::http::client::ClientAddress;
use crate::http::error::Error;
use crate::http::state::{Shared, State as ApiState};
use crate::http::{password, second_factor};
use crate::signin::fields::Fields;
use crate::signin::home::{redirect, sign_in_first};
use crate::signin::page::{Field, Result, Text, complaint, shown, signed_in_as};
use crate::signin::visitor::Visitor;

const HERE: &str = "/login/two-factor";
const SECRET: &str = "two-factor";

/// `GET /login/two-factor`
pub(crate) async fn show(State(state): State<Shared>, visitor: Visitor, base: Base) -> Result {
    let Some((account, _)) = &visitor.signed_in else { return Ok(redirect(&sign_in_first(HERE), None)) };
    if account.second_factor {
        return Ok(off_form(&visitor, account, None));
    }
    on_form(&state, &visitor, account, &base, &second_factor::new_secret()?, None)
}

/// `POST /login/two-factor/on`
pub(crate) async fn turn_on(
    State(state): State<Shared>,
    visitor: Visitor,
    base: Base,
    from: ClientAddress,
    fields: Fields,
) -> Result {
    visitor.sent(&state, &fields)?;
    let Some((account, _)) = &visitor.signed_in else { return Ok(redirect(&sign_in_first(HERE), None)) };
    if account.second_factor {
        return Ok(redirect(HERE, None));
    }
    let Some(secret) = visitor.open::<Secret>(&state, SECRET, fields.text("secret")) else {
        return Ok(redirect(HERE, None));
    };
    match password::is_of(&state, &from, account, &fields.secret("password")).await {
        Ok(true) => {}
        Ok(false) => {
            let wrong = "That is not your password.";
            return on_form(&state, &visitor, account, &base, &secret, Some(wrong));
        }
        Err(error) if error.status().is_client_error() => {
            return on_form(&state, &visitor, account, &base, &secret, Some(error.message()));
        }
        Err(error) => return Err(error.into()),
    }
    let code = fields.text("code").replace(' ', "");
    let Some(step) = second_factor::step_of(&secret, &code, Timestamp::now()) else {
        let wrong = "That is not the code of this moment. Is the clock of your phone right?";
        return on_form(&state, &visitor, account, &base, &secret, Some(wrong));
    };
    let codes = second_factor::new_recovery_codes()?;
    let mut write = state.store.write().await?;
    store::second_factors::set(&mut write, account.id, &secret, step, &codes).await?;
    write.commit().await?;
    let codes: Vec<String> = codes.iter().map(|code| format!("<li><code>{}</code></li>\n", in_groups(code))).collect();
    let body = format!(
        "<p>From now on signing in asks for a code of your authenticator.</p>\n\
         <p>If you lose it, each of these recovery codes lets you in once. Keep them somewhere safe: they are not shown \
         again.</p>\n<ul class=\"codes\">\n{}</ul>\n<p><a href=\"/login\">Done</a></p>",
        codes.concat(),
    );
    Ok(shown(StatusCode::OK, "The second factor is on", &body))
}

/// `POST /login/two-factor/off`
pub(crate) async fn turn_off(State(state): State<Shared>, visitor: Visitor, fields: Fields) -> Result {
    visitor.sent(&state, &fields)?;
    let Some((account, _)) = &visitor.signed_in else { return Ok(redirect(&sign_in_first(HERE), None)) };
    if !account.second_factor {
        return Ok(redirect(HERE, None));
    }
    match second_factor::check(&state, account, &fields.secret("code")).await {
        Ok(()) => {}
        Err(error) if error.status().is_client_error() => {
            return Ok(off_form(&visitor, account, Some(&error)));
        }
        Err(error) => return Err(error.into()),
    }
    let mut write = state.store.write().await?;
    store::second_factors::remove(&mut write, account.id).await?;
    write.commit().await?;
    let body = "<p>Your password alone lets you in now.</p>\n<p><a href=\"/login\">Done</a></p>";
    Ok(shown(StatusCode::OK, "The second factor is off", body))
}

fn on_form(
    state: &ApiState,
    visitor: &Visitor,
    account: &Account,
    base: &Base,
    secret: &Secret,
    wrong: Option<&str>,
) -> Result {
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let body = format!(
        "{}<p>Scan this with an authenticator on your phone, or <a href=\"{}\">open it there</a>:</p>\n{}\n\
         <p class=\"hint\">Or type this secret into it: <code>{}</code></p>\n\
         <form method=\"post\" action=\"{HERE}/on\">\n{}<input type=\"hidden\" name=\"secret\" value=\"{}\">\n{}{}\
         <div class=\"actions\"><button>Turn on</button></div>\n</form>\n{}",
        complaint(wrong),
        Text(&address(account, base, secret)),
        picture(&address(account, base, secret))?,
        in_groups(secret),
        visitor.hidden_field(),
        visitor.seal(state, SECRET, secret)?,
        code_field("The code it shows", wrong.is_some()),
        password_field(wrong.is_some()),
        signed_in_as(visitor, &account.email, HERE),
    );
    Ok(shown(status, "Turn on the second factor", &body))
}

fn off_form(visitor: &Visitor, account: &Account, wrong: Option<&Error>) -> axum::response::Response {
    let body = format!(
        "{}<p>Signing in asks for a code of your authenticator.</p>\n\
         <form method=\"post\" action=\"{HERE}/off\">\n{}{}\
         <p class=\"hint\">Six digits from your authenticator, or one of your recovery codes.</p>\
         <div class=\"actions\"><button>Turn off</button></div>\n</form>\n{}",
        complaint(wrong.map(Error::message)),
        visitor.hidden_field(),
        code_field("Two-factor code", wrong.is_some()),
        signed_in_as(visitor, &account.email, HERE),
    );
    shown(wrong.map_or(StatusCode::OK, Error::status), "The second factor is on", &body)
}

fn code_field(label: &'static str, wrong: bool) -> Field<'static> {
    Field { label, name: "code", kind: "text", autocomplete: "one-time-code", value: "", first: true, wrong }
}

fn password_field(wrong: bool) -> Field<'static> {
    let autocomplete = "current-password";
    Field { label: "Your password", name: "password", kind: "password", autocomplete, value: "", first: false, wrong }
}

/// What authenticators scan ("Key Uri Format" of Google Authenticator's wiki).
fn address(account: &Account, base: &Base, secret: &Secret) -> String {
    let part =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let issuer = part(&format!("Slipway at {}", base.host));
    format!("otpauth://totp/{issuer}:{}?secret={}&issuer={issuer}", part(&account.email), secret.reveal())
}

fn picture(address: &str) -> Result<String> {
    let code = QrCode::new(address).map_err(|error| Error::internal(&error))?;
    let svg = code.render::<svg::Color<'_>>().min_dimensions(192, 192).quiet_zone(true).build();
    // What is in front of the element has no place inside HTML.
    let svg = svg.find("<svg").and_then(|at| svg.get(at..)).unwrap_or_default().to_owned();
    Ok(svg.replacen("<svg", "<svg class=\"qr\" role=\"img\" aria-label=\"QR code with the secret\"", 1))
}

/// `abcd efgh …`, as people copy it.
fn in_groups(secret: &Secret) -> String {
    let letters: Vec<char> = secret.reveal().chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}
