//! Where a statement runs.

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Postgres, Sqlite};

/// Connections that read the last committed state.
#[derive(Debug, Clone)]
pub(crate) enum Readers {
    /// To a file.
    Sqlite(SqlitePool),
    /// To a server.
    Postgres(PgPool),
}

/// One transaction; dropped, it is rolled back.
#[derive(Debug)]
pub(crate) enum Transaction {
    /// On a file.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// On a server.
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    /// Makes it lasting.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => Box::pin(transaction.commit()).await,
            Self::Postgres(transaction) => Box::pin(transaction.commit()).await,
        }
    }
}

/// A place a statement can run at.
pub(crate) enum On<'a> {
    /// Any connection to the file.
    SqlitePool(&'a SqlitePool),
    /// A transaction on the file.
    SqliteConnection(&'a mut SqliteConnection),
    /// Any connection to the server.
    PostgresPool(&'a PgPool),
    /// A transaction on the server.
    PostgresConnection(&'a mut PgConnection),
}

impl<'a> From<&'a Readers> for On<'a> {
    fn from(readers: &'a Readers) -> Self {
        match readers {
            Readers::Sqlite(pool) => Self::SqlitePool(pool),
            Readers::Postgres(pool) => Self::PostgresPool(pool),
        }
    }
}

impl<'a> From<&'a mut Transaction> for On<'a> {
    fn from(transaction: &'a mut Transaction) -> Self {
        match transaction {
            Transaction::Sqlite(transaction) => Self::SqliteConnection(transaction),
            Transaction::Postgres(transaction) => Self::PostgresConnection(transaction),
        }
    }
}
