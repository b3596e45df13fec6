//! The outbox of webhooks: what is written with a change, and how a delivery goes through its states.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeSet;

use store::deliveries::{AtOnce, Ended};
use store::events::Thing;
use store::part::{Between, Part};
use store::webhooks::{Change, New, Webhook};
use store::{Store, accounts, apps, builds, collaborators, deliveries, domains, events, formation, webhooks};
use vocabulary::{
    AccountId, AppId, BuildId, DeliveryEvent, DeliveryStatus, DynoSize, EventAction, Permissions, ProcessType, Secret,
    Stack, Timestamp, WebhookInclude, WebhookLevel,
};

const MOST: AtOnce = AtOnce { of_one_app: 4, of_one_owner: 4 };

async fn app(store: &Store) -> apps::App {
    let mut write = store.write().await.unwrap();
    let owner = accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
    write.commit().await.unwrap();
    app_of(store, owner.id, "sushi").await
}

async fn app_of(store: &Store, owner: AccountId, name: &str) -> apps::App {
    let mut write = store.write().await.unwrap();
    let app = apps::create(&mut write, &name.parse().unwrap(), owner, Stack::Heroku24).await.unwrap();
    write.commit().await.unwrap();
    app
}

async fn webhook(store: &Store, app: AppId, include: &[WebhookInclude]) -> Webhook {
    let include: BTreeSet<_> = include.iter().copied().collect();
    let new = New {
        app_id: app,
        url: "https://example.com/hooks",
        include: &include,
        level: WebhookLevel::Sync,
        secret: &Secret::new("canary"),
        authorization: Some(&Secret::new("Bearer canary")),
    };
    let mut write = store.write().await.unwrap();
    let webhook = webhooks::create(&mut write, &new).await.unwrap();
    write.commit().await.unwrap();
    webhook
}

async fn maintenance(store: &Store, app: AppId, on: bool) {
    let mut write = store.write().await.unwrap();
    apps::set_maintenance(&mut write, app, on).await.unwrap();
    write.commit().await.unwrap();
}

#[tokio::test]
async fn a_change_and_its_event_are_one_write() {
    let (store, folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::App]).await;
    let mut write = store.write().await.unwrap();
    apps::set_maintenance(&mut write, app.id, true).await.unwrap();
    drop(write);
    assert!(events::list(&store, app.id, &Part::first(2000)).await.unwrap().is_empty());
    maintenance(&store, app.id, true).await;
    store.has_events().await;
    let told = events::list(&store, app.id, &Part::first(2000)).await.unwrap();
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((event.include, event.action), (WebhookInclude::App, EventAction::Update));
    assert_eq!(event.actor.email, "ada@example.com");
    assert!(event.snapshot.app.maintenance && !event.previous.as_ref().unwrap().app.maintenance);
    assert_eq!(deliveries::list(&store, app.id, None, &Part::first(2000)).await.unwrap().len(), 1);
    for file in ["slipway.db", "slipway.db-wal"] {
        let bytes = std::fs::read(folder.join(file)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|part| part == b"canary"), "{file}");
    }
}

#[tokio::test]
async fn nothing_is_written_that_nobody_wants_to_know() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::Release]).await;
    maintenance(&store, app.id, true).await;
    assert!(events::list(&store, app.id, &Part::first(2000)).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_asked_is_the_actor() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::Collaborator, WebhookInclude::Domain]).await;
    let mut write = store.write().await.unwrap();
    let bob = accounts::create(&mut write, "bob@example.com", &Secret::new("hash")).await.unwrap();
    write.commit().await.unwrap();
    let mut write = store.write_by(bob.id).await.unwrap();
    let domain = domains::create(&mut write, app.id, &"www.example.com".parse().unwrap(), "target").await.unwrap();
    domains::delete(&mut write, domain.id).await.unwrap();
    collaborators::create(&mut write, app.id, bob.id, Permissions::ALL_BUT_MANAGE).await.unwrap();
    collaborators::remove(&mut write, app.id, bob.id).await.unwrap();
    write.commit().await.unwrap();
    let told = events::list(&store, app.id, &Part::first(2000)).await.unwrap();
    let actions: Vec<_> = told.iter().map(|event| (event.include.as_str(), event.action)).collect();
    assert_eq!(
        actions,
        [
            ("api:domain", EventAction::Create),
            ("api:domain", EventAction::Destroy),
            ("api:collaborator", EventAction::Create),
            ("api:collaborator", EventAction::Destroy),
        ]
    );
    assert!(told.iter().all(|event| event.actor.id == bob.id && event.actor.email == "bob@example.com"));
}

