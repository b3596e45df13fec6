//! Who may use which repository.
//!
//! Basic credentials: any user name, the API token as password. Without a valid token every repository asks for one;
//! with one, a repository that is not there and one of an app the caller has nothing to do with answer the same. Who may
//! is the policy point's to say (crate `access`).

use access::action::{Deploy, FetchCode};
use access::{Caller, OnApp, permit};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use store::Store;
use store::accounts::Account;
use store::apps::App;
use vocabulary::{AppId, AppName, Secret, basic_credentials};

use crate::Git;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Fetch,
    Push,
}

/// Why they may not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    #[error("Invalid credentials provided.")]
    Credentials,
    #[error("No such app.")]
    NotFound,
    #[error("Your authorization does not include the scope for this.")]
    Scope,
    #[error("You need the deploy permission on this app.")]
    Permission,
    #[error("The platform could not look up the app. Try again.")]
    Store(#[from] store::Error),
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let text = format!("{self}\n");
        match self {
            Self::Credentials => {
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"Slipway\"")], text).into_response()
            }
            Self::NotFound => (StatusCode::NOT_FOUND, text).into_response(),
            Self::Scope | Self::Permission => (StatusCode::FORBIDDEN, text).into_response(),
            Self::Store(error) => {
                tracing::error!(%error, "could not look up a repository's app");
                let away = error.is_away();
                let status = if away { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
                (status, text).into_response()
            }
        }
    }
}

/// Somebody who may do what they wished, and what says so.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) app: App,
    pub(crate) account: Account,
    pub(crate) token: Token,
}

/// What somebody came with.
#[derive(Debug, Clone)]
pub(crate) struct Token(Secret);

impl Token {
    async fn caller(&self, store: &Store) -> Result<Caller, Denied> {
        let authorization = store::authorizations::by_token(store, &self.0).await?.ok_or(Denied::Credentials)?;
        let account = store::accounts::get(store, authorization.account_id).await?.ok_or(Denied::Credentials)?;
        Ok(Caller { account, authorization: Some(authorization) })
    }

    /// Whether the app may still be pushed to with it: a pack takes its time, and who sends it decides how long.
    pub(crate) async fn still_pushes(&self, store: &Store, app: AppId) -> Result<(), Denied> {
        permit::<Deploy>(store, self.caller(store).await?, &app.to_string()).await?;
        Ok(())
    }
}

impl Git {
    /// The app behind `repository` (`NAME.git`) and the account that may use it.
    pub(crate) async fn allowed(&self, headers: &HeaderMap, repository: &str, wish: Wish) -> Result<Allowed, Denied> {
        let token = password(headers).map(Token).ok_or(Denied::Credentials)?;
        let caller = token.caller(&self.store).await?;
        let name: Option<AppName> = repository.strip_suffix(".git").and_then(|name| name.parse().ok());
        let name = name.ok_or(Denied::NotFound)?;
        let own = match wish {
            Wish::Fetch => OnApp::clone(&*permit::<FetchCode>(&self.store, caller, name.as_str()).await?),
            Wish::Push => OnApp::clone(&*permit::<Deploy>(&self.store, caller, name.as_str()).await?),
        };
        Ok(Allowed { app: own.app, account: own.caller.account, token })
    }
}

/// To a stranger an app that is there looks like one that is not.
impl From<access::Denied> for Denied {
    fn from(denied: access::Denied) -> Self {
        match denied {
            access::Denied::NotFound(_) | access::Denied::Stranger(_) | access::Denied::Role(_) => Self::NotFound,
            access::Denied::Lacks { .. } => Self::Permission,
            access::Denied::Scope => Self::Scope,
            access::Denied::Store(error) => Self::Store(error),
        }
    }
}

fn password(headers: &HeaderMap) -> Option<Secret> {
    let (_, password) = basic_credentials(headers.get(AUTHORIZATION)?.to_str().ok()?)?;
    (!password.reveal().is_empty()).then_some(password)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn the_password_is_the_token_whoever_the_user() {
        let basic = |text: &str| headers(&format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(password(&basic("heroku:abc")), Some(Secret::new("abc")));
        assert_eq!(password(&basic(":a:b")), Some(Secret::new("a:b")));
        for bad in [basic("heroku:"), basic("abc"), headers("Bearer abc"), headers("Basic !"), HeaderMap::new()] {
            assert_eq!(password(&bad), None);
        }
    }
}
