//! Stores for tests of other crates.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::seal::SealKey;
use crate::{Database, Store};

/// Names a server, as a URL with a search path, that scratch stores are made on: `cargo xtask on-postgres` sets it.
const SERVER: &str = "SLIPWAY_TEST_POSTGRES";

/// A store and a folder of its own, for tests; the folder is deleted with the store's last clone. The store is a file in
/// the folder, or, where `SLIPWAY_TEST_POSTGRES` names a server, a schema there.
#[doc(hidden)]
pub async fn scratch() -> (Store, PathBuf) {
    #[expect(clippy::expect_used, reason = "only tests call this, and a test without a store must stop")]
    let (store, folder) = {
        let folder =
            tempfile::Builder::new().prefix("slipway-store-").tempdir().expect("a folder for the test's store");
        #[expect(clippy::disallowed_methods, reason = "tests have no settings")]
        let database = match std::env::var(SERVER) {
            Ok(server) => schema_on(&server).await.expect("a schema for the test's store"),
            Err(_) => Database::from(folder.path().join("slipway.db").as_path()),
        };
        let store = Store::open_at(&database, SealKey::generate()).await;
        (store.expect("a store for the test"), folder)
    };
    let path = folder.path().to_owned();
    (Store { _scratch: Some(Arc::new(folder)), ..store }, path)
}

async fn schema_on(server: &str) -> Result<Database, sqlx::Error> {
    let schema = format!("scratch_{}", uuid::Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(server).await?;
    // A name of hexadecimal digits.
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut connection).await?;
    let options = server.parse::<sqlx::postgres::PgConnectOptions>()?.options([("search_path", schema)]);
    Ok(Database::Postgres(Box::new(options)))
}
