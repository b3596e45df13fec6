//! Who else may work on an app, and how far. The owner of a personal app is none of them.

use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, AppId, CollaboratorId, NotificationKind, Permissions, TeamId, Timestamp};

use crate::events::{self, Watched};
use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, notifications};

/// Somebody's permissions on an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    let one = collaborator(&row)?;
    arrived(write, &one).await?;
    Ok(one)
}

/// Gives somebody these permissions and no others, letting them in if they are not.
pub async fn set(
    write: &mut Write,
    app: AppId,
    account: AccountId,
    permissions: Permissions,
) -> Result<Collaborator, Error> {
    let there = of_in(write, app, Some(account)).await?.pop();
    let before = match &there {
        Some(one) => events::look(write, app, Watched::Collaborator(one.id)).await?,
        None => None,
    };
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
    let one = collaborator(&row)?;
    match there {
        Some(_) => events::updated(write, Watched::Collaborator(one.id), before).await?,
        None => arrived(write, &one).await?,
    }
    Ok(one)
}

/// Tells of somebody new, and tells them.
async fn arrived(write: &mut Write, one: &Collaborator) -> Result<(), Error> {
    events::created(write, one.app_id, Watched::Collaborator(one.id)).await?;
    let by = write.by;
    notifications::tell_of(write, one.account_id, one.app_id, NotificationKind::CollaboratorAdded, by).await
}

/// Takes somebody's permissions on an app away.
pub async fn remove(write: &mut Write, app: AppId, account: AccountId) -> Result<(), Error> {
    take(write, app, Some(account)).await
}

/// Takes everybody's permissions on an app away.
pub async fn remove_all(write: &mut Write, app: AppId) -> Result<(), Error> {
    take(write, app, None).await
}

/// Takes somebody's permissions away on every app, or on every app of a team.
pub(crate) async fn remove_everywhere(
    write: &mut Write,
    account: AccountId,
    team: Option<TeamId>,
) -> Result<(), Error> {
    let rows = sql::query(
        "SELECT collaborators.* FROM collaborators JOIN apps ON apps.id = app_id WHERE account_id = $1 \
         AND (team_id = $2 OR $2 IS NULL)",
    );
    let rows = rows.bind(account.to_string()).bind(team.map(|team| team.to_string()));
    for row in rows.fetch_all(&mut *write.transaction).await? {
        delete(write, &collaborator(&row)?).await?;
    }
    Ok(())
}

async fn take(write: &mut Write, app: AppId, account: Option<AccountId>) -> Result<(), Error> {
    for one in of_in(write, app, account).await? {
        delete(write, &one).await?;
    }
    Ok(())
}

async fn delete(write: &mut Write, one: &Collaborator) -> Result<(), Error> {
    let what = Watched::Collaborator(one.id);
    let before = events::look(write, one.app_id, what).await?;
    let statement = sql::query("DELETE FROM collaborators WHERE id = $1").bind(one.id.to_string());
    statement.execute(&mut *write.transaction).await?;
    events::destroyed(write, what, before).await
}

/// One of an app's collaborators, or all of them.
async fn of_in(write: &mut Write, app: AppId, account: Option<AccountId>) -> Result<Vec<Collaborator>, Error> {
    let rows = sql::query("SELECT * FROM collaborators WHERE app_id = $1 AND account_id = coalesce($2, account_id)")
        .bind(app.to_string())
        .bind(account.map(|account| account.to_string()));
    rows.fetch_all(&mut *write.transaction).await?.iter().map(collaborator).collect()
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

/// The collaborator with this id, as the write under way sees it.
pub(crate) async fn get_in(write: &mut Write, id: CollaboratorId) -> Result<Option<Collaborator>, Error> {
    let row = sql::query("SELECT * FROM collaborators WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(collaborator).transpose()
}
