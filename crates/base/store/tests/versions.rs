//! A record whose schema a later program extended: an upgrade that failed behind its migration is gone back from.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[macro_use]
mod support;

use sqlx::Connection as _;
use store::seal::SealKey;
use store::{Database, Error, Store, accounts, apps};
use vocabulary::{Secret, Stack};

use crate::support::Scratch;

/// What a later program's migration does, in words that both databases know.
const LATER: [&str; 3] = [
    "ALTER TABLE apps ADD COLUMN later TEXT",
    "CREATE TABLE later (id TEXT PRIMARY KEY, app_id TEXT)",
    "INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, success, checksum, execution_time FROM \
     _sqlx_migrations WHERE version = 1",
];
/// What an unrelated program's would look like.
const OTHER: [&str; 1] = ["UPDATE _sqlx_migrations SET version = 2 WHERE version = 1"];

async fn run(database: &Database, statements: &'static [&'static str]) {
    match database {
        Database::Sqlite(file) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
            for statement in statements {
                sqlx::query(*statement).execute(&mut connection).await.unwrap();
            }
        }
        Database::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect_with(url).await.unwrap();
            for statement in statements {
                sqlx::query(*statement).execute(&mut connection).await.unwrap();
            }
        }
    }
}

async fn make_app(store: &Store, name: &str) {
    let mut write = store.write().await.unwrap();
    let owner = match accounts::by_email(store, "ada@example.com").await.unwrap() {
        Some(account) => account,
        None => accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap(),
    };
    apps::create(&mut write, &name.parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
    write.commit().await.unwrap();
}

async fn a_record_that_a_later_version_extended_is_worked_with(scratch: Scratch) {
    make_app(&scratch.store, "before").await;
    run(&scratch.database, &LATER).await;
    let other = scratch.empty();
    let left = scratch.release().await;
    Store::fits(&left.database).await.unwrap();
    assert_eq!(store::about(&left.database).await.unwrap().is_current, Some(true));
    let store = Store::open_at(&left.database, SealKey::generate()).await.unwrap();
    make_app(&store, "after").await;
    assert_eq!(apps::all(&store).await.unwrap().len(), 2);
    drop(store);
    // A copy would leave the later tables behind.
    let refused = store::copy(&left.database, &other).await;
    assert!(matches!(refused, Err(Error::OtherVersion | Error::Owned)), "{refused:?}");
}

async fn a_record_with_other_steps_is_refused(scratch: Scratch) {
    run(&scratch.database, &OTHER).await;
    let left = scratch.release().await;
    assert!(matches!(Store::fits(&left.database).await, Err(Error::OtherVersion)));
    let joined = Store::join_at(&left.database, SealKey::generate()).await;
    assert!(matches!(joined, Err(Error::OtherVersion)), "{joined:?}");
    let opened = Store::open_at(&left.database, SealKey::generate()).await;
    assert!(opened.is_err(), "{opened:?}");
}

on_both!(a_record_that_a_later_version_extended_is_worked_with, a_record_with_other_steps_is_refused);
