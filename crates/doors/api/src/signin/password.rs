//! `/login/password`: another password, for who knows the present one.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::http::client::ClientAddress;
use crate::http::error::{Error, Result as ApiResult};
use crate::http::password;
use crate::http::state::{Shared, State as ApiState};
use crate::signin::fields::Fields;
use crate::signin::home::{redirect, sign_in_first};
use crate::signin::page::{Field, Result, complaint, shown, signed_in_as};
use crate::signin::visitor::Visitor;

const HERE: &str = "/login/password";

/// `GET /login/password`
pub(crate) async fn show(visitor: Visitor) -> Result {
    Ok(form(&visitor, None).unwrap_or_else(|| redirect(&sign_in_first(HERE), None)))
}

/// `POST /login/password`; all other sessions end.
pub(crate) async fn change(
    State(state): State<Shared>,
    visitor: Visitor,
    from: ClientAddress,
    fields: Fields,
) -> Result {
    visitor.sent(&state, &fields)?;
    match changed(&state, &visitor, &from, &fields).await {
        Ok(()) => {
            let body = "<p>All other browsers and command lines that were logged in as you have to log in again. Tokens \
                        made by hand stay good: <code>heroku authorizations</code> lists them.</p>\n\
                        <p><a href=\"/login\">Done</a></p>";
            Ok(shown(StatusCode::OK, "The password is changed", body))
        }
        Err(error) if error.status().is_client_error() => {
            Ok(form(&visitor, Some(&error)).unwrap_or_else(|| redirect(&sign_in_first(HERE), None)))
        }
        Err(error) => Err(error.into()),
    }
}

async fn changed(state: &ApiState, visitor: &Visitor, from: &ClientAddress, fields: &Fields) -> ApiResult<()> {
    let Some((account, session)) = &visitor.signed_in else { return Err(Error::forbidden("Sign in first.")) };
    if !password::is_of(state, from, account, &fields.secret("password")).await? {
        return Err(Error::invalid("That is not your present password."));
    }
    let hash = password::new_hash(state, &fields.secret("new")).await?;
    let mut write = state.store.write().await?;
    store::accounts::set_password(&mut write, account.id, &hash).await?;
    store::sessions::delete_others(&mut write, account.id, Some(session.id)).await?;
    Ok(write.commit().await?)
}

/// The form; nothing for who is not signed in.
fn form(visitor: &Visitor, wrong: Option<&Error>) -> Option<Response> {
    let (account, _) = visitor.signed_in.as_ref()?;
    let field = |label, name, autocomplete, first| Field {
        label,
        name,
        kind: "password",
        autocomplete,
        value: "",
        first,
        wrong: wrong.is_some(),
    };
    let body = format!(
        "{}<form method=\"post\" action=\"{HERE}\">\n{}{}{}<p class=\"hint\">At least eight characters.</p>\
         <div class=\"actions\"><button>Change it</button></div>\n</form>\n{}",
        complaint(wrong.map(Error::message)),
        visitor.hidden_field(),
        field("Present password", "password", "current-password", true),
        field("New password", "new", "new-password", false),
        signed_in_as(visitor, &account.email, HERE),
    );
    Some(shown(wrong.map_or(StatusCode::OK, Error::status), "Change the password", &body))
}
