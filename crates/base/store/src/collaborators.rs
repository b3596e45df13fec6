//! Who else may work on an app, and how far. The owner of a personal app is none of them.

use vocabulary::{AccountId, AppId, CollaboratorId, Permissions, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// Somebody's permissions on an app.
#[derive(Debug, Clone)]
pub struct Collaborator {
    /// Its id.
    pub id: CollaboratorId,
    /// Which app.
    pub app_id: AppId,
    /// Who.
    pub account_id: AccountId,
    /// What they were given.
    pub permissions: Permissions,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn collaborator(row: &Row) -> Result<Collaborator, Error> {
    Ok(Collaborator {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        account_id: parsed(row, "account_id")?,
        permissions: parsed(row, "permissions")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Lets somebody in. Fails with [`Error::Taken`] if they are.
pub async fn create(
    write: &mut Write,
    app: AppId,
    account: AccountId,
    permissions: Permissions,
) -> Result<Collaborator, Error> {
    let row = sql::query(
        "INSERT INTO collaborators (id, app_id, account_id, permissions, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $5) RETURNING *",
    )
    .bind(CollaboratorId::new().to_string())
    .bind(app.to_string())
    .bind(account.to_string())
    .bind(permissions.to_string())
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await
    .map_err(Error::taken("the place of this collaborator"))?;
    collaborator(&row)
}

/// Gives somebody these permissions and no others, letting them in if they are not.
pub async fn set(
    write: &mut Write,
    app: AppId,
    account: AccountId,
    permissions: Permissions,
) -> Result<Collaborator, Error> {
    let row = sql::query(
        "INSERT INTO collaborators (id, app_id, account_id, permissions, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (app_id, account_id) \
         DO UPDATE SET permissions = excluded.permissions, updated_at = excluded.updated_at RETURNING *",
    )
    .bind(CollaboratorId::new().to_string())
    .bind(app.to_string())
    .bind(account.to_string())
    .bind(permissions.to_string())
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    collaborator(&row)
}

/// Takes somebody's permissions on an app away.
pub async fn remove(write: &mut Write, app: AppId, account: AccountId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM collaborators WHERE app_id = $1 AND account_id = $2")
        .bind(app.to_string())
        .bind(account.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Takes everybody's permissions on an app away.
pub async fn remove_all(write: &mut Write, app: AppId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM collaborators WHERE app_id = $1").bind(app.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Somebody's permissions on an app, if they were given any.
pub async fn get(store: &Store, app: AppId, account: AccountId) -> Result<Option<Collaborator>, Error> {
    let row = sql::query("SELECT * FROM collaborators WHERE app_id = $1 AND account_id = $2")
        .bind(app.to_string())
        .bind(account.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(collaborator).transpose()
}

/// The collaborators of an app, by id.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Collaborator>, Error> {
    let rows = sql::query("SELECT * FROM collaborators WHERE app_id = $1 ORDER BY id").bind(app.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(collaborator).collect()
}

/// What an account was given, on every app, by id.
pub async fn of_account(store: &Store, account: AccountId) -> Result<Vec<Collaborator>, Error> {
    let rows = sql::query("SELECT * FROM collaborators WHERE account_id = $1 ORDER BY id").bind(account.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(collaborator).collect()
}
