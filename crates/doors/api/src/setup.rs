//! The first administrator.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::Store;
use store::authorizations::New;
use vocabulary::Secret;

use crate::http::password;

/// Why there is no administrator.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The store failed, or has an account of that email.
    #[error("could not record the administrator")]
    Store(#[from] store::Error),
    /// The password could not be hashed.
    #[error("could not hash the administrator's password")]
    Hash,
    /// Password and key could not be kept.
    #[error("could not keep the administrator's password and key")]
    Keep(#[source] std::io::Error),
}

/// Makes an account with a password and an API key of its own; both are given to `keep` and to nobody else ever after.
/// It is asked before the account is there: one whose password nobody knows would shut its owner out.
///
/// Fails with [`store::Error::Taken`] within [`SetupError::Store`] if the email has an account.
pub async fn create_administrator(
    store: &Store,
    email: &str,
    keep: impl FnOnce(&Secret, &Secret) -> std::io::Result<()> + Send,
) -> Result<(), SetupError> {
    let (password, token) = (Secret::new(random_text::<18>()), new_token());
    let hash = password::hash(&password).ok_or(SetupError::Hash)?;
    let mut write = store.write().await?;
    let account = store::accounts::create(&mut write, email, &hash).await?;
    let new = New {
        account_id: account.id,
        token: &token,
        description: "API key",
        scope: &["global".to_owned()],
        is_default: true,
        expires_at: None,
    };
    store::authorizations::create(&mut write, &new).await?;
    keep(&password, &token).map_err(SetupError::Keep)?;
    write.commit().await?;
    Ok(())
}

/// A new access token: `HRKU-` as Heroku's begin, then 59 characters.
pub(crate) fn new_token() -> Secret {
    let text = random_text::<45>();
    Secret::new(format!("HRKU-{}", text.get(..59).unwrap_or(&text)))
}

/// So many random bytes as letters, digits, `-` and `_`.
#[expect(
    clippy::expect_used,
    reason = "without the kernel's randomness no secret may be made, and nothing can be done"
)]
pub(crate) fn random_text<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_looks_like_herokus() {
        let token = new_token();
        assert_eq!(token.reveal().len(), 64);
        assert!(token.reveal().starts_with("HRKU-"));
        assert!(token != new_token());
    }
}
