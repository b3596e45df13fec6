//! Which database the record is in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Where the record is. Printed, it names the place and never a password.
///
/// ```
/// let database: store::Database = "postgres://ada:secret@db.example.com/slipway".parse()?;
/// assert_eq!(database.to_string(), "PostgreSQL, database slipway on db.example.com:5432");
/// let database: store::Database = "sqlite:/var/lib/slipway/slipway.db".parse()?;
/// assert_eq!(database.to_string(), "SQLite, /var/lib/slipway/slipway.db");
/// # Ok::<(), store::BadDatabase>(())
/// ```
#[derive(Clone)]
pub enum Database {
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<PgConnectOptions>),
}

/// Why a text names no database. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDatabase {
    /// Neither of the two.
    #[error("a database is named as postgres://USER:PASSWORD@HOST/NAME or sqlite:PATH")]
    Unknown,
    /// It begins as one of PostgreSQL.
    #[error(
        "this is no URL of a PostgreSQL database; it looks like postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full"
    )]
    Postgres,
}

impl FromStr for Database {
    type Err = BadDatabase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(BadDatabase::Unknown) } else { Ok(Self::Sqlite(path.into())) };
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(BadDatabase::Unknown);
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| BadDatabase::Postgres)?;
        Ok(Self::Postgres(Box::new(options)))
    }
}

impl From<&Path> for Database {
    fn from(file: &Path) -> Self {
        Self::Sqlite(file.to_owned())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "SQLite, {}", file.display()),
            Self::Postgres(options) => {
                let name = options.get_database().unwrap_or(options.get_username());
                match options.get_socket() {
                    Some(folder) => write!(f, "PostgreSQL, database {name} on {}", folder.display()),
                    None => write!(f, "PostgreSQL, database {name} on {}:{}", options.get_host(), options.get_port()),
                }
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}
