//! Accounts: who may sign in.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use vocabulary::{AccountId, Secret, Timestamp};

use crate::row::{parsed, time};
use crate::{Error, Store, Write};

/// A user.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Lower case; how people name it.
    pub email: String,
    /// Full name, if given.
    pub name: Option<String>,
    /// argon2id, as a PHC string.
    pub password_hash: Secret,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Emails by account.
pub type Emails = BTreeMap<AccountId, String>;

fn account(row: &SqliteRow) -> Result<Account, Error> {
    Ok(Account {
        id: parsed(row, "id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        password_hash: Secret::new(row.try_get::<String, _>("password_hash")?),
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Makes an account. Fails with [`Error::Taken`] if the email has one.
pub async fn create(write: &mut Write, email: &str, password_hash: &Secret) -> Result<Account, Error> {
    let now = Timestamp::now();
    let row = sqlx::query(
        "INSERT INTO accounts (id, email, password_hash, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) \
         RETURNING *",
    )
    .bind(AccountId::new().to_string())
    .bind(email.to_lowercase())
    .bind(password_hash.reveal())
    .bind(now.micros())
    .fetch_one(&mut *write.transaction)
    .await
    .map_err(Error::taken("email"))?;
    account(&row)
}

/// The account with this id.
pub async fn get(store: &Store, id: AccountId) -> Result<Option<Account>, Error> {
    let row = sqlx::query("SELECT * FROM accounts WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(account).transpose()
}

/// The account with this email, compared without case.
pub async fn by_email(store: &Store, email: &str) -> Result<Option<Account>, Error> {
    let row = sqlx::query("SELECT * FROM accounts WHERE email = $1").bind(email.to_lowercase());
    row.fetch_optional(&store.readers).await?.as_ref().map(account).transpose()
}

/// The email of each of these accounts that is there.
pub async fn emails(store: &Store, ids: Vec<AccountId>) -> Result<Emails, Error> {
    let mut emails = Emails::new();
    for id in ids {
        if !emails.contains_key(&id)
            && let Some(account) = get(store, id).await?
        {
            emails.insert(id, account.email);
        }
    }
    Ok(emails)
}

/// How many there are.
pub async fn count(store: &Store) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM accounts").fetch_one(&store.readers).await?)
}
