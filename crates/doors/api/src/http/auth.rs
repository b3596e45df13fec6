//! Who calls: what the `Authorization` header says, and whose account that is.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use vocabulary::{Secret, basic_credentials};

use crate::http::error::Result;
use crate::http::state::State;

/// Whoever is signed in; put into the request by [`crate::http::guard`], and taken out by the policy point alone.
pub(crate) use access::Caller;

/// What an `Authorization` header holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// `Bearer TOKEN`, or what may be a token in `Basic`: the password, whatever the user's name.
    Token(Secret),
    /// `Basic` with an email: a token is tried first, for clients send `email:token`, too.
    Password {
        /// The email.
        email: String,
        /// The password, or a token.
        password: Secret,
    },
}

/// Reads the header; nothing if there is none, or it makes no sense, or there are several and one may be somebody
/// else's.
pub(crate) fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let header = only(headers)?.to_str().ok()?;
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Token(Secret::new(rest.trim())));
    }
    let (user, password) = basic_credentials(header)?;
    if user.contains('@') {
        return Some(Credentials::Password { email: user.to_lowercase(), password });
    }
    Some(Credentials::Token(if password.reveal().is_empty() { Secret::new(user) } else { password }))
}

fn only(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    all.next().filter(|_| all.next().is_none())
}

/// The account a token stands for.
pub(crate) async fn by_token(state: &State, token: &Secret) -> Result<Option<Caller>> {
    let Some(authorization) = store::authorizations::by_token(&state.store, token).await? else { return Ok(None) };
    let account = store::accounts::get(&state.store, authorization.account_id).await?;
    Ok(account.map(|account| Caller { account, authorization: Some(authorization) }))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn of(header: &str) -> Option<Credentials> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn a_token_comes_in_many_forms() {
        let token = || Some(Credentials::Token(Secret::new("T")));
        assert_eq!(of("Bearer T"), token());
        assert_eq!(of(&format!("Basic {}", STANDARD.encode(":T"))), token());
        assert_eq!(of(&format!("basic {}", STANDARD.encode("heroku:T"))), token());
        assert_eq!(of(&format!("Basic {}", STANDARD.encode("T:"))), token());
        let email = Credentials::Password { email: "a@b.c".to_owned(), password: Secret::new("p:q") };
        assert_eq!(of(&format!("Basic {}", STANDARD.encode("A@b.c:p:q"))), Some(email));
        assert_eq!(of("Basic !"), None);
        assert_eq!(of("Digest x"), None);
    }

    #[test]
    fn of_two_headers_neither_counts() {
        let headers = HeaderMap::from_iter(["Bearer T", "Bearer U"].map(|one| (AUTHORIZATION, one.parse().unwrap())));
        assert_eq!(credentials(&headers), None);
    }
}
