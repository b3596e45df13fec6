//! Accounts: who may sign in.

use std::collections::BTreeMap;

use vocabulary::{AccountId, Secret, Timestamp};

use crate::row::{parsed, time, time_option};
use crate::sql::{self, Row};
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
    /// argon2id, as a PHC string; empty for an account that was removed.
    pub password_hash: Secret,
    /// Whether a code is asked for beside the password.
    pub second_factor: bool,
    /// When its password was last accepted.
    pub last_login: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Emails by account.
pub type Emails = BTreeMap<AccountId, String>;
/// A selection of accounts.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT accounts.*, EXISTS (SELECT 1 FROM second_factors WHERE account_id = accounts.id) AS second_factor ",
            "FROM accounts ",
            $rest
        )
    };
}

fn account(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        id: parsed(row, "id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        password_hash: Secret::new(row.try_get::<String>("password_hash")?),
        second_factor: row.try_get("second_factor")?,
        last_login: time_option(row, "last_login")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Makes an account. Fails with [`Error::Taken`] if the email has one.
pub async fn create(write: &mut Write, email: &str, password_hash: &Secret) -> Result<Account, Error> {
    let now = Timestamp::now();
    let row = sql::query(
        "INSERT INTO accounts (id, email, password_hash, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) \
         RETURNING *, 0 AS second_factor",
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
    let row = sql::query(select!("WHERE id = $1")).bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(account).transpose()
}

/// The account with this email, compared without case.
pub async fn by_email(store: &Store, email: &str) -> Result<Option<Account>, Error> {
    let row = sql::query(select!("WHERE email = $1")).bind(email.to_lowercase());
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

/// Everybody who can sign in, by email.
pub async fn all(store: &Store) -> Result<Vec<Account>, Error> {
    let rows = sql::query(select!("WHERE password_hash <> '' ORDER BY email")).fetch_all(&store.readers).await?;
    rows.iter().map(account).collect()
}

/// How many there are.
pub async fn count(store: &Store) -> Result<i64, Error> {
    Ok(sql::query_scalar("SELECT count(*) FROM accounts").fetch_one(&store.readers).await?)
}

/// Changes the full name.
pub async fn set_name(write: &mut Write, id: AccountId, name: Option<&str>) -> Result<(), Error> {
    let statement = sql::query("UPDATE accounts SET name = $2, updated_at = $3 WHERE id = $1");
    let statement = statement.bind(id.to_string()).bind(name).bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Changes the email. Fails with [`Error::Taken`] if another account has it.
pub async fn set_email(write: &mut Write, id: AccountId, email: &str) -> Result<(), Error> {
    let statement = sql::query("UPDATE accounts SET email = $2, updated_at = $3 WHERE id = $1");
    let statement = statement.bind(id.to_string()).bind(email.to_lowercase()).bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await.map_err(Error::taken("email"))?;
    Ok(())
}

/// Changes the password.
pub async fn set_password(write: &mut Write, id: AccountId, password_hash: &Secret) -> Result<(), Error> {
    let statement = sql::query("UPDATE accounts SET password_hash = $2, updated_at = $3 WHERE id = $1");
    let statement = statement.bind(id.to_string()).bind(password_hash.reveal()).bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Records that the password was accepted.
pub async fn logged_in(write: &mut Write, id: AccountId) -> Result<(), Error> {
    let statement = sql::query("UPDATE accounts SET last_login = $2 WHERE id = $1");
    statement.bind(id.to_string()).bind(Timestamp::now().micros()).execute(&mut *write.transaction).await?;
    Ok(())
}

/// Removes an account that owns no app, and all that lets anybody in as it. If it once deployed to somebody's app, an
/// empty account stays behind the release: without a name, its email replaced, with no way to sign in. False, and
/// nothing removed, if it owns an app or is a team's only admin.
pub async fn remove(write: &mut Write, id: AccountId) -> Result<bool, Error> {
    let id = id.to_string();
    let bound = sql::query(
        "SELECT EXISTS (SELECT 1 FROM apps WHERE owner_id = $1 AND team_id IS NULL) OR EXISTS (SELECT 1 FROM teams \
         WHERE (SELECT string_agg(account_id, ',') FROM team_members WHERE team_id = teams.id AND role = 'admin') = $1) \
         AS bound",
    );
    if bound.bind(&id).fetch_one(&mut *write.transaction).await?.try_get("bound")? {
        return Ok(false);
    }
    // After an error PostgreSQL takes no more statements in a transaction, but for going back to a point before it.
    sql::query("SAVEPOINT removal").execute(&mut *write.transaction).await?;
    let deleted = sql::query("DELETE FROM accounts WHERE id = $1").bind(&id).execute(&mut *write.transaction).await;
    match deleted {
        Ok(_) => return Ok(true),
        Err(error) if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation) => {}
        Err(error) => return Err(error.into()),
    }
    sql::query("ROLLBACK TO SAVEPOINT removal").execute(&mut *write.transaction).await?;
    for statement in [
        "DELETE FROM authorizations WHERE account_id = $1",
        "DELETE FROM sessions WHERE account_id = $1",
        "DELETE FROM oauth_clients WHERE account_id = $1",
        "DELETE FROM keys WHERE account_id = $1",
        "DELETE FROM second_factors WHERE account_id = $1",
        "DELETE FROM recovery_codes WHERE account_id = $1",
        "DELETE FROM collaborators WHERE account_id = $1",
        "DELETE FROM team_members WHERE account_id = $1",
        "DELETE FROM team_invitations WHERE account_id = $1 OR invited_by = $1",
        "DELETE FROM user_preferences WHERE account_id = $1",
        "DELETE FROM app_transfers WHERE owner_id = $1 OR recipient_id = $1",
        "UPDATE accounts SET email = 'removed-' || id, name = NULL, password_hash = '' WHERE id = $1",
    ] {
        sql::query(statement).bind(&id).execute(&mut *write.transaction).await?;
    }
    Ok(true)
}
