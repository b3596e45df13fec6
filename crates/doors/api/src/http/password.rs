//! Passwords: argon2id, a few at a time, each email and each client only so often.

use std::time::Instant;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use store::accounts::Account;
use vocabulary::Secret;

use crate::http::client::ClientAddress;
use crate::http::error::{Error, Result};
use crate::http::state::State;

/// The longest email in bytes (RFC 5321: a path of 256 with its brackets). Whoever calls chooses it, and each is a key
/// that is kept.
const LONGEST_EMAIL: usize = 254;
/// The shortest password (NIST SP 800-63B, 3.1.1.2: eight characters at least).
const SHORTEST: usize = 8;
/// The longest password in bytes; longer ones only cost.
const LONGEST: usize = 1024;

/// The account of an email, if this is its password. Takes as long for an email without an account. Only wrong
/// attempts count against the limits.
pub(crate) async fn account(
    state: &State,
    client: &ClientAddress,
    email: &str,
    password: &Secret,
) -> Result<Option<Account>> {
    if email.len() > LONGEST_EMAIL || password.reveal().len() > LONGEST {
        return Ok(None);
    }
    let email = email.to_lowercase();
    let now = Instant::now();
    // The client's own limit first: one client must not fill the table of emails.
    if state.guesses.take(client.clone(), now).is_none() {
        return Err(Error::too_many_attempts());
    }
    let attempt = state.attempts.begin(&email, client, now).ok_or_else(Error::too_many_attempts)?;
    let account = store::accounts::by_email(&state.store, &email).await?;
    let known = account.as_ref().map(|account| account.password_hash.clone());
    let right = matches(state, known, password.clone()).await?;
    if right {
        state.guesses.put_back(client);
        state.attempts.was_right(attempt, now);
    }
    Ok(account.filter(|_| right))
}

/// Whether this is the account's password, for who is signed in already.
pub(crate) async fn is_of(state: &State, client: &ClientAddress, account: &Account, password: &Secret) -> Result<bool> {
    let found = self::account(state, client, &account.email, password).await?;
    Ok(found.is_some_and(|found| found.id == account.id))
}

async fn matches(state: &State, known: Option<Secret>, password: Secret) -> Result<bool> {
    let _turn = state.passwords.acquire().await.map_err(|error| Error::internal(&error))?;
    let right = tokio::task::spawn_blocking(move || match known {
        Some(known) => is(&password, &known),
        None => hash(&password).is_none(),
    });
    right.await.map_err(|error| Error::internal(&error))
}

/// The hash of a new password, or why it cannot be one.
pub(crate) async fn new_hash(state: &State, password: &Secret) -> Result<Secret> {
    fits(password).map_err(Error::invalid)?;
    let _turn = state.passwords.acquire().await.map_err(|error| Error::internal(&error))?;
    let password = password.clone();
    let hash = tokio::task::spawn_blocking(move || hash(&password)).await.map_err(|error| Error::internal(&error))?;
    hash.ok_or_else(Error::broken)
}

/// Whether a text can be a password; if not, why.
pub(crate) fn fits(password: &Secret) -> std::result::Result<(), String> {
    match password.reveal().len() {
        length if length > LONGEST => Err(format!("A password has at most {LONGEST} bytes.")),
        _ if password.reveal().chars().count() < SHORTEST => {
            Err(format!("A password has at least {SHORTEST} characters."))
        }
        _ => Ok(()),
    }
}

/// An email in lower case; if it cannot be one, why. Whether mail reaches it is not asked.
pub(crate) fn email(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    let sound = text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !host.contains('@') && text.len() <= LONGEST_EMAIL
    });
    // A colon would end the email where it is sent with a password (RFC 7617).
    if !sound || text.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == ':') {
        return Err(format!("{text:?} is no email address."));
    }
    Ok(text.to_lowercase())
}

/// The PHC string of a password. Blocks for some tens of milliseconds.
pub(crate) fn hash(password: &Secret) -> Option<Secret> {
    let hash = Argon2::default().hash_password(password.reveal().as_bytes()).ok()?;
    Some(Secret::new(hash.to_string()))
}

fn is(password: &Secret, hash: &Secret) -> bool {
    let Ok(hash) = PasswordHash::new(hash.reveal()) else { return false };
    Argon2::default().verify_password(password.reveal().as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password() {
        let known = hash(&Secret::new("right")).unwrap();
        assert!(known.reveal().starts_with("$argon2id$"));
        assert!(is(&Secret::new("right"), &known));
        assert!(!is(&Secret::new("wrong"), &known));
        assert!(!is(&Secret::new(""), &Secret::new("")));
    }

    #[test]
    fn an_email_has_a_name_and_a_host() {
        assert_eq!(email(" Ada@Example.com "), Ok("ada@example.com".to_owned()));
        for wrong in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c", "a:b@c", &format!("{}@b", "a".repeat(254))] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_has_eight_characters() {
        assert!(fits(&Secret::new("1234567")).is_err());
        assert!(fits(&Secret::new("pässword")).is_ok());
        assert!(fits(&Secret::new("x".repeat(1025))).is_err());
    }
}
