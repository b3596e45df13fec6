//! The room with the real store, over an engine that is simulated on its real socket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must stop")]

mod room {
    mod one_off;
}
mod simulated;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blobs::Blobs;
use dynos::{Config, Dynos, Quantity, Scale, Which};
use loglines::LogSink;
use routes_table::{Departures, Routed};
use simulated::Simulated;
use store::Store;
use store::apps::{App, ConfigVars};
use store::dynos::Dyno;
use store::slugs::Slug;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vocabulary::{
    Digest, DynoId, DynoSize, DynoState, ProcessType, ProcessTypes, ReleaseId, ReleaseStatus, Secret, SlugId, Stack,
    Timestamp,
};
use work::Wakers;

const LONG: Duration = Duration::from_secs(20);

/// A platform of one app, one room and one engine.
struct Case {
    store: Store,
    wakers: Wakers,
    logs: LogSink,
    lines: loglines::Queue,
    engine: Simulated,
    departures: Departures,
    /// Whether the routers acknowledge what they are told.
    routed: Arc<AtomicBool>,
    config: Config,
    app: App,
    room: Option<JoinHandle<()>>,
    said: Vec<String>,
    folder: tempfile::TempDir,
}

impl Case {
    async fn new(config: Config) -> Self {
        let (store, _) = store::scratch().await;
        let folder = tempfile::tempdir().unwrap();
        let mut write = store.write().await.unwrap();
        let owner = store::accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
        let app = store::apps::create(&mut write, &"sushi".parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
        write.commit().await.unwrap();
        let (logs, lines) = LogSink::new();
        let engine = Simulated::new(folder.path());
        let (wakers, departures, routed) = (Wakers::default(), Departures::default(), Arc::new(AtomicBool::new(true)));
        tokio::spawn(route(wakers.clone(), departures.clone(), Arc::clone(&routed)));
        let (room, said) = (None, vec![]);
        let mut case = Self { store, wakers, logs, lines, engine, departures, routed, config, app, room, said, folder };
        case.start_room();
        case
    }

    fn dynos(&self) -> Dynos {
        let blobs = Blobs::open(&self.folder.path().join("blobs")).unwrap();
        let (store, wakers, logs) = (self.store.clone(), self.wakers.clone(), self.logs.clone());
        Dynos::new(store, wakers, logs, self.engine.client(), self.departures.clone(), blobs, self.config.clone())
    }

    fn start_room(&mut self) {
        self.room = Some(tokio::spawn(self.dynos().run()));
    }

    /// Ends the room wherever it stands, with every step under way.
    async fn kill_room(&mut self) {
        if let Some(room) = self.room.take() {
            room.abort();
            drop(room.await);
        }
    }

    /// Makes a current release of these process types.
    async fn deploy(&self, types: &[(&str, &str)]) -> ReleaseId {
        self.deploy_layers(types, vec![]).await
    }

    async fn deploy_layers(&self, types: &[(&str, &str)], layers: Vec<Digest>) -> ReleaseId {
        let types = types.iter().map(|(name, command)| (name.parse().unwrap(), (*command).to_owned())).collect();
        let slug = Slug {
            id: SlugId::new(),
            app_id: self.app.id,
            stack: Stack::Heroku24,
            commit: None,
            commit_description: None,
            buildpack_provided_description: None,
            process_types: ProcessTypes(types),
            layers,
            size: 0,
            created_at: Timestamp::now(),
        };
        let config: ConfigVars = [("GREETING".parse().unwrap(), Secret::new("hello"))].into();
        let mut write = self.store.write().await.unwrap();
        store::slugs::create(&mut write, &slug).await.unwrap();
        let new = store::releases::New {
            app_id: self.app.id,
            slug_id: Some(slug.id),
            config: &config,
            status: ReleaseStatus::Succeeded,
            description: "Deploy",
            account_id: self.app.owner_id,
        };
        let release = store::releases::create(&mut write, &new).await.unwrap();
        write.commit().await.unwrap();
        self.wakers.dynos.wake();
        release.id
    }

    async fn formation(&self, wanted: &[(&str, u32)]) {
        let mut write = self.store.write().await.unwrap();
        for (name, quantity) in wanted {
            let name: ProcessType = name.parse().unwrap();
            store::formation::set(&mut write, self.app.id, &name, *quantity, DynoSize::Standard1X).await.unwrap();
        }
        write.commit().await.unwrap();
        self.wakers.dynos.wake();
    }

    async fn rows(&self) -> Vec<Dyno> {
        store::dynos::list(&self.store, self.app.id).await.unwrap()
    }

    /// Waits until the rows are as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&[Dyno], &Simulated) -> bool) {
        let mut changes = self.wakers.changes.watch();
        let waiting = async {
            while !wanted(&self.rows().await, &self.engine) {
                // A change tells at once; what the engine alone knows is looked at again soon.
                drop(tokio::time::timeout(Duration::from_millis(5), changes.changed()).await);
            }
        };
        let in_time = tokio::time::timeout(LONG, waiting).await.is_ok();
        assert!(in_time, "never {what}: {:#?}, {:?}", self.rows().await, self.engine.requests());
    }