#[tokio::test]
async fn a_share_tells_what_it_was() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::Formation]).await;
    let mut write = store.write().await.unwrap();
    for quantity in [1, 3] {
        let size = DynoSize::Standard1X;
        formation::set(&mut write, app.id, &ProcessType::web(), quantity, size).await.unwrap();
    }
    write.commit().await.unwrap();
    let quantity = |snapshot: &events::Snapshot| match &snapshot.thing {
        Thing::Formation(entry, _) => entry.quantity,
        thing => panic!("{thing:?}"),
    };
    let told = events::list(&store, app.id, &Part::first(2000)).await.unwrap();
    let steps: Vec<_> =
        told.iter().map(|event| (quantity(event.previous.as_ref().unwrap()), quantity(&event.snapshot))).collect();
    assert_eq!(steps, [(0, 1), (1, 3)]);
}

#[tokio::test]
async fn the_end_of_an_app_is_still_told() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    let webhook = webhook(&store, app.id, &[WebhookInclude::App]).await;
    let mut write = store.write().await.unwrap();
    apps::delete(&mut write, app.id).await.unwrap();
    write.commit().await.unwrap();
    assert!(webhooks::list(&store, app.id).await.unwrap().is_empty());
    let mut write = store.write().await.unwrap();
    let delivery = deliveries::begin(&mut write, MOST).await.unwrap().unwrap();
    assert_eq!(webhooks::drop_retired(&mut write).await.unwrap(), 0);
    write.commit().await.unwrap();
    let event = events::get(&store, delivery.event_id).await.unwrap().unwrap();
    assert_eq!((event.action, event.snapshot.app.name.as_str()), (EventAction::Destroy, "sushi"));
    let (_, secrets) = webhooks::with_secrets(&store, webhook.id).await.unwrap().unwrap();
    assert_eq!(secrets.secret.reveal(), "canary");
    let mut write = store.write().await.unwrap();
    assert!(deliveries::end(&mut write, delivery.id, &ended(DeliveryEvent::Succeed)).await.unwrap());
    assert_eq!(webhooks::drop_retired(&mut write).await.unwrap(), 1);
    assert!(deliveries::prune(&mut write, 300, Timestamp::from_micros(0)).await.is_ok());
    write.commit().await.unwrap();
    assert!(events::get(&store, delivery.event_id).await.unwrap().is_none());
}

fn ended(event: DeliveryEvent) -> Ended {
    let next_attempt_at = (event == DeliveryEvent::Retry).then(|| Timestamp::from_micros(i64::MAX / 2));
    Ended { event, code: Some(200), error: None, next_attempt_at }
}

#[tokio::test]
async fn one_at_a_time_and_of_one_thing_in_order() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::App, WebhookInclude::Domain]).await;
    maintenance(&store, app.id, true).await;
    maintenance(&store, app.id, false).await;
    let mut write = store.write().await.unwrap();
    domains::create(&mut write, app.id, &"www.example.com".parse().unwrap(), "target").await.unwrap();
    let first = deliveries::begin(&mut write, MOST).await.unwrap().unwrap();
    assert_eq!((first.status, first.attempts), (DeliveryStatus::Scheduled, 1));
    assert!(deliveries::begin(&mut write, MOST).await.unwrap().is_none());
    // The first of the app waits for another attempt: the second may not overtake it, the domain's may.
    assert!(deliveries::end(&mut write, first.id, &ended(DeliveryEvent::Retry)).await.unwrap());
    let domain = deliveries::begin(&mut write, MOST).await.unwrap().unwrap();
    assert_eq!(domain.include, WebhookInclude::Domain);
    assert!(deliveries::end(&mut write, domain.id, &ended(DeliveryEvent::Succeed)).await.unwrap());
    assert!(!deliveries::end(&mut write, domain.id, &ended(DeliveryEvent::Succeed)).await.unwrap());
    assert!(deliveries::begin(&mut write, MOST).await.unwrap().is_none());
    write.commit().await.unwrap();
    let all = deliveries::list(&store, app.id, None, &Part::first(2000)).await.unwrap();
    let states: Vec<_> = all.iter().map(|one| one.status.as_str()).collect();
    assert_eq!(states, ["retrying", "pending", "succeeded"]);
}

