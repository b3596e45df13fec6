//! Dynos: each row is one run of one dyno.

use std::net::SocketAddrV4;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vocabulary::{AppId, DynoEvent, DynoId, DynoName, DynoSize, DynoState, ReleaseId, Timestamp};

use crate::apps::ConfigVars;
use crate::row::{parsed, parsed_option, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A dyno.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dyno {
    /// This run; the engine's instance has the same id.
    pub id: DynoId,
    /// Of which app.
    pub app_id: AppId,
    /// `web.1`.
    pub name: DynoName,
    /// The release it runs.
    pub release_id: ReleaseId,
    /// Its size.
    pub size: DynoSize,
    /// The command it runs.
    pub command: String,
    /// Where it stands.
    pub state: DynoState,
    /// Where it listens, if it is a web dyno that does.
    pub address: Option<SocketAddrV4>,
    /// Whether a user asked for its restart, or for the end of a one-off dyno.
    pub restart_asked: bool,
    /// What a one-off dyno has beyond; nothing for a dyno of the formation.
    pub one_off: Option<OneOff>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// A dyno that was asked for once, and never starts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOff {
    /// How its streams lead to the one who attaches; if they do not, they lead to the log.
    pub attached: Option<Attached>,
    /// Whether it prints its exit status at the end (`heroku run --exit-code`).
    pub tells_status: bool,
    /// How long it may run.
    pub time_to_live: Duration,
}

/// The streams of an attached one-off dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Columns and rows of its terminal; without one it has plain pipes.
    pub terminal: Option<(u16, u16)>,
}

impl Dyno {
    /// Whether requests reach it: it is a web dyno of the formation.
    #[must_use]
    pub fn serves_requests(&self) -> bool {
        self.one_off.is_none() && self.name.process_type().is_web()
    }
}

fn env_context(id: DynoId) -> String {
    format!("dynos.env/{id}")
}

fn dyno(row: &Row) -> Result<Dyno, Error> {
    Ok(Dyno {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        name: DynoName::new(parsed(row, "process_type")?, row.try_get("number")?),
        release_id: parsed(row, "release_id")?,
        size: parsed(row, "size")?,
        command: row.try_get("command")?,
        state: parsed(row, "state")?,
        address: parsed_option(row, "address")?,
        restart_asked: row.try_get("restart_asked")?,
        one_off: one_off(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn one_off(row: &Row) -> Result<Option<OneOff>, Error> {
    let text: Option<String> = row.try_get("one_off")?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| Error::Corrupt("one-off dyno"))
}

/// Records a one-off dyno with what it finds in its environment beside the config vars.
pub async fn create_one_off(write: &mut Write, dyno: &Dyno, env: &ConfigVars) -> Result<(), Error> {
    create(write, dyno).await?;
    let sealed = write.key.seal(&env_context(dyno.id), env)?;
    let statement = sql::query("UPDATE dynos SET env = $2 WHERE id = $1").bind(dyno.id.to_string()).bind(sealed);
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// What a one-off dyno finds in its environment beside the config vars.
pub async fn env(store: &Store, id: DynoId) -> Result<ConfigVars, Error> {
    let row = sql::query("SELECT env FROM dynos WHERE id = $1").bind(id.to_string());
    let sealed: Option<String> = match row.fetch_optional(&store.readers).await? {
        Some(row) => row.try_get("env")?,
        None => None,
    };
    sealed.map_or(Ok(ConfigVars::new()), |sealed| store.key.open(&env_context(id), &sealed))
}

/// Records a dyno as it is given.
pub async fn create(write: &mut Write, dyno: &Dyno) -> Result<(), Error> {
    sql::query(
        "INSERT INTO dynos (id, app_id, process_type, number, release_id, size, command, state, one_off, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
    )
    .bind(dyno.id.to_string())
    .bind(dyno.app_id.to_string())
    .bind(dyno.name.process_type().as_str())
    .bind(dyno.name.number())
    .bind(dyno.release_id.to_string())
    .bind(dyno.size.name())
    .bind(&dyno.command)
    .bind(dyno.state.as_str())
    .bind(dyno.one_off.as_ref().map(serde_json::to_string).transpose().map_err(|_| Error::Corrupt("one-off dyno"))?)
    .bind(dyno.created_at.micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(())
}

/// Moves a dyno by an event; `address` is recorded when it becomes ready. Answers the new state, or nothing if the
/// dyno is gone or has no such move.
pub async fn moved(
    write: &mut Write,
    id: DynoId,
    event: DynoEvent,
    address: Option<SocketAddrV4>,
) -> Result<Option<DynoState>, Error> {
    let row = sql::query("SELECT state FROM dynos WHERE id = $1").bind(id.to_string());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    let state: Option<DynoState> = row.as_ref().map(|row| parsed(row, "state")).transpose()?;
    let Some(Ok(next)) = state.map(|state| state.after(event)) else { return Ok(None) };
    sql::query("UPDATE dynos SET state = $2, address = coalesce($3, address), updated_at = $4 WHERE id = $1")
        .bind(id.to_string())
        .bind(next.as_str())
        .bind(address.map(|address| address.to_string()))
        .bind(Timestamp::now().micros())
        .execute(&mut *write.transaction)
        .await?;
    Ok(Some(next))
}

/// Records that a user asked for a restart of these runs.
pub async fn ask_restart(write: &mut Write, ids: &[DynoId]) -> Result<(), Error> {
    for id in ids {
        let statement = sql::query("UPDATE dynos SET restart_asked = 1 WHERE id = $1").bind(id.to_string());
        statement.execute(&mut *write.transaction).await?;
    }
    Ok(())
}

/// Forgets a dyno.
pub async fn delete(write: &mut Write, id: DynoId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM dynos WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// An app's dynos, oldest run first.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Dyno>, Error> {
    let rows = sql::query("SELECT * FROM dynos WHERE app_id = $1 ORDER BY id").bind(app.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(dyno).collect()
}

/// An app's dynos as the write under way sees them, oldest run first.
pub async fn list_in(write: &mut Write, app: AppId) -> Result<Vec<Dyno>, Error> {
    let rows = sql::query("SELECT * FROM dynos WHERE app_id = $1 ORDER BY id").bind(app.to_string());
    rows.fetch_all(&mut *write.transaction).await?.iter().map(dyno).collect()
}

/// Every dyno, oldest run first.
pub async fn all(store: &Store) -> Result<Vec<Dyno>, Error> {
    sql::query("SELECT * FROM dynos ORDER BY id").fetch_all(&store.readers).await?.iter().map(dyno).collect()
}