    /// Waits until exactly these dynos exist, all up, all of a release.
    async fn until_up(&self, release: ReleaseId, names: &[&str]) {
        self.until(&format!("up {names:?}"), |rows, engine| {
            let mut up: Vec<String> =
                rows.iter().filter(|row| is_up(row, release)).map(|row| row.name.to_string()).collect();
            up.sort();
            up == names && rows.len() == names.len() && engine.running().len() == names.len()
        })
        .await;
    }

    /// The lines said so far, without times.
    fn lines(&mut self) -> &[String] {
        while let Ok(line) = self.lines.lines.try_recv() {
            self.said.push(format!("{}[{}]: {}", line.source, line.dyno, line.text));
        }
        &self.said
    }

    /// Waits for a line.
    async fn until_said(&mut self, text: &str) {
        let deadline = Instant::now() + LONG;
        while !self.lines().iter().any(|line| line.contains(text)) {
            assert!(Instant::now() < deadline, "never said {text}: {:#?}", self.said);
            if let Ok(Some(line)) = tokio::time::timeout(Duration::from_millis(50), self.lines.lines.recv()).await {
                self.said.push(format!("{}[{}]: {}", line.source, line.dyno, line.text));
            }
        }
    }

    fn is_in_order(&mut self, wanted: &[&str]) {
        let lines = self.lines().to_vec();
        let mut rest = lines.iter();
        for text in wanted {
            assert!(rest.any(|line| line == text), "{text} does not follow in {lines:#?}");
        }
    }
}

fn is_up(row: &Dyno, release: ReleaseId) -> bool {
    row.state == DynoState::Up && row.release_id == release
}

/// Stands in for the routers: acknowledges whatever the store says.
async fn route(wakers: Wakers, departures: Departures, on: Arc<AtomicBool>) {
    loop {
        if on.load(Ordering::SeqCst) {
            departures.tell(Routed { read_at: Instant::now(), in_flight: HashMap::new() });
        }
        wakers.routes.woken_or(Duration::from_millis(5)).await;
    }
}

/// Heroku's order of things with times that suit a test.
fn quick() -> Config {
    Config {
        boot_timeout: Duration::from_secs(10),
        grace: Duration::from_millis(100),
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(100),
        linger: Duration::from_millis(5),
        retry: Duration::from_millis(10),
        timer: Duration::from_millis(50),
        ..Config::default()
    }
}

#[tokio::test]
async fn a_first_deploy_runs_the_formation_with_its_environment() {
    let mut case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "listen"), ("worker", "work"), ("release", "exit 0")]).await;
    case.formation(&[("web", 1), ("worker", 1), ("release", 1), ("gone", 1)]).await;
    case.until_up(release, &["web.1", "worker.1"]).await;
    let web = case.rows().await.into_iter().find(|row| row.name.to_string() == "web.1").unwrap();
    let env = case.engine.env(web.id);
    let wanted = [("DYNO", "web.1"), ("GREETING", "hello"), ("HOME", "/app"), ("PS", "web.1"), ("PWD", "/app")];
    for (name, value) in wanted {
        assert_eq!(env[name], value);
    }
    assert_eq!(web.address.unwrap().port().to_string(), env["PORT"]);
    case.is_in_order(&[
        "heroku[web.1]: Starting process with command `listen`",
        "heroku[web.1]: State changed from starting to up",
    ]);
}

