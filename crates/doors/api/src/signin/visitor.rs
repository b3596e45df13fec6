//! Who looks at a page: their cookie, whether it is a session's, and the proof that a form of theirs is ours.

use axum::extract::FromRequestParts;
use http::header::{COOKIE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use store::accounts::Account;
use store::sessions::Session;
use vocabulary::{Secret, Timestamp};

use crate::http::base::Base;
use crate::http::error::Error;
use crate::http::state::{Shared, State};
use crate::resources::oauth_tokens::in_seconds;
use crate::setup::random_text;
use crate::signin::fields::Fields;
use crate::signin::page::PageError;

/// How long a browser stays signed in, and a form can be sent: twelve hours.
pub(crate) const SECONDS: i64 = 12 * 3600;

/// A visitor.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// What their cookie holds: a session's secret, or, before that, a random text that forms are bound to.
    cookie: Secret,
    /// Whether they do not have that cookie yet.
    new: bool,
    /// Whether the page came over TLS.
    encrypted: bool,
    /// What forms carry.
    form: String,
    /// Who is signed in.
    pub(crate) signed_in: Option<(Account, Session)>,
    /// Where the request says it comes from, if that is not this host.
    foreign: bool,
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, PageError> {
        let Ok(base) = Base::from_request_parts(parts, state).await;
        let encrypted = base.scheme == "https";
        let had = cookie(&parts.headers, encrypted);
        let signed_in = match &had {
            None => None,
            Some(cookie) => signed_in(state, cookie).await?,
        };
        let new = had.is_none();
        let cookie = had.unwrap_or_else(|| Secret::new(random_text::<32>()));
        let form = state.store.key().token(&context(&cookie), &in_seconds(SECONDS).micros())?;
        let foreign = foreign(&parts.headers, &base.host);
        Ok(Self { cookie, new, encrypted, form, signed_in, foreign })
    }
}

impl Visitor {
    /// The field that proves a form to be ours.
    pub(crate) fn hidden_field(&self) -> String {
        format!("<input type=\"hidden\" name=\"form\" value=\"{}\">", self.form)
    }

    /// Refuses a form that is not ours.
    pub(crate) fn sent(&self, state: &State, fields: &Fields) -> Result<(), PageError> {
        let until = state.store.key().open_token::<i64>(&context(&self.cookie), fields.text("form"));
        let ours = !self.foreign && until.is_ok_and(|until| until > Timestamp::now().micros());
        if ours {
            return Ok(());
        }
        Err(PageError(Error::forbidden(
            "This form is too old, or was not shown by this platform. Go back and try again.",
        )))
    }

    /// A text only this visitor's next form can bring back; `what` names its kind.
    pub(crate) fn seal<T: serde::Serialize>(&self, state: &State, what: &str, value: &T) -> Result<String, PageError> {
        Ok(state.store.key().token(&format!("{what}/{}", context(&self.cookie)), value)?)
    }

    /// Reads such a text; nothing if it is none.
    pub(crate) fn open<T: serde::de::DeserializeOwned>(&self, state: &State, what: &str, text: &str) -> Option<T> {
        state.store.key().open_token(&format!("{what}/{}", context(&self.cookie)), text).ok()
    }

    /// The header that gives a visitor their cookie, if they do not have it.
    pub(crate) fn set_cookie(&self) -> Option<HeaderValue> {
        self.new.then(|| set_cookie(&self.cookie, self.encrypted)).flatten()
    }

    /// The header that gives a visitor another cookie.
    pub(crate) fn set_other_cookie(&self, cookie: &Secret) -> Option<HeaderValue> {
        set_cookie(cookie, self.encrypted)
    }
}

async fn signed_in(state: &State, cookie: &Secret) -> Result<Option<(Account, Session)>, PageError> {
    let Some(session) = store::sessions::by_cookie(&state.store, cookie).await? else { return Ok(None) };
    let account = store::accounts::get(&state.store, session.account_id).await?;
    Ok(account.map(|account| (account, session)))
}

fn context(cookie: &Secret) -> String {
    let hash = vocabulary::Digest::from_bytes(&Sha256::digest(cookie.reveal()).into());
    format!("form/{}", hash.as_str())
}

/// Over TLS a name that only this very host can have set (RFC 6265bis, "Cookie Name Prefixes").
fn name(encrypted: bool) -> &'static str {
    if encrypted { "__Host-slipway" } else { "slipway" }
}

fn cookie(headers: &HeaderMap, encrypted: bool) -> Option<Secret> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut ours = all.filter_map(|one| one.trim().split_once('=')).filter(|(known, _)| *known == name(encrypted));
    ours.next().map(|(_, value)| Secret::new(value)).filter(|cookie| cookie.reveal().len() >= 32)
}

fn set_cookie(cookie: &Secret, encrypted: bool) -> Option<HeaderValue> {
    let secure = if encrypted { "; Secure" } else { "" };
    let text =
        format!("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={SECONDS}{secure}", name(encrypted), cookie.reveal());
    HeaderValue::from_str(&text).ok().map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

/// Whether a browser says that a request was made by a page of another host. The scheme is not compared: it changes on
/// the way where something in front of us ends TLS.
fn foreign(headers: &HeaderMap, host: &str) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (header(ORIGIN.as_str()), header("sec-fetch-site")) {
        (Some(origin), _) => origin.split_once("://").is_none_or(|(_, authority)| authority != host),
        (None, Some(site)) => site != "same-origin" && site != "none",
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_form_comes_from_this_host() {
        let from = |all: &[(&'static str, &str)]| foreign(&headers(all), "login.example:5080");
        assert!(!from(&[("origin", "http://login.example:5080")]));
        assert!(!from(&[]));
        assert!(!from(&[("sec-fetch-site", "same-origin")]));
        for origin in ["null", "http://login.example", "https://app.login.example:5080", "http://evil.example"] {
            assert!(from(&[("origin", origin)]), "{origin}");
        }
        assert!(from(&[("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn over_tls_only_the_hosts_own_cookie_counts() {
        let value = "x".repeat(43);
        let both = headers(&[("cookie", &format!("a=b; slipway=evil; __Host-slipway={value}"))]);
        assert_eq!(cookie(&both, true), Some(Secret::new(&*value)));
        assert_eq!(cookie(&both, false), None, "too short to be ours");
        assert!(set_cookie(&Secret::new(value), true).unwrap().to_str().unwrap().ends_with("; Secure"));
    }
}
