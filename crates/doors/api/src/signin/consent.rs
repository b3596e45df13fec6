//! `/oauth/authorize`: a client asks its user for what it may do (RFC 6749, 4.1; RFC 7636).

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_SECURITY_POLICY;
use store::oauth_clients::Client;
use url::Url;

use crate::http::auth::Caller;
use crate::http::error::Error;
use crate::http::scope;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::{authorizations, oauth_clients};
use crate::signin::fields::Fields;
use crate::signin::home::{redirect, sign_in_first};
use crate::signin::page::{PageError, Result, Text, shown, signed_in_as};
use crate::signin::visitor::Visitor;

/// What each scope lets a client do, in a user's words.
const MEANINGS: [(&str, &str); 6] = [
    ("global", "do everything you can do"),
    ("identity", "read your name and email"),
    ("read", "read your apps, without their config vars"),
    ("write", "change your apps, without their config vars"),
    ("read-protected", "read your apps and their config vars"),
    ("write-protected", "change your apps and their config vars"),
];

/// What a client asks for.
struct Asked {
    client: Client,
    scope: Vec<String>,
    state: Option<String>,
    challenge: Option<String>,
}

/// What is wrong with it: told to the visitor if the client is not known, else to the client.
enum Refused {
    Here(PageError),
    There(Box<Asked>, &'static str),
}

/// `GET /oauth/authorize`
pub(crate) async fn show(State(state): State<Shared>, RawQuery(query): RawQuery, visitor: Visitor) -> Result {
    let query = query.unwrap_or_default();
    let asked = match asked(&state, &Fields::parse(query.as_bytes())).await {
        Ok(asked) => asked,
        Err(refused) => return refused.told(),
    };
    let here = format!("/oauth/authorize?{query}");
    let Some((account, _)) = &visitor.signed_in else { return Ok(redirect(&sign_in_first(&here), None)) };
    let meaning = |scope: &String| MEANINGS.iter().find(|(known, _)| known == scope).map_or("", |(_, meaning)| meaning);
    let wishes: Vec<String> = asked.scope.iter().map(|scope| format!("<li>{}</li>", meaning(scope))).collect();
    let body = format!(
        "<p><strong>{}</strong> asks to</p>\n<ul>{}</ul>\n<p>and takes you back to <code>{}</code>.</p>\n\
         <form method=\"post\" action=\"{}\">{}<div class=\"actions\">\
         <button name=\"answer\" value=\"yes\">Allow</button>\
         <button class=\"other\" name=\"answer\" value=\"no\">Refuse</button></div></form>\n{}",
        Text(&asked.client.name),
        wishes.concat(),
        Text(&asked.client.redirect_uri),
        Text(&here),
        visitor.hidden_field(),
        signed_in_as(&visitor, &account.email, &here),
    );
    Ok(asked.lets_its_form_lead_there(shown(StatusCode::OK, "Allow access", &body)))
}

/// `POST /oauth/authorize`, with what was asked behind the `?` as before.
pub(crate) async fn answer(
    State(state): State<Shared>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
    fields: Fields,
) -> Result {
    visitor.sent(&state, &fields)?;
    let query = query.unwrap_or_default();
    let asked = match asked(&state, &Fields::parse(query.as_bytes())).await {
        Ok(asked) => asked,
        Err(refused) => return refused.told(),
    };
    let Some((account, _)) = visitor.signed_in else {
        return Ok(redirect(&sign_in_first(&format!("/oauth/authorize?{query}")), None));
    };
    if fields.text("answer") != "yes" {
        return asked.back(&[("error", "access_denied")]);
    }
    let caller = Caller { account, authorization: None };
    let Asked { client, scope, challenge, .. } = &asked;
    let given = authorizations::granted(&state, &caller, client.id, &client.name, scope, challenge.as_deref()).await;
    let (_, grant) = given?;
    asked.back(&[("code", &grant.code)])
}

async fn asked(state: &ApiState, fields: &Fields) -> std::result::Result<Asked, Refused> {
    let here = |error: Error| Refused::Here(PageError(error));
    let client = oauth_clients::anyones(state, fields.text("client_id")).await.map_err(here)?;
    // Compared as text: any laxer comparison has let codes be sent astray (RFC 9700, 4.1).
    if fields.given("redirect_uri").is_some_and(|uri| uri != client.redirect_uri) {
        return Err(here(Error::invalid("redirect_uri is not the one this client is registered with.")));
    }
    let scope = fields.given("scope").unwrap_or("identity").split([' ', ',', '+']).filter(|one| !one.is_empty());
    let challenge = fields.given("code_challenge").map(str::to_owned);
    let scope: Vec<String> = scope.map(str::to_owned).collect();
    let asked = Asked { client, scope, state: fields.given("state").map(str::to_owned), challenge };
    let wrong = if fields.text("response_type") != "code" {
        Some("unsupported_response_type")
    } else if scope::known(&asked.scope).is_err() {
        Some("invalid_scope")
    } else if asked.challenge.is_some() && fields.text("code_challenge_method") != "S256" {
        Some("invalid_request")
    } else {
        None
    };
    match wrong {
        None => Ok(asked),
        Some(wrong) => Err(Refused::There(Box::new(asked), wrong)),
    }
}

impl Refused {
    fn told(self) -> Result {
        match self {
            Self::Here(error) => Err(error),
            Self::There(asked, error) => asked.back(&[("error", error)]),
        }
    }
}

impl Asked {
    /// Sends the visitor back to the client.
    fn back(&self, with: &[(&str, &str)]) -> Result {
        let mut url = Url::parse(&self.client.redirect_uri).map_err(|_| Error::broken())?;
        url.query_pairs_mut().extend_pairs(with).extend_pairs(self.state.iter().map(|state| ("state", state)));
        Ok(self.lets_its_form_lead_there((StatusCode::SEE_OTHER, [("location", url.as_str())]).into_response()))
    }

    /// Browsers hold the page's policy for forms against where the answer to one leads.
    fn lets_its_form_lead_there(&self, mut response: Response) -> Response {
        let there = Url::parse(&self.client.redirect_uri).map(|url| url.origin().ascii_serialization());
        let policy = format!(
            "default-src 'none'; style-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            there.unwrap_or_default()
        );
        if let Ok(policy) = policy.parse() {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}