#[tokio::test]
async fn a_deploy_starts_web_before_and_worker_after_it_stops_the_old() {
    let mut case = Case::new(quick()).await;
    let types = [("web", "listen"), ("worker", "work")];
    let old = case.deploy(&types).await;
    case.formation(&[("web", 2), ("worker", 1)]).await;
    case.until_up(old, &["web.1", "web.2", "worker.1"]).await;
    let before = case.engine.requests().len();
    let new = case.deploy(&types).await;
    case.until_up(new, &["web.1", "web.2", "worker.1"]).await;
    case.until("cleared", |_, engine| engine.count() == 3).await;
    let requests = case.engine.requests().split_off(before);
    let of = |name: &str| -> Vec<String> {
        requests.iter().filter(|text| text.ends_with(name)).map(|text| text.replace(name, "")).collect()
    };
    assert_eq!(of(" web.1"), ["start", "stop", "remove"]);
    assert_eq!(of(" web.2"), ["start", "stop", "remove"]);
    assert_eq!(of(" worker.1"), ["stop", "remove", "start"]);
    let at = |text: &str| requests.iter().position(|request| request == text).unwrap();
    assert!(at("remove web.1") < at("start web.2"), "one at a time: {requests:?}");
    assert!(at("start web.1") < at("stop worker.1"));
    case.is_in_order(&[
        "heroku[web.1]: Restarting",
        "heroku[web.1]: State changed from up to down",
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: Process exited with status 143",
    ]);
}

#[tokio::test]
async fn a_release_that_never_boots_leaves_the_old_web_and_a_later_one_replaces_it() {
    let mut case = Case::new(quick()).await;
    let old = case.deploy(&[("web", "listen")]).await;
    case.formation(&[("web", 1)]).await;
    case.until_up(old, &["web.1"]).await;
    let serving = case.rows().await[0].id;
    case.deploy(&[("web", "exit 1")]).await;
    let starts = |engine: &Simulated| engine.requests().iter().filter(|text| *text == "start web.1").count();
    case.until("tried again", |_, engine| starts(engine) >= 5).await;
    assert!(case.engine.running().iter().any(|(_, id)| *id == serving));
    assert!(!case.engine.requests().contains(&"stop web.1".to_owned()));
    assert!(case.rows().await.iter().any(|row| is_up(row, old)));
    case.is_in_order(&[
        "heroku[web.1]: Process exited with status 1",
        "heroku[web.1]: State changed from starting to crashed",
        "heroku[web.1]: State changed from crashed to starting",
        "heroku[web.1]: Starting process with command `exit 1`",
    ]);
    let mended = case.deploy(&[("web", "listen")]).await;
    case.until_up(mended, &["web.1"]).await;
}

#[tokio::test]
async fn a_web_dyno_that_never_listens_gets_r10() {
    let config = Config { boot_timeout: Duration::from_millis(50), ..quick() };
    let mut case = Case::new(config).await;
    case.deploy(&[("web", "loopback")]).await;
    case.formation(&[("web", 1)]).await;
    case.until_said("State changed from starting to crashed").await;
    case.is_in_order(&[
        "heroku[web.1]: Web process listens on 127.0.0.1 only, where no request can reach it: bind $PORT on 0.0.0.0",
        "heroku[web.1]: Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 0 seconds of launch",
        "heroku[web.1]: Stopping process with SIGKILL",
        "heroku[web.1]: Process exited with status 137",
        "heroku[web.1]: State changed from starting to crashed",
    ]);
}