#[tokio::test]
async fn beyond_the_limit_events_are_counted_and_not_kept() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::App]).await;
    let mut write = store.write().await.unwrap();
    for number in 0..1003 {
        apps::set_maintenance(&mut write, app.id, number % 2 == 0).await.unwrap();
    }
    write.commit().await.unwrap();
    assert_eq!(deliveries::list(&store, app.id, None, &Part::first(2000)).await.unwrap().len(), 1000);
    assert_eq!(webhooks::list(&store, app.id).await.unwrap().first().unwrap().dropped, 3);
}

/// The apps of one owner share what may be under way; another's go on.
#[tokio::test]
async fn one_owner_of_many_apps_leaves_room_for_others() {
    let (store, _folder) = store::scratch().await;
    let first = app(&store).await;
    let mut write = store.write().await.unwrap();
    let bob = accounts::create(&mut write, "bob@example.com", &Secret::new("hash")).await.unwrap();
    write.commit().await.unwrap();
    let mut apps = vec![first.clone()];
    for name in ["maki", "nigiri", "temaki"] {
        apps.push(app_of(&store, first.owner_id, name).await);
    }
    apps.push(app_of(&store, bob.id, "ramen").await);
    for app in &apps {
        webhook(&store, app.id, &[WebhookInclude::App]).await;
        maintenance(&store, app.id, true).await;
    }
    let most = AtOnce { of_one_app: 4, of_one_owner: 2 };
    let mut write = store.write().await.unwrap();
    let mut begun = vec![];
    while let Some(delivery) = deliveries::begin(&mut write, most).await.unwrap() {
        begun.push(delivery);
    }
    assert_eq!(begun.len(), 3, "two of one, one of the other");
    // What is given away counts for who has it now.
    let given = apps::give(&mut write, apps[2].id, (first.owner_id, None), bob.id, None).await.unwrap();
    assert!(given && deliveries::begin(&mut write, most).await.unwrap().is_some());
    assert!(deliveries::begin(&mut write, most).await.unwrap().is_none());
    assert_eq!(webhooks::count_of_owner(&mut write, apps[2].id).await.unwrap(), 2);
}

#[tokio::test]
async fn what_waits_of_one_owner_is_bounded() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    for _ in 0..11 {
        webhook(&store, app.id, &[WebhookInclude::App]).await;
    }
    let mut write = store.write().await.unwrap();
    for number in 0..915 {
        apps::set_maintenance(&mut write, app.id, number % 2 == 0).await.unwrap();
    }
    write.commit().await.unwrap();
    let all = deliveries::list(&store, app.id, None, &Part::first(20_000)).await.unwrap();
    let dropped: i64 = webhooks::list(&store, app.id).await.unwrap().iter().map(|webhook| webhook.dropped).sum();
    assert_eq!((all.len(), dropped), (10_000, 11 * 915 - 10_000));
}

/// Of a description of a megabyte each event and each delivery would hold one.
#[tokio::test]
async fn an_event_is_bounded_whatever_a_user_writes() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::Build]).await;
    let long = "\u{e9}".repeat(500_000);
    let buildpacks = vec![format!("https://example.com/{long}"); 50];
    let new = builds::New {
        id: BuildId::new(),
        app_id: app.id,
        account_id: app.owner_id,
        stack: Stack::Heroku24,
        source: &"0".repeat(64).parse().unwrap(),
        strip_top_folder: false,
        source_version: Some(&long),
        source_version_description: Some(&long),
        buildpacks: &buildpacks,
    };
    let mut write = store.write().await.unwrap();
    builds::create(&mut write, &new).await.unwrap();
    write.commit().await.unwrap();
    let told = events::list(&store, app.id, &Part::first(9)).await.unwrap().remove(0);
    assert!(serde_json::to_string(&told.snapshot).unwrap().len() < 64 * 1024);
    let Thing::Build(build, _) = told.snapshot.thing else { panic!("{:?}", told.snapshot.thing) };
    let version = build.source_version.unwrap();
    assert!(version.starts_with("\u{e9}\u{e9}") && version.ends_with("more bytes, not told here)"), "{version}");
    assert_eq!(build.buildpacks.len(), 50);
}

