//! Passwords: argon2id, a few at a time, each email only so often.

use std::time::Instant;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use store::accounts::Account;
use vocabulary::Secret;

use crate::http::error::{Error, Result};
use crate::http::state::State;

/// The longest email in bytes (RFC 5321: a path of 256 with its brackets). Whoever calls chooses it, and each is a key
/// that is kept.
const LONGEST_EMAIL: usize = 254;

/// The account of an email, if this is its password. Takes as long for an email without an account.
pub(crate) async fn account(state: &State, email: &str, password: &Secret) -> Result<Option<Account>> {
    if email.len() > LONGEST_EMAIL {
        return Ok(None);
    }
    if state.attempts.take(email.to_owned(), Instant::now()).is_none() {
        return Err(Error::rate_limit());
    }
    let account = store::accounts::by_email(&state.store, email).await?;
    let _turn = state.passwords.acquire().await.map_err(|error| Error::internal(&error))?;
    let known = account.as_ref().map(|account| account.password_hash.clone());
    let password = password.clone();
    let right = tokio::task::spawn_blocking(move || match known {
        Some(known) => is(&password, &known),
        None => hash(&password).is_none(),
    });
    let right = right.await.map_err(|error| Error::internal(&error))?;
    Ok(account.filter(|_| right))
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
    }
}
