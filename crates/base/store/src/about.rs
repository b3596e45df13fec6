//! What a database is, for the one who looks after it.

use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::migrations::Applied;
use crate::{Database, Error, migrations, postgres, sqlite};

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// `SQLite 3.51.0`, `PostgreSQL 15.14`.
    pub version: String,
    /// Whether this program can work with the schema as it is; nothing if there is none yet.
    pub is_current: Option<bool>,
    /// Whether what is said to it stays between the two: a file, a unix socket, or TLS.
    pub is_private: bool,
}

/// Looks at a database, and changes nothing. Fails if it cannot be reached or, as [`Error::Unfit`], if it cannot keep what
/// the store promises.
pub async fn about(database: &Database) -> Result<About, Error> {
    match database {
        Database::Sqlite(file) if !file.exists() => {
            let mut memory = SqliteConnection::connect("sqlite::memory:").await?;
            Ok(About { version: sqlite_version(&mut memory).await?, is_current: None, is_private: true })
        }
        Database::Sqlite(file) => {
            let mut connection = sqlite::look(file).await?;
            let applied: Result<Applied, _> = sqlx::query_as(migrations::APPLIED).fetch_all(&mut connection).await;
            let is_current = applied.ok().map(|applied| migrations::serves(&applied, &migrations::SQLITE));
            Ok(About { version: sqlite_version(&mut connection).await?, is_current, is_private: true })
        }
        Database::Postgres(url) => {
            let mut connection = postgres::look(url).await?;
            let applied: Result<Applied, _> = sqlx::query_as(migrations::APPLIED).fetch_all(&mut connection).await;
            let is_current = applied.ok().map(|applied| migrations::serves(&applied, &migrations::POSTGRES));
            let (version, is_private) = postgres_version(&mut connection).await?;
            Ok(About { version, is_current, is_private })
        }
    }
}

async fn sqlite_version(connection: &mut SqliteConnection) -> Result<String, Error> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?;
    Ok(format!("SQLite {version}"))
}

async fn postgres_version(connection: &mut PgConnection) -> Result<(String, bool), Error> {
    let row = sqlx::query(
        "SELECT current_setting('server_version'), inet_client_addr() IS NULL OR host(inet_client_addr()) IN \
         ('127.0.0.1', '::1') OR coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE)",
    );
    let row = row.fetch_one(connection).await?;
    Ok((format!("PostgreSQL {}", row.try_get::<String, _>(0)?), row.try_get(1)?))
}
