//! Custom domains. The domain every app has by its name is in no table.

use vocabulary::{AppId, DomainId, Hostname, Timestamp};

use crate::apps::App;
use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A custom domain.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// Of which app.
    pub app_id: AppId,
    /// The name.
    pub hostname: Hostname,
    /// The first label of the name its DNS record is to point at: random, for the app's own name may change.
    pub target: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn domain(row: &Row) -> Result<Domain, Error> {
    Ok(Domain {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        hostname: parsed(row, "hostname")?,
        target: row.try_get("target")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Adds a domain; [`Error::Taken`] if any app has it.
pub async fn create(write: &mut Write, app: AppId, hostname: &Hostname, target: &str) -> Result<Domain, Error> {
    let row = sql::query(
        "INSERT INTO domains (id, app_id, hostname, target, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) \
         RETURNING *",
    )
    .bind(DomainId::new().to_string())
    .bind(app.to_string())
    .bind(hostname.as_str())
    .bind(target)
    .bind(Timestamp::now().micros());
    domain(&row.fetch_one(&mut *write.transaction).await.map_err(Error::taken("domain"))?)
}

/// How many domains an app has.
pub async fn count(write: &mut Write, app: AppId) -> Result<i64, Error> {
    let row = sql::query("SELECT COUNT(*) AS n FROM domains WHERE app_id = $1").bind(app.to_string());
    Ok(row.fetch_one(&mut *write.transaction).await?.try_get("n")?)
}

/// The domains of apps of other owners than this one's: of another team, or of another account's own.
pub async fn of_others(write: &mut Write, app: &App) -> Result<Vec<Hostname>, Error> {
    let rows = sql::query(
        "SELECT hostname FROM domains JOIN apps ON apps.id = domains.app_id \
         WHERE NOT (apps.team_id IS NOT DISTINCT FROM $2 AND ($2 IS NOT NULL OR apps.owner_id = $1))",
    )
    .bind(app.owner_id.to_string())
    .bind(app.team_id.map(|team| team.to_string()));
    rows.fetch_all(&mut *write.transaction).await?.iter().map(|row| parsed(row, "hostname")).collect()
}

/// An app's domains, oldest first.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Domain>, Error> {
    let rows = sql::query("SELECT * FROM domains WHERE app_id = $1 ORDER BY id").bind(app.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(domain).collect()
}

/// Every domain.
pub async fn all(store: &Store) -> Result<Vec<Domain>, Error> {
    let rows = sql::query("SELECT * FROM domains ORDER BY id");
    rows.fetch_all(&store.readers).await?.iter().map(domain).collect()
}

/// Takes a domain from its app.
pub async fn delete(write: &mut Write, id: DomainId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM domains WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
