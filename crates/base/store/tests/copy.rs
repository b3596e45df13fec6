//! The record carried from one database to another.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[macro_use]
mod support;

use store::apps::ConfigVars;
use store::seal::SealKey;
use store::{Database, Error, Store, accounts, apps, facts, jobs, releases};
use vocabulary::{ReleaseStatus, Secret, Stack};

use crate::support::Scratch;

/// More rows than one page holds, sealed columns, nulls, a counter.
async fn fill(store: &Store) -> ConfigVars {
    let vars: ConfigVars = [("SECRET".parse().unwrap(), Secret::new("canary ⚓\n'\"$1"))].into();
    let mut write = store.write().await.unwrap();
    let ada = accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
    let app = apps::create(&mut write, &"sushi".parse().unwrap(), ada.id, Stack::Heroku24).await.unwrap();
    apps::set_config_vars(&mut write, app.id, &vars).await.unwrap();
    for number in 0..1100 {
        let new = releases::New {
            app_id: app.id,
            slug_id: None,
            config: &vars,
            status: ReleaseStatus::Succeeded,
            description: &format!("Release {number}"),
            account_id: ada.id,
        };
        releases::create(&mut write, &new).await.unwrap();
    }
    jobs::add(&mut write, "build", "lane", "{}").await.unwrap();
    write.commit().await.unwrap();
    vars
}

async fn there_and_back(from: Scratch, between: Scratch, last: Scratch) {
    let vars = fill(&from.store).await;
    let key = from.store.key().clone();
    let (from, first) = (from.release().await, between.empty());
    let copied = store::copy(&from.database, &first).await.unwrap();
    let rows = |table: &str| copied.iter().find(|one| one.table == table).unwrap().rows;
    assert_eq!((rows("releases"), rows("apps"), rows("jobs"), rows("domains")), (1100, 1, 1, 0));
    let again = store::copy(&from.database, &first).await;
    assert!(matches!(again, Err(Error::NotEmpty)), "{again:?}");
    let second = last.empty();
    assert_eq!(store::copy(&first, &second).await.unwrap(), copied);
    for database in [&first, &second] {
        holds(database, &key, &vars).await;
    }
}

async fn holds(database: &Database, key: &SealKey, vars: &ConfigVars) {
    let store = Store::open_at(database, key.clone()).await.unwrap();
    let app = apps::by_name(&store, &"sushi".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(&apps::config_vars(&store, app.id).await.unwrap(), vars);
    assert_eq!((app.slug_size, app.team_id, app.maintenance), (None, None, false));
    let releases = releases::list(&store, app.id).await.unwrap();
    assert_eq!((releases.len(), releases[1099].description.as_str()), (1100, "Release 1099"));
    let mut write = store.write().await.unwrap();
    assert_eq!(jobs::add(&mut write, "build", "lane", "{}").await.unwrap(), 2, "numbers go on");
    assert_eq!(facts::next(&mut write, "other").await.unwrap(), 1);
}

#[tokio::test]
async fn from_a_file_to_a_server_and_back() {
    Box::pin(there_and_back(Scratch::sqlite().await, Scratch::postgres().await, Scratch::sqlite().await)).await;
}

#[tokio::test]
async fn from_a_server_to_a_file_and_back() {
    Box::pin(there_and_back(Scratch::postgres().await, Scratch::sqlite().await, Scratch::postgres().await)).await;
}

/// And into what a control owns nothing is copied, nor from what is of another version.
async fn a_record_is_not_copied_while_control_owns_it(owned: Scratch) {
    let (file, other) = (Scratch::sqlite().await, Scratch::sqlite().await.release().await);
    let refused = store::copy(&owned.database, &file.empty()).await;
    assert!(matches!(refused, Err(Error::Owned)), "{refused:?}");
    let refused = store::copy(&other.database, &owned.database).await;
    assert!(matches!(refused, Err(Error::Owned)), "{refused:?}");
    let nothing = store::copy(&owned.empty(), &file.empty()).await;
    assert!(matches!(nothing, Err(Error::OtherVersion)), "{nothing:?}");
    assert!(file.is_empty() && owned.is_empty());
}

on_both! { a_record_is_not_copied_while_control_owns_it }
