//! The record: every row the platform keeps, one file per resource. The only SQL.
//!
//! Knows rows and transactions; knows no JSON of the API, no HTTP, and not why a row changes. The record is a file
//! (SQLite) or on a server (PostgreSQL); `sqlite.rs` and `postgres.rs` say how each keeps the same promises: a write that
//! was answered survives a power cut, one write at a time, reads see the last committed state. Every statement is
//! written once, in words both know (`sql/mod.rs`).
//!
//! Reading functions take [`Store`]; writing functions take [`Write`], one transaction that may span resources and must
//! await nothing but the store. After a statement failed, the write can only be dropped:
//!
//! ```no_run
//! # async fn example(store: store::Store, app: vocabulary::AppId) -> Result<(), store::Error> {
//! let mut write = store.write().await?;
//! store::apps::set_maintenance(&mut write, app, true).await?;
//! write.commit().await?;
//! # Ok(())
//! # }
//! ```

mod about;
pub mod accounts;
pub mod app_features;
pub mod app_transfers;
pub mod apps;
pub mod authorizations;
pub mod buildpacks;
pub mod builds;
pub mod collaborators;
mod copy;
mod database;
pub mod deliveries;
pub mod domains;
pub mod dynos;
pub mod events;
pub mod facts;
pub mod favorites;
pub mod formation;
pub mod grants;
mod hash;
pub mod jobs;
pub mod keys;
pub mod layers;
mod migrations;
pub mod notifications;
pub mod oauth_clients;
mod owner;
pub mod part;
mod postgres;
pub mod releases;
mod row;
mod scratch;
pub mod seal;
pub mod second_factors;
pub mod sessions;
pub mod slugs;
mod sql;
mod sqlite;
pub mod stacks;
pub mod team_invitations;
pub mod team_members;
pub mod teams;
pub mod uploads;
pub mod user_preferences;
pub mod webhooks;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crashpoints::Point;
use sqlx::sqlite::SqlitePool;
use tokio::sync::Notify;
use vocabulary::AccountId;

pub use crate::about::{About, about};
pub use crate::copy::{Copied, copy};
pub use crate::database::{BadDatabase, Database};
pub use crate::scratch::scratch;
use crate::seal::SealKey;
use crate::sql::{Readers, Transaction};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the store failed")]
    Database(#[from] sqlx::Error),
    /// The file that says whose the record is could not be used.
    #[error("could not lock the record")]
    Lock(#[from] std::io::Error),
    /// The schema could not be brought up to date.
    #[error("the store's schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds what no version of this program writes, or what another key sealed.
    #[error("the store holds an unreadable {0}")]
    Corrupt(&'static str),
    /// A unique name is taken.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// The schema is not one this program works with.
    #[error("the store was made by another version of this program; restart the platform with this one")]
    OtherVersion,
    /// The server cannot keep what the store promises.
    #[error("this PostgreSQL server cannot hold the record: {0}")]
    Unfit(&'static str),
    /// What is to be written to whole holds something.
    #[error("the database that is to be copied into is not empty")]
    NotEmpty,
    /// Another control writes here.
    #[error("another platform's control owns this database; one at a time may")]
    Owned,
}

impl Error {
    /// Whether the disk had no room for it (`SQLITE_FULL`; `disk_full` of PostgreSQL).
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.code().as_deref(), Some("13" | "53100"))
    }

    /// Whether the database could not be reached or was too busy, so that the same may work later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Owned | Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_)) => true,
            // The classes of SQLSTATE: connection exception, insufficient resources, operator intervention; and a lock
            // that was not available in time.
            _ => self.code().is_some_and(|code| {
                code.len() == 5 && (["08", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03")
            }),
        }
    }

    /// Whether a text was given that no column can hold: one with U+0000 in it.
    #[must_use]
    pub fn is_bad_text(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Encode(_)))
    }

    fn code(&self) -> Option<String> {
        let Self::Database(error) = self else { return None };
        error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
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
    readers: Readers,
    writer: Writer,
    key: SealKey,
    /// Told when a write that is on the disk has something for webhooks.
    events: Arc<Notify>,
    /// What makes the owner of a file; on a server it is the writer's connection.
    _owner: Option<Arc<File>>,
    /// The folder of a test's store: deleted with its last clone, after the connections.
    _scratch: Option<Arc<tempfile::TempDir>>,
}

#[derive(Debug, Clone)]
enum Writer {
    Sqlite(SqlitePool),
    Postgres(postgres::Writer),
}

/// One write transaction; dropped without [`Write::commit`], it leaves no trace.
#[derive(Debug)]
pub struct Write {
    transaction: Box<Transaction>,
    key: SealKey,
    events: Arc<Notify>,
    /// Who asked for it, for the events it makes.
    by: Option<AccountId>,
    /// Whether it made any.
    tells: bool,
}

