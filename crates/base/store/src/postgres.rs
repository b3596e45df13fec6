//! The record on a server: PostgreSQL, with the promises of the file.
//!
//! - *One writer.* Every write holds an advisory lock from its beginning to its end, as `BEGIN IMMEDIATE` does in SQLite;
//!   what it reads after that nobody changes under it. A command that joins takes the same lock.
//! - *One owner.* The connection that control writes with holds another advisory lock for as long as it lives. Whoever
//!   lost that connection lost the right to write with it, so that a control that was thought dead cannot write beside
//!   its successor; it takes the lock again when it connects again, if nobody else did.
//! - *Lasting.* `synchronous_commit` is on for our sessions, whatever the server's default; a server that does not flush
//!   (`fsync=off`) is refused.
//!
//! Both locks belong to the schema the tables are in, the first of the `search_path`. They need a session that stays
//! one: not a pooler that gives each transaction another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};

use crate::migrations::{Applied, Good};
use crate::sql::Transaction;
use crate::{Error, migrations};

/// Connections for reading. A server gives out 100 by default.
const READERS: u32 = 8;
/// How long a statement waits for a connection: longer than a restart of a server takes to begin, shorter than a client's
/// patience.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a beginning control waits for the one before to be seen as gone.
const SUCCEED: Duration = Duration::from_secs(20);
/// The oldest server that has all we use and is still maintained.
const OLDEST: i32 = 140_000;

/// Takes the lock of the owner.
const OWN: &str = "SELECT coalesce(pg_try_advisory_lock(1397508432, \
                   (current_schema()::regnamespace::oid::bigint % 2147483647)::int), FALSE)";
/// Takes the lock of a write until its transaction ends.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1397508433, \
                    (current_schema()::regnamespace::oid::bigint % 2147483647)::int)";
const FITNESS: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
                       current_setting('fsync'), current_setting('synchronous_commit'), current_schema()";

/// What writes.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pool: PgPool,
    /// Whether the last try to become the owner found another.
    owned: Arc<AtomicBool>,
}

/// Our session's settings. A write whose client fell silent is rolled back by the server after a minute, and its lock
/// goes with it.
fn options(options: &PgConnectOptions) -> PgConnectOptions {
    let options = options.clone().options([
        ("synchronous_commit", "on"),
        // A machine that lost its power says nothing: the server has to find out, or it keeps the owner's lock for hours.
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "3"),
        ("tcp_keepalives_count", "3"),
        ("lock_timeout", "10s"),
        ("statement_timeout", "60s"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("default_transaction_isolation", "read committed"),
    ]);
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("slipway"),
    }
}

/// One connection to a server that is fit.
pub(crate) async fn look(url: &PgConnectOptions) -> Result<PgConnection, Error> {
    let options = options(url);
    let connecting = tokio::time::timeout(CONNECT, PgConnection::connect_with(&options));
    let mut connection = connecting.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    fit(&mut connection).await?;
    Ok(connection)
}

/// Becomes the owner and brings the schema up to date. Readers and writer.
pub(crate) async fn open(url: &PgConnectOptions) -> Result<(PgPool, Writer), Error> {
    let options = options(url);
    let writer = owner(&options);
    fit(&mut *writer.connection().await?).await?;
    migrations::POSTGRES.run(&writer.pool).await?;
    check(&writer, migrations::serves).await?;
    Ok((readers(options), writer))
}

/// Opens the database beside its owner. Its schema is left alone: an older one is refused.
pub(crate) async fn join(url: &PgConnectOptions) -> Result<(PgPool, Writer), Error> {
    let options = options(url);
    let writer = Writer { pool: writers(CONNECT).connect_lazy_with(options.clone()), owned: Arc::default() };
    check(&writer, migrations::serves).await?;
    Ok((readers(options), writer))
}

/// Becomes the owner and leaves the schema alone: one of another version is refused.
pub(crate) async fn take_over(url: &PgConnectOptions) -> Result<(PgPool, Writer), Error> {
    let options = options(url);
    let writer = owner(&options);
    check(&writer, migrations::is_ours).await?;
    Ok((readers(options), writer))
}

/// The steps of the schema that were taken on a server.
pub(crate) async fn applied(url: &PgConnectOptions) -> Result<Applied, Error> {
    Ok(sqlx::query_as(migrations::APPLIED).fetch_all(&mut look(url).await?).await?)
}

async fn check(writer: &Writer, good: Good) -> Result<(), Error> {
    let mut connection = writer.connection().await?;
    fit(&mut connection).await?;
    let applied: Result<Applied, _> = sqlx::query_as(migrations::APPLIED).fetch_all(&mut *connection).await;
    let is_good = applied.is_ok_and(|applied| good(&applied, &migrations::POSTGRES));
    if is_good { Ok(()) } else { Err(Error::OtherVersion) }
}

/// What writes, and owns with each connection it makes.
fn owner(options: &PgConnectOptions) -> Writer {
    let owned = Arc::new(AtomicBool::new(false));
    let pool = writers(SUCCEED).after_connect({
        let owned = owned.clone();
        move |connection, _| {
            let owned = owned.clone();
            Box::pin(async move { own(connection, &owned).await })
        }
    });
    Writer { pool: pool.connect_lazy_with(options.clone()), owned }
}

/// One connection, kept for as long as it works: it is what owns.
fn writers(patience: Duration) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).acquire_timeout(patience)
}

fn readers(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(READERS).acquire_timeout(CONNECT).connect_lazy_with(options)
}

async fn own(connection: &mut PgConnection, owned: &AtomicBool) -> Result<(), sqlx::Error> {
    let ours: bool = sqlx::query_scalar(OWN).fetch_one(connection).await?;
    owned.store(!ours, Ordering::Relaxed);
    if ours { Ok(()) } else { Err(sqlx::Error::Configuration("another control owns this database".into())) }
}

/// Refuses a server that cannot keep the promises.
async fn fit(connection: &mut PgConnection) -> Result<(), Error> {
    type Settings = (i32, String, String, String, Option<String>);
    let (version, encoding, fsync, commit, schema): Settings = sqlx::query_as(FITNESS).fetch_one(connection).await?;
    let reason = if version < OLDEST {
        "it is older than PostgreSQL 14"
    } else if encoding != "UTF8" {
        "the database's encoding is not UTF8"
    } else if fsync != "on" {
        "it does not flush what it writes: fsync is off"
    } else if commit != "on" {
        "it answers before a write is flushed: synchronous_commit is not on"
    } else if schema.is_none() {
        "the search_path names no schema that exists"
    } else {
        return Ok(());
    };
    Err(Error::Unfit(reason))
}

impl Writer {
    async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Error> {
        self.pool.acquire().await.map_err(|error| self.explained(error))
    }

    fn explained(&self, error: sqlx::Error) -> Error {
        if self.owned.load(Ordering::Relaxed) { Error::Owned } else { Error::Database(error) }
    }

    /// Begins a write; waits for the one under way, in this process or another.
    pub(crate) async fn write(&self) -> Result<Transaction, Error> {
        let mut transaction = self.pool.begin().await.map_err(|error| self.explained(error))?;
        sqlx::query(LOCK).execute(&mut *transaction).await?;
        Ok(Transaction::Postgres(transaction))
    }
}
