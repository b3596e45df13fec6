//! Apps and their config vars.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, AppId, AppName, ConfigVarName, Secret, Stack, TeamId, Timestamp};

use crate::events::{self, Watched};
use crate::row::{parsed, parsed_option, time, time_option};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, webhooks};

/// Config vars by name.
pub type ConfigVars = BTreeMap<ConfigVarName, Secret>;

/// An app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its name, unique on the platform.
    pub name: AppName,
    /// Whose; of a team's app, who brought it there, which gives no right.
    pub owner_id: AccountId,
    /// The team that has it, if one does.
    pub team_id: Option<TeamId>,
    /// Whether the team's members are kept out who were not let in one by one.
    pub locked: bool,
    /// The stack of the current release.
    pub stack: Stack,
    /// The stack of the next build.
    pub build_stack: Stack,
    /// Whether every request gets the maintenance page.
    pub maintenance: bool,
    /// What the last build's buildpack called the app: `Node.js`.
    pub buildpack_provided_description: Option<String>,
    /// Bytes of the current slug.
    pub slug_size: Option<i64>,
    /// When it was last released.
    pub released_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn app(row: &Row) -> Result<App, Error> {
    Ok(App {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        owner_id: parsed(row, "owner_id")?,
        team_id: parsed_option(row, "team_id")?,
        locked: row.try_get("locked")?,
        stack: parsed(row, "stack")?,
        build_stack: parsed(row, "build_stack")?,
        maintenance: row.try_get("maintenance")?,
        buildpack_provided_description: row.try_get("buildpack_provided_description")?,
        slug_size: row.try_get("slug_size")?,
        released_at: time_option(row, "released_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn config_context(id: AppId) -> String {
    format!("apps.config/{id}")
}

/// Makes an app without config vars. Fails with [`Error::Taken`] if the name is.
pub async fn create(write: &mut Write, name: &AppName, owner: AccountId, stack: Stack) -> Result<App, Error> {
    let id = AppId::new();
    let row = sql::query(
        "INSERT INTO apps (id, name, owner_id, stack, build_stack, config, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $4, $5, $6, $6) RETURNING *",
    )
    .bind(id.to_string())
    .bind(name.as_str())
    .bind(owner.to_string())
    .bind(stack.name())
    .bind(write.key.seal(&config_context(id), &ConfigVars::new())?)
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await
    .map_err(Error::taken("name"))?;
    app(&row)
}

/// The app with this id.
pub async fn get(store: &Store, id: AppId) -> Result<Option<App>, Error> {
    let row = sql::query("SELECT * FROM apps WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(app).transpose()
}

/// The app with this name.
pub async fn by_name(store: &Store, name: &AppName) -> Result<Option<App>, Error> {
    let row = sql::query("SELECT * FROM apps WHERE name = $1").bind(name.as_str());
    row.fetch_optional(&store.readers).await?.as_ref().map(app).transpose()
}

/// Every app, by id.
pub async fn all(store: &Store) -> Result<Vec<App>, Error> {
    sql::query("SELECT * FROM apps ORDER BY id").fetch_all(&store.readers).await?.iter().map(app).collect()
}

/// An account's own apps, by id; no team's.
pub async fn owned_by(store: &Store, owner: AccountId) -> Result<Vec<App>, Error> {
    let rows = sql::query("SELECT * FROM apps WHERE owner_id = $1 AND team_id IS NULL ORDER BY id");
    rows.bind(owner.to_string()).fetch_all(&store.readers).await?.iter().map(app).collect()
}

/// The apps an account is a collaborator of, by id.
pub async fn shared_with(store: &Store, account: AccountId) -> Result<Vec<App>, Error> {
    let rows = sql::query(
        "SELECT * FROM apps WHERE id IN (SELECT app_id FROM collaborators WHERE account_id = $1) ORDER BY id",
    );
    rows.bind(account.to_string()).fetch_all(&store.readers).await?.iter().map(app).collect()
}

/// A team's apps, by id.
pub async fn of_team(store: &Store, team: TeamId) -> Result<Vec<App>, Error> {
    let rows = sql::query("SELECT * FROM apps WHERE team_id = $1 ORDER BY id").bind(team.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(app).collect()
}

/// Gives an app to a team, or takes it out of one with nothing; `owner` is the new owner, or who brings it there. It
/// is not locked afterwards. False, and nothing given, if it changed hands since it was known to be `from`'s.
pub async fn give(
    write: &mut Write,
    id: AppId,
    from: (AccountId, Option<TeamId>),
    owner: AccountId,
    team: Option<TeamId>,
) -> Result<bool, Error> {
    let before = events::look(write, id, Watched::App(id)).await?;
    let (giver, held) = from;
    let statement = sql::query(
        "UPDATE apps SET owner_id = $2, team_id = $3, locked = 0, updated_at = $4 WHERE id = $1 AND owner_id = $5 \
         AND COALESCE(team_id, '') = $6",
    );
    let statement = statement
        .bind(id.to_string())
        .bind(owner.to_string())
        .bind(team.map(|team| team.to_string()))
        .bind(Timestamp::now().micros())
        .bind(giver.to_string())
        .bind(held.map(|team| team.to_string()).unwrap_or_default());
    let was_theirs = statement.execute(&mut *write.transaction).await?.rows_affected() == 1;
    if was_theirs {
        webhooks::given(write, id).await?;
        events::updated(write, Watched::App(id), before).await?;
    }
    Ok(was_theirs)
}

/// Locks or unlocks a team's app.
pub async fn set_locked(write: &mut Write, id: AppId, locked: bool) -> Result<(), Error> {
    let statement = sql::query("UPDATE apps SET locked = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(locked)
        .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Renames an app. Fails with [`Error::Taken`] if the name is.
pub async fn rename(write: &mut Write, id: AppId, name: &AppName) -> Result<(), Error> {
    let before = events::look(write, id, Watched::App(id)).await?;
    let statement = sql::query("UPDATE apps SET name = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(name.as_str())
        .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await.map_err(Error::taken("name"))?;
    events::updated(write, Watched::App(id), before).await
}

/// Switches maintenance mode.
pub async fn set_maintenance(write: &mut Write, id: AppId, on: bool) -> Result<(), Error> {
    let before = events::look(write, id, Watched::App(id)).await?;
    let statement = sql::query("UPDATE apps SET maintenance = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(on)
        .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    events::updated(write, Watched::App(id), before).await
}

/// Sets the stack of the next build.
pub async fn set_build_stack(write: &mut Write, id: AppId, stack: Stack) -> Result<(), Error> {
    let before = events::look(write, id, Watched::App(id)).await?;
    let statement = sql::query("UPDATE apps SET build_stack = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(stack.name())
        .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    events::updated(write, Watched::App(id), before).await
}

/// Records what the current release's slug says of the app.
pub async fn set_released(
    write: &mut Write,
    id: AppId,
    stack: Stack,
    slug_size: Option<i64>,
    description: Option<&str>,
) -> Result<(), Error> {
    let before = events::look(write, id, Watched::App(id)).await?;
    let statement = sql::query(
        "UPDATE apps SET stack = $2, slug_size = $3, buildpack_provided_description = $4, released_at = $5, \
         updated_at = $5 WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(stack.name())
    .bind(slug_size)
    .bind(description)
    .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    events::updated(write, Watched::App(id), before).await
}

/// Deletes an app with everything that hangs on it. Its dynos are stopped by their reconciler, which finds them
/// without an app.
pub async fn delete(write: &mut Write, id: AppId) -> Result<(), Error> {
    let before = events::look(write, id, Watched::App(id)).await?;
    events::destroyed(write, Watched::App(id), before).await?;
    webhooks::retire(write, id).await?;
    for statement in [
        "UPDATE builds SET slug_id = NULL, release_id = NULL WHERE app_id = $1",
        "DELETE FROM dynos WHERE app_id = $1",
        "DELETE FROM releases WHERE app_id = $1",
        "DELETE FROM apps WHERE id = $1",
    ] {
        sql::query(statement).bind(id.to_string()).execute(&mut *write.transaction).await?;
    }
    Ok(())
}

/// The config vars of an app.
pub async fn config_vars(store: &Store, id: AppId) -> Result<ConfigVars, Error> {
    let sealed: Option<String> = sql::query_scalar("SELECT config FROM apps WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&store.readers)
        .await?;
    sealed.map_or(Ok(ConfigVars::new()), |sealed| store.key.open(&config_context(id), &sealed))
}

/// The config vars of an app as the write under way sees them.
pub async fn config_vars_in(write: &mut Write, id: AppId) -> Result<ConfigVars, Error> {
    let sealed: Option<String> = sql::query_scalar("SELECT config FROM apps WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *write.transaction)
        .await?;
    sealed.map_or(Ok(ConfigVars::new()), |sealed| write.key.open(&config_context(id), &sealed))
}

/// Replaces the config vars of an app. Whoever does this makes a release in the same write.
pub async fn set_config_vars(write: &mut Write, id: AppId, vars: &ConfigVars) -> Result<(), Error> {
    let statement = sql::query("UPDATE apps SET config = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(write.key.seal(&config_context(id), vars)?)
        .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// The app with this id, as the write under way sees it.
pub(crate) async fn get_in(write: &mut Write, id: AppId) -> Result<Option<App>, Error> {
    let row = sql::query("SELECT * FROM apps WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(app).transpose()
}
