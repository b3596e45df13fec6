//! The publisher with a real store and socket; the test is the router at the other end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::path::PathBuf;
use std::time::Duration;

use loglines::{LogLine, LogSink, Queue, Source};
use routes::{Config, Routes, Signer};
use routes_table::{Departure, Departures, FromRouter, InFlight, Leaf, Table, ToRouter, VERSION, Web};
use store::apps::{App, ConfigVars};
use store::{Store, accounts, apps, dynos, facts, formation, releases, slugs};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use vocabulary::{
    DynoEvent, DynoId, DynoSize, ProcessType, ProcessTypes, ReleaseId, ReleaseStatus, Secret, SlugId, Stack, Timestamp,
};
use wire::Connection;
use work::Wakers;

const SOON: Duration = Duration::from_secs(20);

/// The publisher and everything around it.
struct Control {
    folder: TempDir,
    store: Store,
    wakers: Wakers,
    departures: Departures,
    queue: Queue,
    replaced: mpsc::Receiver<u32>,
    _tasks: JoinSet<()>,
}

impl Control {
    async fn new() -> Self {
        let (store, _) = store::scratch().await;
        Self::with(store, rustix::process::getuid().as_raw())
    }

    fn with(store: Store, router_uid: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("routes.sock")).unwrap();
        let (wakers, departures) = (Wakers::default(), Departures::default());
        let (sink, queue) = LogSink::new();
        let (replace, replaced) = mpsc::channel(4);
        let leaf = Leaf { names: vec!["localhost".into()], chain: "chain".into(), key: Secret::new("key") };
        let platform_hosts = vec!["localhost".to_owned()];
        let config = Config {
            domain: "localhost".to_owned(),
            platform_hosts,
            leaves: vec![leaf],
            signer: Signer::none(),
            router_uid,
        };
        let routes = Routes::new(store.clone(), wakers.clone(), departures.clone(), sink, config, replace);
        let mut tasks = JoinSet::new();
        tasks.spawn(routes.run(listener));
        Self { folder, store, wakers, departures, queue, replaced, _tasks: tasks }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("routes.sock")
    }

    /// An app with a slug that has a web command, one web dyno wanted, and its current release.
    async fn app(&self, name: &str) -> (App, ReleaseId) {
        let mut write = self.store.write().await.unwrap();
        let email = format!("{name}@example.com");
        let owner = accounts::create(&mut write, &email, &Secret::new("hash")).await.unwrap();
        let app = apps::create(&mut write, &name.parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
        let slug = slugs::Slug {
            id: SlugId::new(),
            app_id: app.id,
            stack: Stack::Heroku24,
            commit: None,
            commit_description: None,
            buildpack_provided_description: None,
            process_types: ProcessTypes::from_procfile(b"web: true").unwrap(),
            layers: vec![],
            size: 1,
            created_at: Timestamp::now(),
        };
        slugs::create(&mut write, &slug).await.unwrap();
        let new = releases::New {
            app_id: app.id,
            slug_id: Some(slug.id),
            config: &ConfigVars::new(),
            status: ReleaseStatus::Succeeded,
            description: "Deploy",
            account_id: owner.id,
        };
        let release = releases::create(&mut write, &new).await.unwrap();
        formation::set(&mut write, app.id, &ProcessType::web(), 1, DynoSize::Standard1X).await.unwrap();
        write.commit().await.unwrap();
        (app, release.id)
    }

    /// A web dyno that is up.
    async fn up(&self, app: &App, release_id: ReleaseId) -> DynoId {
        let now = Timestamp::now();
        let dyno = dynos::Dyno {
            id: DynoId::new(),
            app_id: app.id,
            name: "web.1".parse().unwrap(),
            release_id,
            size: DynoSize::Standard1X,
            command: "true".to_owned(),
            state: vocabulary::DynoState::Starting,
            address: None,
            restart_asked: false,
            one_off: None,
            created_at: now,
            updated_at: now,
        };
        let mut write = self.store.write().await.unwrap();
        dynos::create(&mut write, &dyno).await.unwrap();
        let address = "198.18.0.2:10000".parse().unwrap();
        dynos::moved(&mut write, dyno.id, DynoEvent::BecameReady, Some(address)).await.unwrap();
        write.commit().await.unwrap();
        self.wakers.routes.wake();
        dyno.id
    }

    /// Takes a dyno out of the routes; answers a moment after that.
    async fn stop(&self, dyno: DynoId) -> Instant {
        let mut write = self.store.write().await.unwrap();
        dynos::moved(&mut write, dyno, DynoEvent::Stopped, None).await.unwrap();
        write.commit().await.unwrap();
        self.wakers.routes.wake();
        Instant::now()
    }
}

