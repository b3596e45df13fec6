//! What an operator does to accounts, from the machine itself: no token is asked for, as whoever can open the store
//! can do all of it anyhow.

use store::Store;
use store::accounts::Account;
use store::authorizations::New;
use vocabulary::{AppName, Secret, TeamName, Timestamp};

use crate::http::{password, scope};
use crate::setup::{new_token, random_text};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// What was asked for cannot be.
    #[error("{0}")]
    Invalid(String),
    /// No account has this email.
    #[error("nobody has the email {0}; `slipway users list` lists everybody")]
    Unknown(String),
    /// The account owns apps.
    #[error("{email} owns {}; destroy or transfer what they own first", names(.apps))]
    OwnsApps {
        /// Its email.
        email: String,
        /// What it owns.
        apps: Vec<AppName>,
    },
    /// The account is the only admin of a team.
    #[error("{email} is the only admin of the team {team}; somebody else has to become one first")]
    LeadsTeam {
        /// Its email.
        email: String,
        /// The team.
        team: TeamName,
    },
    /// The password could not be hashed.
    #[error("could not hash the password")]
    Hash,
    /// The store failed.
    #[error("could not change the record of accounts")]
    Store(#[source] store::Error),
}

impl From<store::Error> for UserError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Taken(_) => Self::Invalid("that email has an account already".to_owned()),
            error => Self::Store(error),
        }
    }
}

/// An account, and how many apps it owns.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The account.
    pub account: Account,
    /// How many apps.
    pub apps: usize,
}

/// What a token is made for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What its owner reads in a list.
    pub description: String,
    /// Seconds until it ends; never without.
    pub expires_in: Option<u32>,
    /// What it may do.
    pub scope: Vec<String>,
}

/// Makes an account; with a password that is made for it, if none is given. Answers the password.
pub async fn add(store: &Store, email: &str, given: Option<Secret>) -> Result<Secret, UserError> {
    let email = password::email(email).map_err(UserError::Invalid)?;
    let (password, hash) = hashed(given)?;
    let mut write = store.write().await?;
    store::accounts::create(&mut write, &email, &hash).await?;
    write.commit().await?;
    Ok(password)
}

/// Gives an account another password and ends all its sessions; tokens stay good. Answers the password.
pub async fn set_password(store: &Store, email: &str, given: Option<Secret>) -> Result<Secret, UserError> {
    let account = find(store, email).await?;
    let (password, hash) = hashed(given)?;
    let mut write = store.write().await?;
    store::accounts::set_password(&mut write, account.id, &hash).await?;
    store::sessions::delete_others(&mut write, account.id, None).await?;
    write.commit().await?;
    Ok(password)
}

/// Makes a token for an account.
pub async fn token(store: &Store, email: &str, wish: &Wish) -> Result<Secret, UserError> {
    let account = find(store, email).await?;
    scope::known(&wish.scope).map_err(|error| UserError::Invalid(error.message().to_owned()))?;
    let in_seconds = |seconds| Timestamp::from_micros(Timestamp::now().micros() + i64::from(seconds) * 1_000_000);
    let token = new_token();
    let new = New {
        account_id: account.id,
        token: &token,
        description: &wish.description,
        scope: &wish.scope,
        is_default: false,
        expires_at: wish.expires_in.map(in_seconds),
    };
    let mut write = store.write().await?;
    store::authorizations::create(&mut write, &new).await?;
    write.commit().await?;
    Ok(token)
}

/// Turns an account's second factor off, for somebody who lost theirs.
pub async fn disable_two_factor(store: &Store, email: &str) -> Result<(), UserError> {
    let account = find(store, email).await?;
    let mut write = store.write().await?;
    store::second_factors::remove(&mut write, account.id).await?;
    Ok(write.commit().await?)
}

/// Everybody who can sign in, by email.
#[expect(clippy::disallowed_methods, reason = "an operator is asked for no permission")]
pub async fn list(store: &Store) -> Result<Vec<Listed>, UserError> {
    let mut all = vec![];
    for account in store::accounts::all(store).await? {
        let apps = store::apps::owned_by(store, account.id).await?.len();
        all.push(Listed { account, apps });
    }
    Ok(all)
}

/// Removes an account that owns no app and leads no team alone.
#[expect(clippy::disallowed_methods, reason = "an operator is asked for no permission")]
pub async fn remove(store: &Store, email: &str) -> Result<(), UserError> {
    let account = find(store, email).await?;
    let mut write = store.write().await?;
    if store::accounts::remove(&mut write, account.id).await? {
        return Ok(write.commit().await?);
    }
    drop(write);
    if let Some(team) = store::teams::led_alone_by(store, account.id).await?.into_iter().next() {
        return Err(UserError::LeadsTeam { email: account.email, team: team.name });
    }
    let owned = store::apps::owned_by(store, account.id).await?.into_iter().filter(|app| app.team_id.is_none());
    Err(UserError::OwnsApps { email: account.email, apps: owned.map(|app| app.name).collect() })
}

/// The code an authenticator with this secret shows now. For tests, which have no authenticator.
#[doc(hidden)]
#[must_use]
pub fn code_now(secret: &Secret) -> Option<String> {
    crate::http::second_factor::code_at_moment(secret, Timestamp::now())
}

async fn find(store: &Store, email: &str) -> Result<Account, UserError> {
    let email = password::email(email).map_err(UserError::Invalid)?;
    store::accounts::by_email(store, &email).await?.ok_or(UserError::Unknown(email))
}

/// A password with its hash.
fn hashed(given: Option<Secret>) -> Result<(Secret, Secret), UserError> {
    let password = given.unwrap_or_else(|| Secret::new(random_text::<18>()));
    password::fits(&password).map_err(UserError::Invalid)?;
    let hash = password::hash(&password).ok_or(UserError::Hash)?;
    Ok((password, hash))
}

fn names(apps: &[AppName]) -> String {
    apps.iter().map(AppName::as_str).collect::<Vec<_>>().join(", ")
}