#[tokio::test]
async fn a_list_is_read_in_parts() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::App]).await;
    for number in 0..6 {
        maintenance(&store, app.id, number % 2 == 0).await;
    }
    let all = events::list(&store, app.id, &Part::first(9)).await.unwrap();
    let numbers: Vec<i64> = all.iter().map(|event| event.sequence).collect();
    assert_eq!((numbers.len(), numbers.is_sorted()), (6, true));
    for (descending, expected) in [(false, [1, 2]), (true, [4, 3])] {
        let part = Part { between: Between::Sequence(numbers[4], numbers[1]), descending, most: 2 };
        let found = events::list(&store, app.id, &part).await.unwrap();
        assert_eq!(found.iter().map(|event| event.sequence).collect::<Vec<_>>(), expected.map(|at| numbers[at]));
        let mut ids: Vec<String> = all.iter().map(|event| event.id.to_string()).collect();
        ids.sort();
        let part = Part { between: Between::Id(ids[1].clone(), ids[4].clone()), descending, most: 2 };
        let found = events::list(&store, app.id, &part).await.unwrap();
        assert_eq!(
            found.iter().map(|event| event.id.to_string()).collect::<Vec<_>>(),
            expected.map(|at| ids[at].clone())
        );
        let told = deliveries::list(&store, app.id, Some(DeliveryStatus::Pending), &part).await.unwrap();
        assert!(told.len() <= 2);
    }
    let failed = deliveries::list(&store, app.id, Some(DeliveryStatus::Failed), &Part::first(9)).await.unwrap();
    assert!(failed.is_empty());
    let one = deliveries::list(&store, app.id, None, &Part::first(1)).await.unwrap().remove(0);
    assert!(deliveries::of_app(&store, app.id, one.id).await.unwrap().is_some());
    assert!(deliveries::of_app(&store, AppId::new(), one.id).await.unwrap().is_none());
    assert!(events::of_app(&store, app.id, one.event_id).await.unwrap().is_some());
    assert!(events::of_app(&store, AppId::new(), one.event_id).await.unwrap().is_none());
}

#[tokio::test]
async fn ended_deliveries_go_by_number_and_age() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    webhook(&store, app.id, &[WebhookInclude::App]).await;
    for on in [true, false, true, false] {
        maintenance(&store, app.id, on).await;
    }
    let mut write = store.write().await.unwrap();
    for _ in 0..3 {
        let delivery = deliveries::begin(&mut write, MOST).await.unwrap().unwrap();
        deliveries::end(&mut write, delivery.id, &ended(DeliveryEvent::Succeed)).await.unwrap();
    }
    // The newest two are one that waits and one that ended; the two before them go.
    assert_eq!(deliveries::prune(&mut write, 2, Timestamp::from_micros(0)).await.unwrap(), 2);
    assert_eq!(deliveries::prune(&mut write, 2, Timestamp::now()).await.unwrap(), 1);
    write.commit().await.unwrap();
    let left = deliveries::list(&store, app.id, None, &Part::first(2000)).await.unwrap();
    assert_eq!(left.iter().map(|one| one.status).collect::<Vec<_>>(), [DeliveryStatus::Pending]);
    assert_eq!(events::list(&store, app.id, &Part::first(2000)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_leaves_what_it_does_not_name() {
    let (store, _folder) = store::scratch().await;
    let app = app(&store).await;
    let made = webhook(&store, app.id, &[WebhookInclude::App]).await;
    let mut write = store.write().await.unwrap();
    let change = Change { level: Some(WebhookLevel::Notify), ..Change::default() };
    let changed = webhooks::update(&mut write, made.id, &change).await.unwrap().unwrap();
    write.commit().await.unwrap();
    assert_eq!((changed.level, changed.url), (WebhookLevel::Notify, made.url));
    let secrets = webhooks::with_secrets(&store, made.id).await.unwrap().unwrap().1;
    assert_eq!(secrets.authorization.unwrap().reveal(), "Bearer canary");
    let mut write = store.write().await.unwrap();
    let change = Change { authorization: Some(None), ..Change::default() };
    webhooks::update(&mut write, made.id, &change).await.unwrap().unwrap();
    write.commit().await.unwrap();
    assert!(webhooks::with_secrets(&store, made.id).await.unwrap().unwrap().1.authorization.is_none());
}