impl Store {
    /// Opens or makes the database in a file and brings its schema up to date.
    pub async fn open(file: &Path, key: SealKey) -> Result<Self, Error> {
        Self::open_at(&file.into(), key).await
    }

    /// Opens a database as its owner and brings its schema up to date. There is one owner at a time.
    pub async fn open_at(database: &Database, key: SealKey) -> Result<Self, Error> {
        Ok(match database {
            Database::Sqlite(file) => {
                let owner = owner::own(file).await?;
                Self::on_sqlite(sqlite::open(file).await?, key).owned_by(owner)
            }
            Database::Postgres(url) => Self::on_postgres(postgres::open(url).await?, key),
        })
    }

    /// Opens the database in a file beside the process that owns it; see [`Store::join_at`].
    pub async fn join(file: &Path, key: SealKey) -> Result<Self, Error> {
        Self::join_at(&file.into(), key).await
    }

    /// Opens a database beside the process that owns it. Its schema is left alone: one that is older than this program, or
    /// no relative of its own, is refused.
    /// The two write in turn, as every write waits for the one under way.
    pub async fn join_at(database: &Database, key: SealKey) -> Result<Self, Error> {
        Ok(match database {
            Database::Sqlite(file) => Self::on_sqlite(sqlite::join(file, migrations::serves).await?, key),
            Database::Postgres(url) => Self::on_postgres(postgres::join(url).await?, key),
        })
    }

    /// Like [`Store::join_at`], but as its owner, and only where the schema is this program's own: of one that has more
    /// we would not know all tables.
    async fn take_over_at(database: &Database, key: SealKey) -> Result<Self, Error> {
        match database {
            // Not to leave a lock beside a file that is not there.
            Database::Sqlite(file) if !file.exists() => Err(Error::OtherVersion),
            Database::Sqlite(file) => {
                let owner = owner::own(file).await?;
                Ok(Self::on_sqlite(sqlite::join(file, migrations::is_ours).await?, key).owned_by(owner))
            }
            Database::Postgres(url) => Ok(Self::on_postgres(postgres::take_over(url).await?, key)),
        }
    }

    fn on_sqlite((readers, writer): (SqlitePool, SqlitePool), key: SealKey) -> Self {
        Self::over(Readers::Sqlite(readers), Writer::Sqlite(writer), key)
    }

    fn on_postgres((readers, writer): (sqlx::PgPool, postgres::Writer), key: SealKey) -> Self {
        Self::over(Readers::Postgres(readers), Writer::Postgres(writer), key)
    }

    fn over(readers: Readers, writer: Writer, key: SealKey) -> Self {
        Self { readers, writer, key, events: Arc::default(), _owner: None, _scratch: None }
    }

    fn owned_by(self, owner: File) -> Self {
        Self { _owner: Some(Arc::new(owner)), ..self }
    }

    /// Whether this version can go on with a database that another one may be using: one of the two schemas begins with
    /// the other. Nothing is written.
    pub async fn fits(database: &Database) -> Result<(), Error> {
        let can = match database {
            Database::Sqlite(file) => migrations::can_serve(&sqlite::applied(file).await?, &migrations::SQLITE),
            Database::Postgres(url) => migrations::can_serve(&postgres::applied(url).await?, &migrations::POSTGRES),
        };
        if can { Ok(()) } else { Err(Error::OtherVersion) }
    }

    /// The key that seals, for addresses only this platform can read back ([`SealKey::token`]).
    #[must_use]
    pub fn key(&self) -> &SealKey {
        &self.key
    }

    /// Begins a write; waits for the one under way.
    pub async fn write(&self) -> Result<Write, Error> {
        let transaction = match &self.writer {
            // Boxed: whoever writes would otherwise be as large as the larger of the two.
            Writer::Sqlite(pool) => Box::pin(sqlite::write(pool)).await?,
            Writer::Postgres(writer) => Box::pin(writer.write()).await?,
        };
        let (transaction, events) = (Box::new(transaction), Arc::clone(&self.events));
        Ok(Write { transaction, key: self.key.clone(), events, by: None, tells: false })
    }

    /// Begins a write that somebody asked for: events of it say so.
    pub async fn write_by(&self, account: AccountId) -> Result<Write, Error> {
        Ok(Write { by: Some(account), ..self.write().await? })
    }

    /// Ends once a write of this process has something for webhooks, at once if one did since it last ended. For one
    /// to wait at a time.
    pub async fn has_events(&self) {
        self.events.notified().await;
    }
}

impl Write {
    /// Makes the write lasting; on return it is on the disk.
    pub async fn commit(self) -> Result<(), Error> {
        crashpoints::reach(Point::StoreCommitting);
        self.transaction.commit().await?;
        crashpoints::reach(Point::StoreCommitted);
        // Here and nowhere else, so that no place that writes can forget it.
        if self.tells {
            self.events.notify_one();
        }
        Ok(())
    }
}
