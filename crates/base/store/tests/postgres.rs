//! What only a server can do to the record: go away, come back, have another owner, promise less than a file does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[macro_use]
mod support;

use scratch_postgres::Server;
use store::seal::SealKey;
use store::{Database, Error, Store, accounts, facts};
use vocabulary::Secret;

use crate::support::{Scratch, schema};

/// A server of the test's own, which it may break, and a store on it.
async fn own_server() -> (Server, Database, Store) {
    let server = Server::start().unwrap();
    let database: Database = server.url("public").parse().unwrap();
    let store = Store::open_at(&database, SealKey::generate()).await.unwrap();
    (server, database, store)
}

async fn count(store: &Store) -> Result<u64, Error> {
    let mut write = store.write().await?;
    let value = facts::next(&mut write, "test").await?;
    write.commit().await?;
    Ok(value)
}

#[tokio::test]
async fn a_second_owner_is_refused_and_the_next_succeeds_the_first() {
    let (_, _, database) = schema();
    let first = Store::open_at(&database, SealKey::generate()).await.unwrap();
    let second = Store::open_at(&database, SealKey::generate()).await;
    assert!(matches!(second, Err(Error::Owned)), "{second:?}");
    let guest = Store::join_at(&database, SealKey::generate()).await.unwrap();
    assert_eq!((count(&first).await.unwrap(), count(&guest).await.unwrap()), (1, 2));
    drop(first);
    let next = Store::open_at(&database, SealKey::generate()).await.unwrap();
    assert_eq!(count(&next).await.unwrap(), 3);
}

#[tokio::test]
async fn platforms_in_two_schemas_of_a_database_do_not_meet() {
    let (one, other) = (Scratch::postgres().await, Scratch::postgres().await);
    let held = one.store.write().await.unwrap();
    assert_eq!(count(&other.store).await.unwrap(), 1);
    drop(held);
    assert_eq!(count(&one.store).await.unwrap(), 1);
}

#[tokio::test]
async fn a_write_whose_connection_is_cut_leaves_no_trace_and_the_next_one_works() {
    let scratch = Scratch::postgres().await;
    let (server, store) = (scratch_postgres::shared().unwrap(), &scratch.store);
    let mut write = store.write().await.unwrap();
    accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = \
         ('{}'::regnamespace::oid::bigint % 2147483647) AND granted",
        scratch.schema_name()
    );
    server.run(&cut).unwrap();
    let failed = write.commit().await;
    assert!(failed.as_ref().is_err_and(Error::is_away), "{failed:?}");
    assert_eq!(count(store).await.unwrap(), 1);
    assert_eq!(accounts::count(store).await.unwrap(), 0);
}

#[tokio::test]
async fn a_crash_of_the_server_is_an_error_and_then_it_heals() {
    let (mut server, _, store) = own_server().await;
    assert_eq!(count(&store).await.unwrap(), 1);
    server.stop(true).unwrap();
    for failed in [accounts::count(&store).await.map(|_| ()), count(&store).await.map(|_| ())] {
        assert!(failed.as_ref().is_err_and(Error::is_away), "{failed:?}");
    }
    server.begin().unwrap();
    assert_eq!(accounts::count(&store).await.unwrap(), 0);
    assert_eq!(count(&store).await.unwrap(), 2, "what was answered is there");
}

#[tokio::test]
async fn who_lost_the_connection_lost_the_right_to_write_to_its_successor() {
    let (mut server, database, first) = own_server().await;
    assert_eq!(count(&first).await.unwrap(), 1);
    server.stop(false).unwrap();
    server.begin().unwrap();
    let successor = Store::open_at(&database, SealKey::generate()).await.unwrap();
    let refused = count(&first).await;
    assert!(matches!(refused, Err(Error::Owned)), "{refused:?}");
    assert_eq!(accounts::count(&first).await.unwrap(), 0, "it may read");
    assert_eq!(count(&successor).await.unwrap(), 2);
}

#[tokio::test]
async fn a_server_that_promises_less_is_made_to_or_refused() {
    let (server, database, store) = own_server().await;
    drop(store);
    // Answers before it flushed: our sessions ask for more, whatever the default is.
    server.run("ALTER ROLE slipway SET synchronous_commit = off").unwrap();
    drop(Store::open_at(&database, SealKey::generate()).await.unwrap());
    server.run("ALTER SYSTEM SET fsync = off").unwrap();
    server.run("SELECT pg_reload_conf()").unwrap();
    let refused = Store::open_at(&database, SealKey::generate()).await;
    assert!(matches!(refused, Err(Error::Unfit(reason)) if reason.contains("fsync")), "{refused:?}");
    server.run("ALTER SYSTEM RESET fsync").unwrap();
    server.run("SELECT pg_reload_conf()").unwrap();
    let nowhere: Database = server.url("nowhere").parse().unwrap();
    let refused = Store::open_at(&nowhere, SealKey::generate()).await;
    assert!(matches!(refused, Err(Error::Owned | Error::Unfit(_))), "{refused:?}");
}