#[tokio::test]
async fn a_dyno_that_ignores_sigterm_gets_r12() {
    let mut case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "stubborn")]).await;
    case.formation(&[("web", 1)]).await;
    case.until_up(release, &["web.1"]).await;
    case.formation(&[("web", 0)]).await;
    case.until("empty", |rows, engine| rows.is_empty() && engine.count() == 0).await;
    case.is_in_order(&[
        "heroku[web.1]: Stopping all processes with SIGTERM",
        "heroku[web.1]: Error R12 (Exit timeout) -> At least one process failed to exit within 0 seconds of SIGTERM",
        "heroku[web.1]: Stopping remaining processes with SIGKILL",
        "heroku[web.1]: Process exited with status 137",
    ]);
}

#[tokio::test]
async fn a_crash_restarts_and_only_that_dyno() {
    let mut case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "listen")]).await;
    case.formation(&[("web", 2)]).await;
    case.until_up(release, &["web.1", "web.2"]).await;
    let rows = case.rows().await;
    let (one, two) = (rows[0].id, rows[1].id);
    case.engine.end(one, engine::Exit { status: 137, out_of_memory: true });
    case.until("restarted", |rows, _| rows.iter().all(|row| row.id != one)).await;
    case.until_up(release, &["web.1", "web.2"]).await;
    assert!(case.rows().await.iter().any(|row| row.id == two));
    case.is_in_order(&[
        "heroku[web.1]: Error R15 (Memory quota vastly exceeded)",
        "heroku[web.1]: Process exited with status 137",
        "heroku[web.1]: State changed from up to crashed",
    ]);
    case.until("removed", |_, engine| engine.count() == 2).await;
}

#[tokio::test]
async fn a_dyno_that_crashes_again_waits_and_a_restart_ends_the_wait() {
    let config = Config { first_pause: LONG * 10, longest_pause: LONG * 10, ..quick() };
    let case = Case::new(config).await;
    case.deploy(&[("worker", "exit 0")]).await;
    case.formation(&[("worker", 1)]).await;
    let starts = |engine: &Simulated| engine.requests().iter().filter(|text| *text == "start worker.1").count();
    case.until("crashed twice", |rows, engine| {
        starts(engine) == 2 && engine.count() == 0 && rows.iter().all(|row| row.state == DynoState::Crashed)
    })
    .await;
    let lists = case.engine.lists();
    case.until("looked at", |_, engine| engine.lists() > lists + 5).await;
    assert_eq!(starts(&case.engine), 2);
    case.dynos().restart(&case.app, &Which::All, "ada@example.com").await.unwrap();
    case.until("started at once, twice again", |_, engine| starts(engine) == 4).await;
}

#[tokio::test]
async fn layers_the_host_lacks_are_imported_from_their_blobs_first() {
    let mut case = Case::new(quick()).await;
    let blobs = Blobs::open(&case.folder.path().join("blobs")).unwrap();
    let mut draft = blobs.draft().unwrap();
    draft.write(b"a layer").unwrap();
    let (blob, _) = draft.finish().unwrap();
    let (layer, without_blob) = (Digest::from_bytes(&[1; 32]), Digest::from_bytes(&[2; 32]));
    let mut write = case.store.write().await.unwrap();
    let row = store::layers::Layer { digest: layer.clone(), blob: (*blob).clone(), blob_bytes: 7, tar_bytes: 7 };
    store::layers::create(&mut write, &row).await.unwrap();
    write.commit().await.unwrap();
    case.engine.set_missing(layer.clone());
    case.engine.set_missing(without_blob.clone());
    case.formation(&[("web", 1)]).await;
    let release = case.deploy_layers(&[("web", "listen")], vec![layer]).await;
    case.until_up(release, &["web.1"]).await;
    assert_eq!(case.engine.missing(), std::slice::from_ref(&without_blob));
    case.deploy_layers(&[("web", "listen")], vec![without_blob]).await;
    case.until_said("Error R99 (Platform error) -> Could not start the dyno: the layer 0202").await;
    assert!(case.rows().await.iter().any(|row| is_up(row, release)));
}

