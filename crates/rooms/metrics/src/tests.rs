//! The room over the real store, beside an engine that only says what is used.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{Engine, FromEngine, MemoryUsage, Pages, Reply, Request, ToEngine, Usage};
use loglines::{LogSink, Queue};
use store::Store;
use store::apps::ConfigVars;
use store::dynos::Dyno;
use store::releases::New;
use tokio::net::UnixListener;
use vocabulary::{AppFeature, DynoId, DynoSize, DynoState, ReleaseStatus, Secret, Stack, Timestamp};

use crate::{Config, Metrics};

const MIB: u64 = 1 << 20;

struct Case {
    store: Store,
    used: Arc<Mutex<Vec<Usage>>>,
    lines: Queue,
    dyno: Dyno,
    _folder: tempfile::TempDir,
}

async fn serve(listener: UnixListener, used: Arc<Mutex<Vec<Usage>>>) {
    let (stream, _) = listener.accept().await.unwrap();
    let wire::Connection { mut sender, mut receiver, .. } = wire::Connection::new(stream).unwrap();
    while let Ok(Some((ToEngine { sequence, request }, _))) = receiver.receive::<ToEngine>().await {
        let reply = match request {
            Request::Usage => Reply::Usage(used.lock().unwrap().clone()),
            _ => Reply::Done,
        };
        sender.send(&FromEngine::Reply { sequence, reply: Ok(reply) }, &[]).await.unwrap();
    }
}

impl Case {
    /// An app with one running worker, looked at every 20 ms.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = store::scratch().await;
        let socket = folder.path().join("engine.sock");
        let used = Arc::<Mutex<Vec<Usage>>>::default();
        tokio::spawn(serve(UnixListener::bind(&socket).unwrap(), Arc::clone(&used)));
        let (engine, connection) = Engine::new(socket, 1);
        tokio::spawn(connection);
        let dyno = worker(&store).await;
        let (sink, lines) = LogSink::new();
        let config = Config { interval: Duration::from_millis(20), ..Config::default() };
        tokio::spawn(Metrics::new(store.clone(), engine, sink, config).run());
        Self { store, used, lines, dyno, _folder: folder }
    }

    fn uses(&self, rss: u64, cache: u64) {
        let memory = MemoryUsage {
            rss_bytes: rss,
            swap_bytes: 0,
            cache_bytes: cache,
            pages: Some(Pages { brought_in: 7, given_back: 5 }),
        };
        // A build beside it has no row.
        let build = Usage { id: DynoId::new(), memory: MemoryUsage { rss_bytes: u64::MAX, ..memory }, runnable: 9 };
        *self.used.lock().unwrap() = vec![build, Usage { id: self.dyno.id, memory, runnable: 0 }];
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(10), self.lines.lines.recv()).await.unwrap().unwrap();
        assert_eq!((line.app, line.dyno.as_str()), (self.dyno.app_id, "worker.1"));
        line.text
    }

    /// Whether nothing is said in a good many looks.
    async fn silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.lines.lines.recv()).await.is_err()
    }
}

async fn worker(store: &Store) -> Dyno {
    let mut write = store.write().await.unwrap();
    let owner = store::accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
    let app = store::apps::create(&mut write, &"sushi".parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
    let new = New {
        app_id: app.id,
        slug_id: None,
        config: &ConfigVars::new(),
        status: ReleaseStatus::Succeeded,
        description: "Initial release",
        account_id: owner.id,
    };
    let release = store::releases::create(&mut write, &new).await.unwrap();
    let now = Timestamp::now();
    let dyno = Dyno {
        id: DynoId::new(),
        app_id: app.id,
        name: "worker.1".parse().unwrap(),
        release_id: release.id,
        size: DynoSize::Standard1X,
        command: "work".to_owned(),
        state: DynoState::Up,
        address: None,
        restart_asked: false,
        one_off: None,
        created_at: now,
        updated_at: now,
    };
    store::dynos::create(&mut write, &dyno).await.unwrap();
    write.commit().await.unwrap();
    dyno
}

#[tokio::test]
async fn more_than_the_quota_is_r14_until_it_is_not_and_pages_of_files_do_not_count() {
    let mut case = Case::new().await;
    case.uses(512 * MIB, 900 * MIB);
    assert!(case.silent().await, "the quota itself, and pages of files, are allowed");
    case.uses(600 * MIB, 0);
    for _ in 0..2 {
        assert_eq!(case.line().await, "Process running mem=600M(117.1%)");
        assert_eq!(case.line().await, "Error R14 (Memory quota exceeded)");
    }
    case.uses(100 * MIB, 0);
    while !case.silent().await {}
}

#[tokio::test]
async fn samples_are_written_where_the_feature_is_on() {
    let mut case = Case::new().await;
    case.uses(100 * MIB + MIB / 2, 20 * MIB);
    assert!(case.silent().await);
    let mut write = case.store.write().await.unwrap();
    let feature = AppFeature::LogRuntimeMetrics;
    store::app_features::set(&mut write, case.dyno.app_id, feature, true).await.unwrap();
    write.commit().await.unwrap();
    let name = format!("source=worker.1 dyno=heroku.{}.{}", case.dyno.app_id, case.dyno.id);
    assert_eq!(
        case.line().await,
        format!("{name} sample#load_avg_1m=0.00 sample#load_avg_5m=0.00 sample#load_avg_15m=0.00")
    );
    assert_eq!(
        case.line().await,
        format!(
            "{name} sample#memory_total=120.50MB sample#memory_rss=100.50MB sample#memory_cache=20.00MB \
             sample#memory_swap=0.00MB sample#memory_pgpgin=7pages sample#memory_pgpgout=5pages \
             sample#memory_quota=512.00MB"
        )
    );
}
