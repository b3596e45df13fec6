//! The record: every row the platform keeps, one file per resource. The only SQL.
//!
//! Knows rows and transactions; knows no JSON of the API, no HTTP, and not why a row changes. SQLite in WAL mode with
//! `synchronous=FULL`: a write that was answered survives a power cut. There is one writer connection; reads go to a
//! pool of their own and see the last committed state.
//!
//! Reading functions take [`Store`]; writing functions take [`Write`], one `BEGIN IMMEDIATE` transaction that may span
//! resources and must await nothing but the store:
//!
//! ```no_run
//! # async fn example(store: store::Store, app: vocabulary::AppId) -> Result<(), store::Error> {
//! let mut write = store.write().await?;
//! store::apps::set_maintenance(&mut write, app, true).await?;
//! write.commit().await?;
//! # Ok(())
//! # }
//! ```

pub mod accounts;
pub mod app_transfers;
pub mod apps;
pub mod authorizations;
pub mod buildpacks;
pub mod builds;
pub mod collaborators;
pub mod domains;
pub mod dynos;
pub mod facts;
pub mod formation;
pub mod grants;
mod hash;
pub mod jobs;
pub mod keys;
pub mod layers;
pub mod oauth_clients;
pub mod releases;
mod row;
pub mod seal;
pub mod second_factors;
pub mod sessions;
pub mod slugs;
pub mod team_members;
pub mod teams;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

use crate::seal::SealKey;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations");

/// Connections for reading; SQLite readers do not block each other or the writer.
const READERS: u32 = 4;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the store failed")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the store's schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds what no version of this program writes, or what another key sealed.
    #[error("the store holds an unreadable {0}")]
    Corrupt(&'static str),
    /// A unique name is taken.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// The file's schema is not the one this program works with.
    #[error("the store was made by another version of this program; restart the platform with this one")]
    OtherVersion,
}

impl Error {
    /// Whether the disk had no room for it (`SQLITE_FULL`).
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Database(error) = self else { return false };
        let database = error.as_database_error();
        database.is_some_and(|database| database.code().as_deref() == Some("13"))
    }

    /// Tells a broken uniqueness apart from other failures of a statement.
    fn taken(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => Self::Taken(what),
            _ => Self::Database(error),
        }
    }
}

/// The database; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
    key: SealKey,
    /// The folder of a test's store: deleted with its last clone, after the connections.
    _scratch: Option<Arc<tempfile::TempDir>>,
}

/// One write transaction; dropped without [`Write::commit`], it leaves no trace.
#[derive(Debug)]
pub struct Write {
    transaction: Transaction<'static, Sqlite>,
    key: SealKey,
}

impl Store {
    /// Opens or makes the database file and brings its schema up to date.
    pub async fn open(file: &Path, key: SealKey) -> Result<Self, Error> {
        let options = SqliteConnectOptions::from_str("sqlite:")?
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { readers, writer, key, _scratch: None })
    }

    /// Opens the database beside the process that owns it. Its schema is left alone: a file of another version is
    /// refused. SQLite lets the two write in turn, as both begin with `BEGIN IMMEDIATE` and wait for each other.
    pub async fn join(file: &Path, key: SealKey) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let applied: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
                .fetch_all(&writer)
                .await
                .map_err(|_| Error::OtherVersion)?;
        let ours = MIGRATIONS.iter().map(|migration| (migration.version, migration.checksum.to_vec()));
        if !ours.eq(applied) {
            return Err(Error::OtherVersion);
        }
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { readers, writer, key, _scratch: None })
    }

    /// Whether this version can go on with a database that another one may be using: it was made by the first steps of
    /// our own schema. Nothing is written.
    pub async fn fits(file: &Path) -> Result<(), Error> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(Duration::from_secs(10));
        let reader = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let applied: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
                .fetch_all(&reader)
                .await?;
        let mut ours = MIGRATIONS.iter().map(|migration| (migration.version, migration.checksum.to_vec()));
        let fits = applied.into_iter().all(|step| ours.next() == Some(step));
        if fits { Ok(()) } else { Err(Error::OtherVersion) }
    }

    /// The key that seals, for addresses only this platform can read back ([`SealKey::token`]).
    #[must_use]
    pub fn key(&self) -> &SealKey {
        &self.key
    }

    /// Begins a write; waits for the one under way.
    pub async fn write(&self) -> Result<Write, Error> {
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Write { transaction, key: self.key.clone() })
    }
}

impl Write {
    /// Makes the write lasting; on return it is on the disk.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.transaction.commit().await?)
    }
}

/// A store in a folder of its own, for tests; the folder is deleted with the store's last clone.
#[doc(hidden)]
pub async fn scratch() -> (Store, std::path::PathBuf) {
    #[expect(clippy::expect_used, reason = "only tests call this, and a test without a store must stop")]
    let (store, folder) = {
        let folder =
            tempfile::Builder::new().prefix("slipway-store-").tempdir().expect("a folder for the test's store");
        let store = Store::open(&folder.path().join("slipway.db"), SealKey::generate()).await;
        (store.expect("a store for the test"), folder)
    };
    let path = folder.path().to_owned();
    (Store { _scratch: Some(Arc::new(folder)), ..store }, path)
}