#[tokio::test]
async fn sigterm_waits_for_the_routers() {
    let config = Config { drain: LONG, ..quick() };
    let case = Case::new(config).await;
    let old = case.deploy(&[("web", "listen")]).await;
    case.formation(&[("web", 1)]).await;
    case.until_up(old, &["web.1"]).await;
    case.routed.store(false, Ordering::SeqCst);
    let new = case.deploy(&[("web", "listen")]).await;
    case.until("replaced", |rows, _| rows.iter().any(|row| is_up(row, new)) && rows[0].state == DynoState::Down).await;
    let lists = case.engine.lists();
    case.until("looked at", |_, engine| engine.lists() > lists + 5).await;
    assert!(!case.engine.requests().contains(&"stop web.1".to_owned()));
    case.routed.store(true, Ordering::SeqCst);
    case.until_up(new, &["web.1"]).await;
}

#[tokio::test]
async fn a_room_killed_in_the_middle_of_a_replacement_goes_on_with_it() {
    let config = Config { drain: LONG, ..quick() };
    let mut case = Case::new(config).await;
    let types = [("web", "listen"), ("worker", "work")];
    let old = case.deploy(&types).await;
    case.formation(&[("web", 1), ("worker", 1)]).await;
    case.until_up(old, &["web.1", "worker.1"]).await;
    case.routed.store(false, Ordering::SeqCst);
    let new = case.deploy(&types).await;
    case.until("draining", |rows, _| rows.iter().any(|row| row.state == DynoState::Down)).await;
    case.kill_room().await;
    let ids: Vec<DynoId> = case.rows().await.iter().filter(|row| is_up(row, new)).map(|row| row.id).collect();
    case.routed.store(true, Ordering::SeqCst);
    case.start_room();
    case.until_up(new, &["web.1", "worker.1"]).await;
    let rows = case.rows().await;
    assert!(ids.iter().all(|id| rows.iter().any(|row| row.id == *id)), "what was up has not been restarted");
}

#[tokio::test]
async fn a_room_killed_at_any_moment_starts_nothing_twice() {
    let mut case = Case::new(quick()).await;
    let types = [("web", "listen"), ("worker", "work")];
    case.formation(&[("web", 2), ("worker", 2)]).await;
    for round in 0..12 {
        let release = case.deploy(&types).await;
        // The room dies somewhere between doing nothing and having done all.
        let requests = case.engine.requests().len();
        case.until("under way", |rows, engine| {
            engine.requests().len() >= requests + round || rows.iter().filter(|row| is_up(row, release)).count() == 4
        })
        .await;
        case.kill_room().await;
        case.start_room();
        case.until_up(release, &["web.1", "web.2", "worker.1", "worker.2"]).await;
    }
    case.until("cleared", |_, engine| engine.count() == 4).await;
    let requests = case.engine.requests_with_ids();
    let started: BTreeSet<DynoId> =
        requests.iter().filter(|(text, _)| text.starts_with("start")).map(|(_, id)| *id).collect();
    assert_eq!(started.len(), 4 * 12, "each release ran each dyno once: {requests:#?} {:#?}", case.lines());
}

#[tokio::test]
async fn a_hundred_passes_over_what_is_as_wanted_ask_for_nothing() {
    let config = Config { timer: Duration::from_millis(1), ..quick() };
    let mut case = Case::new(config).await;
    let release = case.deploy(&[("web", "listen"), ("worker", "work")]).await;
    case.formation(&[("web", 2), ("worker", 1)]).await;
    let names = ["web.1", "web.2", "worker.1"];
    case.until_up(release, &names).await;
    let (requests, lists) = (case.engine.requests(), case.engine.lists());
    case.until("passed", |_, engine| engine.lists() >= lists + 100).await;
    case.kill_room().await;
    case.start_room();
    case.engine.drop_connections();
    let lists = case.engine.lists();
    case.until("passed again", |_, engine| engine.lists() >= lists + 10).await;
    assert_eq!(case.engine.requests(), requests);
    case.until_up(release, &names).await;
}

