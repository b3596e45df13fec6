//! OAuth clients: programs that act for users with their consent.

use vocabulary::{AccountId, OAuthClientId, Secret, Timestamp};

use crate::row::{parsed, time};
use crate::seal::SealKey;
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: OAuthClientId,
    /// Who registered it.
    pub account_id: AccountId,
    /// What its users read.
    pub name: String,
    /// Where its users come back to.
    pub redirect_uri: String,
    /// How it proves to be itself.
    pub secret: Secret,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn context(id: OAuthClientId) -> String {
    format!("oauth_clients.secret/{id}")
}

fn client(row: &Row, key: &SealKey) -> Result<Client, Error> {
    let id = parsed(row, "id")?;
    Ok(Client {
        id,
        account_id: parsed(row, "account_id")?,
        name: row.try_get("name")?,
        redirect_uri: row.try_get("redirect_uri")?,
        secret: key.open(&context(id), &row.try_get::<String>("secret")?)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Makes a client.
pub async fn create(
    write: &mut Write,
    account: AccountId,
    name: &str,
    redirect_uri: &str,
    secret: &Secret,
) -> Result<Client, Error> {
    let id = OAuthClientId::new();
    let row = sql::query(
        "INSERT INTO oauth_clients (id, account_id, name, redirect_uri, secret, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING *",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(name)
    .bind(redirect_uri)
    .bind(write.key.seal(&context(id), secret)?)
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    client(&row, &write.key)
}

/// Changes what is given; nothing if there is no such client any more. The secret is left alone: it may be rotated by
/// somebody else at the same time.
pub async fn update(
    write: &mut Write,
    id: OAuthClientId,
    name: Option<&str>,
    redirect_uri: Option<&str>,
) -> Result<Option<Client>, Error> {
    let row = sql::query(
        "UPDATE oauth_clients SET name = COALESCE($2, name), redirect_uri = COALESCE($3, redirect_uri), \
         updated_at = $4 WHERE id = $1 RETURNING *",
    );
    let row = row.bind(id.to_string()).bind(name).bind(redirect_uri).bind(Timestamp::now().micros());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    row.map(|row| client(&row, &write.key)).transpose()
}

/// Gives a client another secret; nothing if there is no such client any more.
pub async fn set_secret(write: &mut Write, id: OAuthClientId, secret: &Secret) -> Result<Option<Client>, Error> {
    let sealed = write.key.seal(&context(id), secret)?;
    let row = sql::query("UPDATE oauth_clients SET secret = $2, updated_at = $3 WHERE id = $1 RETURNING *");
    let row = row.bind(id.to_string()).bind(sealed).bind(Timestamp::now().micros());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    row.map(|row| client(&row, &write.key)).transpose()
}

/// The client with this id, whoever registered it.
pub async fn get(store: &Store, id: OAuthClientId) -> Result<Option<Client>, Error> {
    let row = sql::query("SELECT * FROM oauth_clients WHERE id = $1").bind(id.to_string());
    let row = row.fetch_optional(&store.readers).await?;
    row.map(|row| client(&row, &store.key)).transpose()
}

/// An account's clients, oldest first.
pub async fn list(store: &Store, account: AccountId) -> Result<Vec<Client>, Error> {
    let rows = sql::query("SELECT * FROM oauth_clients WHERE account_id = $1 ORDER BY id").bind(account.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(|row| client(row, &store.key)).collect()
}

/// Deletes a client and every authorization it was given.
pub async fn delete(write: &mut Write, id: OAuthClientId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM oauth_clients WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
