//! Teams: many users with apps in common.

use vocabulary::{AccountId, TeamId, TeamName, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A team.
#[derive(Debug, Clone)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name, unique on the platform.
    pub name: TeamName,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn team(row: &Row) -> Result<Team, Error> {
    Ok(Team {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Makes a team without members. Fails with [`Error::Taken`] if the name is.
pub async fn create(write: &mut Write, name: &TeamName) -> Result<Team, Error> {
    let row = sql::query("INSERT INTO teams (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3) RETURNING *")
        .bind(TeamId::new().to_string())
        .bind(name.as_str())
        .bind(Timestamp::now().micros())
        .fetch_one(&mut *write.transaction)
        .await
        .map_err(Error::taken("name"))?;
    team(&row)
}

/// The team with this id.
pub async fn get(store: &Store, id: TeamId) -> Result<Option<Team>, Error> {
    let row = sql::query("SELECT * FROM teams WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(team).transpose()
}

/// The team with this name.
pub async fn by_name(store: &Store, name: &TeamName) -> Result<Option<Team>, Error> {
    let row = sql::query("SELECT * FROM teams WHERE name = $1").bind(name.as_str());
    row.fetch_optional(&store.readers).await?.as_ref().map(team).transpose()
}

/// The teams of which this account is the only admin, by id.
pub async fn led_alone_by(store: &Store, account: AccountId) -> Result<Vec<Team>, Error> {
    let rows = sql::query(
        "SELECT teams.* FROM teams WHERE (SELECT string_agg(account_id, ',') FROM team_members \
         WHERE team_id = teams.id AND role = 'admin') = $1 ORDER BY id",
    );
    rows.bind(account.to_string()).fetch_all(&store.readers).await?.iter().map(team).collect()
}

/// Renames a team. Fails with [`Error::Taken`] if the name is.
pub async fn rename(write: &mut Write, id: TeamId, name: &TeamName) -> Result<(), Error> {
    let statement = sql::query("UPDATE teams SET name = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(name.as_str())
        .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await.map_err(Error::taken("name"))?;
    Ok(())
}

/// Deletes a team with its memberships. Answers false, changing nothing, if it has an app.
pub async fn delete(write: &mut Write, id: TeamId) -> Result<bool, Error> {
    let apps: i64 = sql::query_scalar("SELECT count(*) FROM apps WHERE team_id = $1")
        .bind(id.to_string())
        .fetch_one(&mut *write.transaction)
        .await?;
    if apps > 0 {
        return Ok(false);
    }
    sql::query("DELETE FROM teams WHERE id = $1").bind(id.to_string()).execute(&mut *write.transaction).await?;
    Ok(true)
}
