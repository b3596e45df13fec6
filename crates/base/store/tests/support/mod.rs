//! A database for each test: a file, or a schema of the server that the tests of a program share.

#![allow(dead_code, unused_macros, reason = "each test program uses a part")]

use scratch_postgres::Server;
use store::seal::SealKey;
use store::{Database, Store};
use tempfile::TempDir;

/// A store, and where it is.
pub(crate) struct Scratch {
    pub(crate) store: Store,
    pub(crate) database: Database,
    place: Place,
}

/// Where a store was.
pub(crate) struct Released {
    pub(crate) database: Database,
    _place: Place,
}

enum Place {
    Folder(TempDir),
    Schema(&'static Server, String),
}

/// A folder of a test's own.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// An empty schema of the shared server, and its URL.
pub(crate) fn schema() -> (&'static Server, String, Database) {
    let server = scratch_postgres::shared().unwrap();
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    server.run(&format!("CREATE SCHEMA {name}; CREATE SCHEMA {name}_other")).unwrap();
    let database = server.url(&name).parse().unwrap();
    (server, name, database)
}

impl Scratch {
    pub(crate) async fn sqlite() -> Self {
        let folder = folder();
        let database = Database::from(folder.path().join("slipway.db").as_path());
        let store = Store::open_at(&database, SealKey::generate()).await.unwrap();
        Self { store, database, place: Place::Folder(folder) }
    }

    pub(crate) async fn postgres() -> Self {
        let (server, name, database) = schema();
        let store = Store::open_at(&database, SealKey::generate()).await.unwrap();
        Self { store, database, place: Place::Schema(server, name) }
    }

    /// Lets go of the store, as a control that ended has.
    pub(crate) async fn release(self) -> Released {
        drop(self.store);
        // A pool closes its connections behind our back; the server says when they are gone.
        if let Place::Schema(server, name) = &self.place {
            let owners = format!(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = \
                 ('{name}'::regnamespace::oid::bigint % 2147483647)"
            );
            while server.run(&owners).unwrap() != "0" {
                tokio::task::yield_now().await;
            }
        }
        Released { database: self.database, _place: self.place }
    }

    /// The name of the schema it is in.
    pub(crate) fn schema_name(&self) -> &str {
        match &self.place {
            Place::Folder(_) => panic!("a file has no schemas"),
            Place::Schema(_, name) => name,
        }
    }

    /// Every byte that is kept.
    pub(crate) fn at_rest(&self) -> Vec<u8> {
        match &self.place {
            Place::Folder(folder) => {
                let files = std::fs::read_dir(folder.path()).unwrap();
                files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
            }
            Place::Schema(server, name) => server.dump(name).unwrap().into_bytes(),
        }
    }

    /// Another place, with nothing in it.
    pub(crate) fn empty(&self) -> Database {
        match &self.place {
            Place::Folder(folder) => folder.path().join("other.db").as_path().into(),
            Place::Schema(server, name) => server.url(&format!("{name}_other")).parse().unwrap(),
        }
    }

    /// Whether there still is nothing at [`Scratch::empty`].
    pub(crate) fn is_empty(&self) -> bool {
        match &self.place {
            Place::Folder(folder) => !folder.path().join("other.db").exists(),
            Place::Schema(server, name) => {
                let count = "SELECT count(*) FROM pg_class WHERE relnamespace = ";
                server.run(&format!("{count}'{name}_other'::regnamespace")).unwrap() == "0"
            }
        }
    }
}

/// Makes two tests of each story.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::support::Scratch::sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::support::Scratch::postgres().await).await;
            })*
        }
    };
}