/// A router as the publisher sees it.
struct Router(Connection);

impl Router {
    async fn new(control: &Control, pid: u32, table: u64) -> Self {
        let mut router = Self(Connection::connect(&control.socket()).await.unwrap());
        router.say(FromRouter::Hello { version: VERSION, pid, table }).await;
        router
    }

    async fn say(&mut self, message: FromRouter) {
        self.0.sender.send(&message, &[]).await.unwrap();
    }

    /// The next table.
    async fn table(&mut self) -> Table {
        let next = tokio::time::timeout(SOON, self.0.receiver.receive::<ToRouter>());
        let (ToRouter::Publish { version }, mut fds) = next.await.unwrap().unwrap().unwrap();
        let bytes = wire::unseal(fds.pop().unwrap(), 64 << 20).unwrap();
        let table: Table = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((table.version, table.check(0)), (version, Ok(())));
        table
    }

    async fn acknowledge(&mut self, version: u64, in_flight: &[(DynoId, u32)]) {
        let in_flight = in_flight.iter().map(|&(dyno, requests)| InFlight { dyno, requests }).collect();
        self.say(FromRouter::Acknowledge { version, in_flight }).await;
    }

    /// Acknowledges tables until one has this for its first app.
    async fn until(&mut self, wanted: impl Fn(&Web) -> bool) -> Table {
        loop {
            let table = self.table().await;
            self.acknowledge(table.version, &[]).await;
            if table.apps.first().is_some_and(|app| wanted(&app.web)) {
                return table;
            }
        }
    }
}

fn own_pid() -> u32 {
    std::process::id()
}

