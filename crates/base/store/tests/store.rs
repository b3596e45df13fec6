//! The store as the rooms use it: the same stories on a SQLite file and on a PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[macro_use]
mod support;

use store::apps::ConfigVars;
use store::{accounts, apps, authorizations, facts, jobs, layers, releases, second_factors, slugs, uploads};
use vocabulary::{AppId, Digest, ProcessTypes, ReleaseEvent, ReleaseStatus, Secret, SlugId, Stack, Timestamp};

use crate::support::Scratch;

async fn account(store: &store::Store) -> accounts::Account {
    let mut write = store.write().await.unwrap();
    let account = accounts::create(&mut write, "Ada@Example.com", &Secret::new("hash")).await.unwrap();
    write.commit().await.unwrap();
    account
}

async fn app(store: &store::Store, name: &str) -> apps::App {
    let owner = match accounts::by_email(store, "ada@example.com").await.unwrap() {
        Some(owner) => owner,
        None => account(store).await,
    };
    let mut write = store.write().await.unwrap();
    let app = apps::create(&mut write, &name.parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
    write.commit().await.unwrap();
    app
}

async fn a_write_that_is_not_committed_leaves_no_trace(scratch: Scratch) {
    let store = &scratch.store;
    let app = app(store, "sushi").await;
    let mut write = store.write().await.unwrap();
    apps::set_maintenance(&mut write, app.id, true).await.unwrap();
    drop(write);
    assert!(!apps::get(store, app.id).await.unwrap().unwrap().maintenance);
}

async fn names_are_unique_and_say_so(scratch: Scratch) {
    let store = &scratch.store;
    let first = app(store, "sushi").await;
    let mut write = store.write().await.unwrap();
    let again = apps::create(&mut write, &first.name, first.owner_id, Stack::Heroku24).await;
    assert_eq!(again.unwrap_err().to_string(), "name is already taken");
}

async fn config_vars_are_sealed_at_rest(scratch: Scratch) {
    let store = &scratch.store;
    let app = app(store, "sushi").await;
    let vars: ConfigVars = [("SECRET".parse().unwrap(), Secret::new("canary-4711"))].into();
    let mut write = store.write().await.unwrap();
    apps::set_config_vars(&mut write, app.id, &vars).await.unwrap();
    let new = releases::New {
        app_id: app.id,
        slug_id: None,
        config: &vars,
        status: ReleaseStatus::Succeeded,
        description: "Set SECRET config vars",
        account_id: app.owner_id,
    };
    let release = releases::create(&mut write, &new).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(apps::config_vars(store, app.id).await.unwrap(), vars);
    assert_eq!(releases::config_vars(store, release.id).await.unwrap(), vars);
    let rest = scratch.at_rest();
    assert!(rest.windows(5).any(|window| window == b"sushi"));
    assert!(!rest.windows(11).any(|window| window == b"canary-4711"));
}

async fn versions_count_up_and_the_current_release_is_the_newest_that_succeeded(scratch: Scratch) {
    let store = &scratch.store;
    let app = app(store, "sushi").await;
    let slug = slugs::Slug {
        id: SlugId::new(),
        app_id: app.id,
        stack: Stack::Heroku24,
        commit: None,
        commit_description: None,
        buildpack_provided_description: None,
        process_types: ProcessTypes::from_procfile(b"web: true").unwrap(),
        layers: vec![Digest::from_bytes(&[7; 32])],
        size: 1,
        created_at: Timestamp::now(),
    };
    let mut write = store.write().await.unwrap();
    slugs::create(&mut write, &slug).await.unwrap();
    let mut made = vec![];
    for status in [ReleaseStatus::Succeeded, ReleaseStatus::Pending] {
        let config = ConfigVars::new();
        let new = releases::New {
            app_id: app.id,
            slug_id: Some(slug.id),
            config: &config,
            status,
            description: "Deploy",
            account_id: app.owner_id,
        };
        made.push(releases::create(&mut write, &new).await.unwrap());
    }
    write.commit().await.unwrap();
    assert_eq!(made.iter().map(|release| release.version.number()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(releases::current(store, app.id).await.unwrap().unwrap().version.number(), 1);
    let mut write = store.write().await.unwrap();
    assert!(releases::end(&mut write, made[1].id, ReleaseEvent::Succeed).await.unwrap());
    assert!(!releases::end(&mut write, made[1].id, ReleaseEvent::Fail).await.unwrap());
    write.commit().await.unwrap();
    assert_eq!(releases::current(store, app.id).await.unwrap().unwrap().version.number(), 2);
    assert_eq!(slugs::get(store, slug.id).await.unwrap().unwrap().process_types, slug.process_types);
    let current = slugs::all_current_process_types(store).await.unwrap();
    assert_eq!(current, [(app.id, slug.process_types)]);
    let mut write = store.write().await.unwrap();
    apps::delete(&mut write, app.id).await.unwrap();
    write.commit().await.unwrap();
    assert!(apps::get(store, app.id).await.unwrap().is_none());
}

async fn a_token_is_found_by_its_text_and_kept_as_a_hash(scratch: Scratch) {
    let store = &scratch.store;
    let account = account(store).await;
    let token = Secret::new("HRKU-0123456789abcdef0123456789abcdef");
    let mut write = store.write().await.unwrap();
    let new = authorizations::New {
        account_id: account.id,
        token: &token,
        description: "test",
        scope: &["global".to_owned()],
        is_default: false,
        expires_at: None,
    };
    let made = authorizations::create(&mut write, &new).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(made.token.unwrap().hint, "HRKU-0123**********bcdef");
    assert_eq!(authorizations::by_token(store, &token).await.unwrap().unwrap().id, made.id);
    assert!(authorizations::by_token(store, &Secret::new("other")).await.unwrap().is_none());
}

async fn a_second_process_joins_the_store_and_leaves_its_schema_alone(scratch: Scratch) {
    let store = &scratch.store;
    let account = account(store).await;
    let other = store::Store::join_at(&scratch.database, store.key().clone()).await.unwrap();
    let first = store.write().await.unwrap();
    let second = tokio::spawn(async move {
        let mut write = other.write().await.unwrap();
        accounts::set_name(&mut write, account.id, Some("Ada")).await.unwrap();
        write.commit().await.unwrap();
    });
    first.commit().await.unwrap();
    second.await.unwrap();
    assert_eq!(accounts::get(store, account.id).await.unwrap().unwrap().name.as_deref(), Some("Ada"));
    let missing = store::Store::join_at(&scratch.empty(), store.key().clone()).await;
    assert!(missing.is_err() && scratch.is_empty());
}

async fn a_removed_account_stays_behind_what_it_deployed_and_cannot_sign_in(scratch: Scratch) {
    let store = &scratch.store;
    let app = app(store, "sushi").await;
    let mut write = store.write().await.unwrap();
    let other = accounts::create(&mut write, "bob@example.com", &Secret::new("hash")).await.unwrap();
    let clean = accounts::create(&mut write, "eve@example.com", &Secret::new("hash")).await.unwrap();
    let token = Secret::new("HRKU-0123456789abcdef0123456789abcdef");
    let new = authorizations::New {
        account_id: other.id,
        token: &token,
        description: "",
        scope: &[],
        is_default: false,
        expires_at: None,
    };
    authorizations::create(&mut write, &new).await.unwrap();
    let release = releases::New {
        app_id: app.id,
        slug_id: None,
        config: &ConfigVars::new(),
        status: ReleaseStatus::Succeeded,
        description: "Deploy",
        account_id: other.id,
    };
    releases::create(&mut write, &release).await.unwrap();
    assert!(accounts::remove(&mut write, other.id).await.unwrap());
    assert!(accounts::remove(&mut write, clean.id).await.unwrap());
    write.commit().await.unwrap();
    assert!(accounts::by_email(store, "bob@example.com").await.unwrap().is_none());
    assert!(authorizations::by_token(store, &token).await.unwrap().is_none());
    let left = accounts::get(store, other.id).await.unwrap().unwrap();
    assert_eq!((left.name, left.password_hash.reveal()), (None, ""));
    assert!(accounts::get(store, clean.id).await.unwrap().is_none());
    assert_eq!(accounts::all(store).await.unwrap().len(), 1);
    // What was under way when it was removed makes a token that is worth nothing.
    let mut write = store.write().await.unwrap();
    let late = Secret::new("HRKU-late-late-late-late-late-late-late-late");
    authorizations::create(&mut write, &authorizations::New { token: &late, ..new }).await.unwrap();
    write.commit().await.unwrap();
    assert!(authorizations::by_token(store, &late).await.unwrap().is_none());
}

async fn who_owns_an_app_stays_and_an_app_is_given_once(scratch: Scratch) {
    let store = &scratch.store;
    let app = app(store, "sushi").await;
    let mut write = store.write().await.unwrap();
    assert!(!accounts::remove(&mut write, app.owner_id).await.unwrap());
    let bob = accounts::create(&mut write, "bob@example.com", &Secret::new("hash")).await.unwrap();
    assert!(apps::give(&mut write, app.id, (app.owner_id, None), bob.id, None).await.unwrap());
    assert!(!apps::give(&mut write, app.id, (app.owner_id, None), app.owner_id, None).await.unwrap());
    write.commit().await.unwrap();
    assert_eq!(apps::get(store, app.id).await.unwrap().unwrap().owner_id, bob.id);
}

async fn codes_are_taken_once(scratch: Scratch) {
    let store = &scratch.store;
    let account = account(store).await;
    let codes = [Secret::new("one"), Secret::new("two")];
    let mut write = store.write().await.unwrap();
    second_factors::set(&mut write, account.id, &Secret::new("SECRET"), 7, &codes).await.unwrap();
    assert!(!second_factors::take_step(&mut write, account.id, 7).await.unwrap());
    assert!(second_factors::take_step(&mut write, account.id, 8).await.unwrap());
    assert!(!second_factors::take_step(&mut write, account.id, 8).await.unwrap());
    assert!(second_factors::take_recovery_code(&mut write, account.id, &codes[0]).await.unwrap());
    assert!(!second_factors::take_recovery_code(&mut write, account.id, &codes[0]).await.unwrap());
    write.commit().await.unwrap();
    assert_eq!(second_factors::recovery_codes_left(store, account.id).await.unwrap(), 1);
    assert_eq!(second_factors::secret(store, account.id).await.unwrap(), Some(Secret::new("SECRET")));
    assert!(accounts::get(store, account.id).await.unwrap().unwrap().second_factor);
}

async fn jobs_of_a_lane_run_one_after_the_other(scratch: Scratch) {
    let store = &scratch.store;
    let (one, two) = (AppId::new().to_string(), AppId::new().to_string());
    let mut write = store.write().await.unwrap();
    for lane in [&one, &one, &two] {
        jobs::add(&mut write, "build", lane, "{}").await.unwrap();
    }
    let first = jobs::take(&mut write).await.unwrap().unwrap();
    let other = jobs::take(&mut write).await.unwrap().unwrap();
    assert_eq!((first.lane.as_str(), other.lane.as_str()), (one.as_str(), two.as_str()));
    assert_eq!(jobs::take(&mut write).await.unwrap(), None);
    jobs::finish(&mut write, first.id).await.unwrap();
    assert_eq!(jobs::take(&mut write).await.unwrap().unwrap().lane, one);
    assert_eq!(jobs::requeue_orphans(&mut write).await.unwrap(), 2);
    assert_eq!(jobs::take(&mut write).await.unwrap().unwrap().attempts, 1);
}

async fn a_counter_counts_up_and_can_be_raised(scratch: Scratch) {
    let store = &scratch.store;
    let mut write = store.write().await.unwrap();
    assert_eq!(facts::next(&mut write, "test").await.unwrap(), 1);
    facts::raise(&mut write, "test", 7).await.unwrap();
    facts::raise(&mut write, "test", 3).await.unwrap();
    assert_eq!(facts::next(&mut write, "test").await.unwrap(), 8);
    facts::raise(&mut write, "other", 2).await.unwrap();
    assert_eq!(facts::next(&mut write, "other").await.unwrap(), 3);
}

const NONE: [u8; 0] = [];

fn digest(number: u8) -> Digest {
    Digest::from_bytes(&[number; 32])
}

/// A slug of these layers, released.
async fn released(store: &store::Store, app: &apps::App, layers: &[u8]) -> (SlugId, vocabulary::ReleaseId) {
    let slug = slugs::Slug {
        id: SlugId::new(),
        app_id: app.id,
        stack: Stack::Heroku24,
        commit: None,
        commit_description: None,
        buildpack_provided_description: None,
        process_types: ProcessTypes::default(),
        layers: layers.iter().map(|number| digest(*number)).collect(),
        size: 1,
        created_at: Timestamp::now(),
    };
    let new = releases::New {
        app_id: app.id,
        slug_id: Some(slug.id),
        config: &ConfigVars::new(),
        status: ReleaseStatus::Succeeded,
        description: "Deploy",
        account_id: app.owner_id,
    };
    let mut write = store.write().await.unwrap();
    for number in layers {
        let layer = layers::Layer { digest: digest(*number), blob: digest(*number + 100), blob_bytes: 1, tar_bytes: 1 };
        layers::create(&mut write, &layer).await.unwrap();
    }
    slugs::create(&mut write, &slug).await.unwrap();
    let release = releases::create(&mut write, &new).await.unwrap();
    write.commit().await.unwrap();
    (slug.id, release.id)
}

/// The numbers of the layers that are forgotten now.
async fn forgotten(store: &store::Store, spare: &[u8]) -> Vec<u8> {
    let spare = spare.iter().map(|number| digest(*number)).collect();
    let mut write = store.write().await.unwrap();
    let gone = layers::drop_unreferenced(&mut write, &spare).await.unwrap();
    write.commit().await.unwrap();
    (0..100).filter(|number| gone.iter().any(|layer| layer.digest == digest(*number))).collect()
}

fn node(version: &str) -> layers::RuntimeKey<'_> {
    layers::RuntimeKey { name: "node", version, stack_image: None }
}

async fn a_layer_is_forgotten_when_the_last_that_refers_to_it_is_gone(scratch: Scratch) {
    let store = &scratch.store;
    let (sushi, ramen) = (app(store, "sushi").await, app(store, "ramen").await);
    let (first, _) = released(store, &sushi, &[1, 2]).await;
    released(store, &ramen, &[1, 3]).await;
    let mut write = store.write().await.unwrap();
    layers::set_runtime(&mut write, &node("24.0.0"), &digest(1)).await.unwrap();
    layers::set_build_cache(&mut write, sushi.id, Stack::Heroku24, &digest(2)).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(forgotten(store, &[]).await, NONE);

    let mut write = store.write().await.unwrap();
    slugs::delete(&mut write, first).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(forgotten(store, &[]).await, NONE, "the cache refers to 2, the other app to 1");

    let mut write = store.write().await.unwrap();
    layers::purge_build_cache(&mut write, sushi.id).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(forgotten(store, &[2]).await, NONE, "somebody holds it");
    assert_eq!(forgotten(store, &[]).await, [2]);

    let mut write = store.write().await.unwrap();
    apps::delete(&mut write, ramen.id).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(forgotten(store, &[]).await, [3], "1 is a runtime's");
    assert_eq!(layers::blobs(store).await.unwrap(), [digest(101)].into());
}

async fn a_runtime_is_forgotten_when_no_slug_has_it_and_no_build_asked_for_it(scratch: Scratch) {
    let store = &scratch.store;
    let app = app(store, "sushi").await;
    let (slug, _) = released(store, &app, &[1]).await;
    let unused_for = async |runtimes: &[(&str, u8)], deleted: bool, since: Timestamp| {
        let mut write = store.write().await.unwrap();
        for (version, number) in runtimes {
            layers::set_runtime(&mut write, &node(version), &digest(*number)).await.unwrap();
        }
        if deleted {
            slugs::delete(&mut write, slug).await.unwrap();
        }
        let gone = layers::drop_unused_runtimes(&mut write, since).await.unwrap();
        write.commit().await.unwrap();
        gone
    };
    let later = || Timestamp::from_micros(Timestamp::now().micros() + 1);
    assert_eq!(unused_for(&[("24.0.0", 1)], false, later()).await, 0, "a slug has it");
    assert_eq!(unused_for(&[], true, Timestamp::from_micros(0)).await, 0, "a build asked for it");
    assert_eq!(unused_for(&[], false, later()).await, 1);
    assert!(layers::runtime(store, &node("24.0.0")).await.unwrap().is_none());
}

async fn releases_say_what_keeps_their_slugs(scratch: Scratch) {
    let store = &scratch.store;
    let app = app(store, "sushi").await;
    let (first, old) = released(store, &app, &[1]).await;
    let (_, new) = released(store, &app, &[2]).await;
    let mut write = store.write().await.unwrap();
    let holding = releases::holding_in(&mut write).await.unwrap();
    let seen: Vec<_> = holding.iter().map(|one| (one.id, one.newer, one.has_dynos, one.status)).collect();
    assert_eq!(seen, [(new, 0, false, ReleaseStatus::Succeeded), (old, 1, false, ReleaseStatus::Succeeded)]);
    slugs::delete(&mut write, first).await.unwrap();
    releases::expire(&mut write, first).await.unwrap();
    assert!(!slugs::is_kept_in(&mut write, first).await.unwrap());
    assert_eq!(releases::holding_in(&mut write).await.unwrap().len(), 1);
    write.commit().await.unwrap();
    assert!(slugs::deleted_at(store, first).await.unwrap().is_some());
    assert_eq!(releases::current(store, app.id).await.unwrap().unwrap().id, new);
}

async fn what_is_read_in_a_write_stays_so_until_it_ends(scratch: Scratch) {
    let app = app(&scratch.store, "sushi").await;
    let other = store::Store::join_at(&scratch.database, scratch.store.key().clone()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = if number % 2 == 0 { scratch.store.clone() } else { other.clone() };
        tasks.spawn(async move {
            let mut write = store.write().await.unwrap();
            let mut vars = apps::config_vars_in(&mut write, app.id).await.unwrap();
            vars.insert(format!("VAR_{number}").parse().unwrap(), Secret::new("1"));
            tokio::task::yield_now().await;
            apps::set_config_vars(&mut write, app.id, &vars).await.unwrap();
            write.commit().await.unwrap();
        });
    }
    tasks.join_all().await;
    assert_eq!(apps::config_vars(&scratch.store, app.id).await.unwrap().len(), 40);
}

async fn lists_come_in_the_order_of_their_bytes(scratch: Scratch) {
    let store = &scratch.store;
    let mut write = store.write().await.unwrap();
    for email in ["b@example.com", "a-z@example.com", "ab@example.com", "é@example.com", "a.b@example.com"] {
        accounts::create(&mut write, email, &Secret::new("hash")).await.unwrap();
    }
    write.commit().await.unwrap();
    let emails: Vec<String> = accounts::all(store).await.unwrap().into_iter().map(|account| account.email).collect();
    assert_eq!(emails, ["a-z@example.com", "a.b@example.com", "ab@example.com", "b@example.com", "é@example.com"]);
}

async fn a_text_that_one_database_cannot_hold_is_refused_by_both(scratch: Scratch) {
    let store = &scratch.store;
    let account = account(store).await;
    assert!(accounts::by_email(store, "ada\0@example.com").await.unwrap_err().is_bad_text());
    let mut write = store.write().await.unwrap();
    let refused = accounts::set_name(&mut write, account.id, Some("A\0da")).await;
    assert!(refused.unwrap_err().is_bad_text());
}

async fn an_account_s_uploads_are_kept_while_there_is_room_and_for_their_time(scratch: Scratch) {
    let store = &scratch.store;
    let account = account(store).await;
    let room = uploads::Room { uploads: 2, bytes: 100 };
    let place = async |id: &str, number: u8, bytes: i64| {
        let (id, blob, at) = (id.to_owned(), digest(number), Timestamp::from_micros(i64::from(number)));
        let new = uploads::Upload { id, account_id: account.id, blob, bytes, created_at: at };
        let mut write = store.write().await.unwrap();
        let placed = uploads::place(&mut write, &new, room).await.unwrap();
        if placed {
            write.commit().await.unwrap();
        }
        placed
    };
    assert!(place("a", 1, 40).await && place("b", 2, 40).await);
    assert!(!place("c", 3, 1).await, "two wait");
    assert!(!place("b", 4, 61).await, "and have so many bytes");
    assert!(place("b", 4, 60).await, "one takes its own place");
    let mut write = store.write().await.unwrap();
    uploads::mark_used(&mut write, account.id, &digest(1)).await.unwrap();
    write.commit().await.unwrap();
    assert!(place("c", 5, 40).await, "what a build has makes room");
    let at = |micros| Timestamp::from_micros(micros);
    assert!(uploads::get(store, "a", at(0)).await.unwrap().is_none());
    assert_eq!(uploads::get(store, "b", at(0)).await.unwrap().unwrap().blob, digest(4));
    assert!(uploads::get(store, "b", at(4)).await.unwrap().is_none(), "its time is over");
    let mut write = store.write().await.unwrap();
    assert_eq!(uploads::forget(&mut write, at(4)).await.unwrap(), 1);
    write.commit().await.unwrap();
    assert_eq!(uploads::blobs(store).await.unwrap(), [digest(5)]);
}

on_both!(
    an_account_s_uploads_are_kept_while_there_is_room_and_for_their_time,
    a_text_that_one_database_cannot_hold_is_refused_by_both,
    what_is_read_in_a_write_stays_so_until_it_ends,
    lists_come_in_the_order_of_their_bytes,
    a_write_that_is_not_committed_leaves_no_trace,
    names_are_unique_and_say_so,
    config_vars_are_sealed_at_rest,
    versions_count_up_and_the_current_release_is_the_newest_that_succeeded,
    a_token_is_found_by_its_text_and_kept_as_a_hash,
    a_second_process_joins_the_store_and_leaves_its_schema_alone,
    a_removed_account_stays_behind_what_it_deployed_and_cannot_sign_in,
    who_owns_an_app_stays_and_an_app_is_given_once,
    codes_are_taken_once,
    jobs_of_a_lane_run_one_after_the_other,
    a_counter_counts_up_and_can_be_raised,
    a_layer_is_forgotten_when_the_last_that_refers_to_it_is_gone,
    a_runtime_is_forgotten_when_no_slug_has_it_and_no_build_asked_for_it,
    releases_say_what_keeps_their_slugs,
);

#[tokio::test]
async fn a_scratch_store_leaves_no_folder() {
    let (store, folder) = store::scratch().await;
    let clone = store.clone();
    drop(store);
    assert!(folder.exists());
    drop(clone);
    assert!(!folder.exists());
}
