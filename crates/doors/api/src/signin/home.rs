//! `/login`: the form to sign in, or, for who is signed in, what there is to do here.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use vocabulary::Secret;

use crate::http::state::Shared;
use crate::setup::random_text;
use crate::signin::fields::Fields;
use crate::signin::page::{Result, Text, shown, signed_in_as};
use crate::signin::sign_in;
use crate::signin::visitor::Visitor;

/// Where who signed in goes when nothing else was asked for.
pub(crate) const HOME: &str = "/login";

/// `GET /login`
pub(crate) async fn show(State(state): State<Shared>, RawQuery(query): RawQuery, visitor: Visitor) -> Result {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let next = way(fields.text("next"));
    let Some((account, _)) = &visitor.signed_in else {
        return Ok(sign_in::form(&visitor, StatusCode::OK, "", next, None));
    };
    if next != HOME {
        return Ok(redirect(next, None));
    }
    let codes = store::second_factors::recovery_codes_left(&state.store, account.id).await?;
    let factor = if account.second_factor { format!("on, {codes} recovery codes left") } else { "off".to_owned() };
    let body = format!(
        "<dl><dt>Email</dt><dd>{}</dd><dt>Second factor</dt><dd>{factor}</dd></dl>\n\
         <p><a href=\"/login/password\">Change the password</a><br>\n\
         <a href=\"/login/two-factor\">Change the second factor</a></p>\n{}",
        Text(&account.email),
        signed_in_as(&visitor, &account.email, HOME)
    );
    Ok(shown(StatusCode::OK, "Your account", &body))
}

/// `POST /login/out`
pub(crate) async fn sign_out(State(state): State<Shared>, visitor: Visitor, fields: Fields) -> Result {
    visitor.sent(&state, &fields)?;
    if let Some((_, session)) = &visitor.signed_in {
        let mut write = state.store.write().await?;
        store::sessions::delete(&mut write, session.id).await?;
        write.commit().await?;
    }
    Ok(redirect(&sign_in_first(way(fields.text("next"))), Some(&(visitor, Secret::new(random_text::<32>())))))
}

/// Where somebody goes who has to sign in before they come to `next`.
pub(crate) fn sign_in_first(next: &str) -> String {
    let next = url::form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>();
    format!("/login?next={next}")
}

/// To another page of ours, with another cookie if one is given.
pub(crate) fn redirect(to: &str, cookie: Option<&(Visitor, Secret)>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [("location", to)]).into_response();
    if let Some(cookie) = cookie.and_then(|(visitor, cookie)| visitor.set_other_cookie(cookie)) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// A path of ours that one may be sent to after signing in; anything else becomes [`HOME`].
pub(crate) fn way(next: &str) -> &str {
    let ours = ["/auth/browser/", "/oauth/authorize?", "/login/password", "/login/two-factor"];
    let plain = next.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'\\');
    if plain && ours.iter().any(|path| next.starts_with(path)) { next } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_leads_to_pages_of_ours() {
        assert_eq!(way("/oauth/authorize?client_id=1&state=%2F"), "/oauth/authorize?client_id=1&state=%2F");
        for elsewhere in ["", "//evil.example", "https://evil.example", "/apps", "/\\evil", "/auth/browser/a\r\nx: y"] {
            assert_eq!(way(elsewhere), HOME, "{elsewhere}");
        }
    }
}