/// A process that is no more.
fn dead_pid() -> u32 {
    let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[tokio::test]
async fn a_router_gets_the_table_and_every_change_of_it() {
    let control = Control::new().await;
    let mut router = Router::new(&control, own_pid(), 0).await;
    let empty = router.table().await;
    assert_eq!((empty.domain.as_str(), empty.apps.len(), empty.leaves[0].key.reveal()), ("localhost", 0, "key"));
    let (app, release) = control.app("sushi").await;
    control.wakers.routes.wake();
    let booting = router.until(|web| *web == Web::Booting).await;
    assert!(booting.version > empty.version);
    assert_eq!(booting.app("sushi.localhost").unwrap().app, app.id);
    let dyno = control.up(&app, release).await;
    let up = router.until(|web| matches!(web, Web::Up(targets) if targets[0].id == dyno)).await;
    assert!(up.version > booting.version);
    let mut second = Router::new(&control, dead_pid(), 0).await;
    assert_eq!(second.table().await, up);
    // What does not change the table is not published: the next table is the one with maintenance.
    control.wakers.routes.wake();
    let mut write = control.store.write().await.unwrap();
    apps::set_maintenance(&mut write, app.id, true).await.unwrap();
    write.commit().await.unwrap();
    control.wakers.routes.wake();
    let maintained = router.table().await;
    assert!(maintained.apps[0].maintenance && maintained.version == up.version + 1);
}

#[tokio::test]
async fn a_dyno_has_departed_when_every_router_serves_without_it_and_has_drained_it() {
    let control = Control::new().await;
    let (app, release) = control.app("sushi").await;
    let dyno = control.up(&app, release).await;
    let mut one = Router::new(&control, own_pid(), 0).await;
    let table = one.until(|web| matches!(web, Web::Up(_))).await;
    let mut two = Router::new(&control, dead_pid(), table.version).await;
    let since = control.stop(dyno).await;
    let (first, second) = (one.table().await, two.table().await);
    assert_eq!((&first, &first.apps[0].web), (&second, &Web::Booting));
    let departed = || control.departures.departed(dyno, since, Duration::from_millis(200));
    one.acknowledge(first.version, &[(dyno, 2)]).await;
    assert_eq!(departed().await, Departure::TimedOut, "one router has not answered");
    two.acknowledge(first.version, &[]).await;
    assert_eq!(departed().await, Departure::TimedOut, "requests are under way");
    one.say(FromRouter::Drained { dyno }).await;
    assert_eq!(control.departures.departed(dyno, since, SOON).await, Departure::Drained);
    // Nothing changes any more, and the same acknowledgement counts for a later moment.
    let later = Instant::now();
    control.wakers.routes.wake();
    assert_eq!(control.departures.departed(dyno, later, SOON).await, Departure::Drained);
}

#[tokio::test]
async fn a_router_whose_process_ended_is_not_waited_for() {
    let control = Control::new().await;
    let (app, release) = control.app("sushi").await;
    let dyno = control.up(&app, release).await;
    let mut router = Router::new(&control, dead_pid(), 0).await;
    router.until(|web| matches!(web, Web::Up(_))).await;
    let since = control.stop(dyno).await;
    router.table().await;
    drop(router);
    assert_eq!(control.departures.departed(dyno, since, SOON).await, Departure::Drained);
}

#[tokio::test]
async fn without_a_router_a_dyno_departs_once_none_can_be_on_its_way() {
    let control = Control::new().await;
    let began = Instant::now();
    let departed = control.departures.departed(DynoId::new(), began, Duration::from_millis(300)).await;
    assert_eq!(departed, Departure::TimedOut, "a router of before may still come");
    control.wakers.routes.wake();
    assert_eq!(control.departures.departed(DynoId::new(), began, SOON).await, Departure::Drained);
    assert!(began.elapsed() > Duration::from_secs(2));
}

#[tokio::test]
async fn a_router_that_does_not_acknowledge_is_to_be_replaced() {
    let mut control = Control::new().await;
    let mut router = Router::new(&control, 4711, 0).await;
    let table = router.table().await;
    let began = Instant::now();
    router.say(FromRouter::Refuse { version: table.version, reason: "no reason".to_owned() }).await;
    assert_eq!(tokio::time::timeout(SOON, control.replaced.recv()).await.unwrap(), Some(4711));
    assert!(began.elapsed() > Duration::from_secs(4));
}

#[tokio::test]
async fn a_router_that_serves_a_later_table_gets_one_above_it() {
    let control = Control::new().await;
    let mut router = Router::new(&control, own_pid(), 4711).await;
    let mut table = router.table().await;
    while table.version <= 4711 {
        table = router.table().await;
    }
    let mut write = control.store.write().await.unwrap();
    assert!(facts::next(&mut write, "route_table_version").await.unwrap() > table.version);
}

#[tokio::test]
async fn versions_grow_over_restarts() {
    let first = Control::new().await;
    let mut router = Router::new(&first, own_pid(), 0).await;
    let version = router.table().await.version;
    let second = Control::with(first.store.clone(), rustix::process::getuid().as_raw());
    let mut router = Router::new(&second, own_pid(), version).await;
    assert_eq!(router.table().await.version, version + 1);
}

#[tokio::test]
async fn lines_of_requests_go_to_the_log() {
    let mut control = Control::new().await;
    let (app, _) = control.app("sushi").await;
    let mut router = Router::new(&control, own_pid(), 0).await;
    let line = |text: &str| LogLine::now(app.id, Source::Heroku, "router", text);
    let lines = vec![line("at=info one"), line("at=info two")];
    router.say(FromRouter::Dropped(7)).await;
    router.say(FromRouter::Lines(lines.clone())).await;
    for line in lines {
        assert_eq!(tokio::time::timeout(SOON, control.queue.lines.recv()).await.unwrap(), Some(line));
    }
    assert_eq!(control.queue.take_dropped(), 7);
}

#[tokio::test]
async fn who_is_no_router_or_speaks_another_version_is_let_go() {
    let control = Control::new().await;
    let mut other = Connection::connect(&control.socket()).await.unwrap();
    other.sender.send(&FromRouter::Hello { version: VERSION + 1, pid: 1, table: 0 }, &[]).await.unwrap();
    assert!(other.receiver.receive::<ToRouter>().await.unwrap().is_none());
    let mut rude = Connection::connect(&control.socket()).await.unwrap();
    rude.sender.send(&FromRouter::Dropped(1), &[]).await.unwrap();
    assert!(rude.receiver.receive::<ToRouter>().await.unwrap().is_none());
}

#[tokio::test]
async fn a_hundred_apps_are_read_and_planned() {
    let control = Control::new().await;
    for number in 0..100 {
        let (app, release) = control.app(&format!("app-{number}")).await;
        control.up(&app, release).await;
    }
    let mut router = Router::new(&control, own_pid(), 0).await;
    loop {
        let table = router.table().await;
        if table.apps.len() == 100 && table.apps.iter().all(|app| matches!(app.web, Web::Up(_))) {
            break;
        }
    }
}
