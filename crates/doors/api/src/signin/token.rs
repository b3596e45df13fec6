//! `/oauth/token`: `POST /oauth/tokens` as RFC 6749 has it, for libraries that know nothing of Heroku.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use vocabulary::{Secret, basic_credentials};

use crate::http::client::ClientAddress;
use crate::http::state::Shared;
use crate::resources::oauth_tokens::{ACCESS_SECONDS, Given, exchange};
use crate::signin::fields::Fields;

/// `POST /oauth/token`
pub(crate) async fn create(
    State(state): State<Shared>,
    from: ClientAddress,
    headers: HeaderMap,
    fields: Fields,
) -> Response {
    let given = match fields.text("grant_type") {
        "authorization_code" => {
            let verifier = fields.given("code_verifier").map(Secret::new);
            Given::Code { code: fields.secret("code"), verifier }
        }
        "refresh_token" => Given::Refresh(fields.secret("refresh_token")),
        _ => {
            return refused(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "Use authorization_code or refresh_token.",
            );
        }
    };
    let secret = fields.given("client_secret").map(Secret::new).or_else(|| basic(&headers));
    match exchange(&state, &from, &secret.unwrap_or_else(|| Secret::new("")), given).await {
        Ok(tokens) => Json(json!({
            "access_token": tokens.access.reveal(),
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "refresh_token": tokens.refresh.reveal(),
            "user_id": tokens.authorization.account_id.to_string(),
            "session_nonce": null,
        }))
        .into_response(),
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            refused(error.status(), "invalid_grant", error.message())
        }
        Err(error) => error.into_response(),
    }
}

/// The secret of `Basic CLIENT:SECRET`, whose parts are written as in forms (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<Secret> {
    let (_, secret) = basic_credentials(headers.get(AUTHORIZATION)?.to_str().ok()?)?;
    url::form_urlencoded::parse(secret.reveal().as_bytes()).next().map(|(secret, _)| Secret::new(secret))
}

/// An error in both vocabularies.
fn refused(status: StatusCode, error: &str, message: &str) -> Response {
    let body = json!({ "error": error, "error_description": message, "id": error, "message": message });
    (status, Json(body)).into_response()
}