#[tokio::test]
async fn an_engine_that_goes_away_before_it_answers_starts_a_dyno_once() {
    let case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "listen")]).await;
    case.engine.cut_next_start();
    case.formation(&[("web", 1)]).await;
    case.until_up(release, &["web.1"]).await;
    assert_eq!(case.engine.count(), 1);
}

#[tokio::test]
async fn a_machine_that_restarted_gets_everything_back() {
    let case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "listen"), ("worker", "work")]).await;
    case.formation(&[("web", 1), ("worker", 1)]).await;
    case.until_up(release, &["web.1", "worker.1"]).await;
    case.engine.lose_everything();
    case.until_up(release, &["web.1", "worker.1"]).await;
}

#[tokio::test]
async fn a_start_the_engine_refuses_is_told_and_tried_again() {
    let mut case = Case::new(quick()).await;
    case.engine.refuse_starts(true);
    let release = case.deploy(&[("web", "listen")]).await;
    case.formation(&[("web", 1)]).await;
    case.until_said("Error R99 (Platform error)").await;
    case.engine.refuse_starts(false);
    case.until_up(release, &["web.1"]).await;
}

#[tokio::test]
async fn a_deleted_app_leaves_nothing_running_and_others_alone() {
    let case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "listen")]).await;
    case.formation(&[("web", 1)]).await;
    case.until_up(release, &["web.1"]).await;
    let mut write = case.store.write().await.unwrap();
    store::apps::delete(&mut write, case.app.id).await.unwrap();
    write.commit().await.unwrap();
    case.wakers.dynos.wake();
    case.until("empty", |_, engine| engine.count() == 0).await;
}

#[tokio::test]
async fn scaling_is_all_or_nothing_and_told() {
    let mut case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "listen"), ("worker", "work")]).await;
    let dynos = case.dynos();
    let scale = |name: &str, quantity, size| Scale { process_type: name.parse().unwrap(), quantity, size };
    let refused = [scale("web", Some(Quantity::Exactly(1)), None), scale("clock", Some(Quantity::Exactly(1)), None)];
    let error = dynos.scale(&case.app, &refused, "ada@example.com").await.unwrap_err();
    assert_eq!(error.to_string(), "Couldn't find that process type.");
    assert!(store::formation::list(&case.store, case.app.id).await.unwrap().is_empty());
    let updates = [scale("web", Some(Quantity::By(2)), None), scale("worker", None, Some(DynoSize::Standard2X))];
    let formation = dynos.scale(&case.app, &updates, "ada@example.com").await.unwrap();
    assert_eq!(formation.len(), 2);
    case.until_up(release, &["web.1", "web.2"]).await;
    case.is_in_order(&["app[api]: Scaled to web@2:Standard-1X worker@0:Standard-2X by user ada@example.com"]);
    let down = [scale("web", Some(Quantity::By(-1)), None)];
    dynos.scale(&case.app, &down, "ada@example.com").await.unwrap();
    case.until_up(release, &["web.1"]).await;
}

#[tokio::test]
async fn a_restart_replaces_what_it_means() {
    let case = Case::new(quick()).await;
    let release = case.deploy(&[("web", "listen"), ("worker", "work")]).await;
    case.formation(&[("web", 2), ("worker", 1)]).await;
    let names = ["web.1", "web.2", "worker.1"];
    case.until_up(release, &names).await;
    let before: Vec<DynoId> = case.rows().await.iter().map(|row| row.id).collect();
    let dynos = case.dynos();
    let one = Which::One("web.2".parse().unwrap());
    dynos.restart(&case.app, &one, "ada@example.com").await.unwrap();
    case.until("restarted", |rows, _| rows.iter().filter(|row| before.contains(&row.id)).count() == 2).await;
    case.until_up(release, &names).await;
    dynos.restart(&case.app, &Which::All, "ada@example.com").await.unwrap();
    case.until("restarted", |rows, _| rows.iter().all(|row| !before.contains(&row.id))).await;
    case.until_up(release, &names).await;
    let missing = dynos.restart(&case.app, &Which::One("web.9".parse().unwrap()), "ada@example.com").await;
    assert_eq!(missing.unwrap_err().to_string(), "Couldn't find that dyno.");
}
