//! The record in a file: SQLite in WAL mode with `synchronous=FULL`, so that a write that was answered survives a
//! power cut. One connection writes; readers see the last committed state and block nobody.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use sqlx::Connection as _;

use crate::migrations::{Applied, Good};
use crate::sql::Transaction;
use crate::{Error, migrations};

/// Connections for reading; SQLite readers do not block each other or the writer.
const READERS: u32 = 4;

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
}

/// One connection that changes nothing.
pub(crate) async fn look(file: &Path) -> Result<SqliteConnection, Error> {
    Ok(SqliteConnection::connect_with(&options(file).read_only(true)).await?)
}

async fn writer(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    Ok(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?)
}

async fn readers(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    Ok(SqlitePoolOptions::new().max_connections(READERS).connect_with(options.read_only(true)).await?)
}

/// Opens or makes the file and brings its schema up to date. Readers and writer.
pub(crate) async fn open(file: &Path) -> Result<(SqlitePool, SqlitePool), Error> {
    let options = options(file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let writer = writer(options.clone()).await?;
    migrations::SQLITE.run(&writer).await?;
    let applied = sqlx::query_as(migrations::APPLIED).fetch_all(&writer).await?;
    if !migrations::serves(&applied, &migrations::SQLITE) {
        return Err(Error::OtherVersion);
    }
    Ok((readers(options).await?, writer))
}

/// Opens the file and leaves its schema alone: one that is not `good` is refused.
pub(crate) async fn join(file: &Path, good: Good) -> Result<(SqlitePool, SqlitePool), Error> {
    let options = options(file);
    let writer = writer(options.clone()).await?;
    let applied: Result<Applied, _> = sqlx::query_as(migrations::APPLIED).fetch_all(&writer).await;
    if !applied.is_ok_and(|applied| good(&applied, &migrations::SQLITE)) {
        return Err(Error::OtherVersion);
    }
    Ok((readers(options).await?, writer))
}

/// The steps of the schema that were taken in a file.
pub(crate) async fn applied(file: &Path) -> Result<Applied, Error> {
    Ok(sqlx::query_as(migrations::APPLIED).fetch_all(&mut look(file).await?).await?)
}

/// Begins a write; waits for the one under way, in this process or another.
pub(crate) async fn write(writer: &SqlitePool) -> Result<Transaction, Error> {
    Ok(Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?))
}
