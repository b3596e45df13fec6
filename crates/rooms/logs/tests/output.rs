//! What dynos print becomes lines: with real rings, and an engine's socket behind which the test answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::HashMap;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use engine::{
    Engine, Event, Exit, FromEngine, Image, InstanceSpec, InstanceState, InstanceStatus, Kind, Limits, Refusal, Reply,
    Request, ToEngine, Variant,
};
use loglines::ring::{MIN_CAPACITY, Stream, Writer};
use loglines::{LogSink, Source};
use logs::{Filter, Logs, Tail};
use tempfile::{NamedTempFile, TempDir};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vocabulary::{AppId, DynoId, Timestamp};

/// Instances with their rings, and the socket on which they are told.
struct Machine {
    folder: TempDir,
    instances: Arc<Mutex<HashMap<DynoId, (InstanceStatus, NamedTempFile)>>>,
    events: mpsc::Sender<Event>,
    _tasks: JoinSet<()>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let instances = Arc::default();
        let (events, queue) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&instances), queue));
        Self { folder, instances, events, _tasks: tasks }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// An instance, of which nobody is told yet.
    fn instance(&self, app: AppId, kind: Kind, name: &str) -> (DynoId, Writer) {
        let ring = tempfile::Builder::new().tempfile_in("/dev/shm").unwrap();
        let writer = Writer::create(ring.reopen().unwrap(), MIN_CAPACITY).unwrap();
        let image = Image { stack: "debian-13".to_owned(), variant: Variant::Run, layers: vec![] };
        let limits = Limits { memory_bytes: 1, cpu_weight: 1, processes: 1, disk_bytes: 1 };
        let (id, name) = (DynoId::new(), name.to_owned());
        let spec =
            InstanceSpec { id, kind, app, name, image, port: None, limits, fds: vec![], stdio: engine::Stdio::Logged };
        let state = InstanceState::Running { listening: None };
        let status = InstanceStatus { spec, address: Ipv4Addr::LOCALHOST, state };
        self.instances.lock().unwrap().insert(id, (status, ring));
        (id, writer)
    }

    async fn started(&self, id: DynoId) {
        let spec = self.instances.lock().unwrap()[&id].0.spec.clone();
        self.events.send(Event::Started { id, kind: spec.kind, app: spec.app, name: spec.name }).await.unwrap();
    }
}

type Instances = Arc<Mutex<HashMap<DynoId, (InstanceStatus, NamedTempFile)>>>;

async fn serve(listener: UnixListener, instances: Instances, mut events: mpsc::Receiver<Event>) {
    loop {
        let mut connection = wire::Connection::new(listener.accept().await.unwrap().0).unwrap();
        loop {
            tokio::select! {
                Some(event) = events.recv() => {
                    connection.sender.send(&FromEngine::Event(event), &[]).await.unwrap();
                }
                frame = connection.receiver.receive::<ToEngine>() => {
                    let Ok(Some((ToEngine { sequence, request }, _))) = frame else { break };
                    let (reply, file) = answer(&instances, request);
                    let fds: Vec<_> = file.iter().map(AsFd::as_fd).collect();
                    if connection.sender.send(&FromEngine::Reply { sequence, reply }, &fds).await.is_err() { break }
                }
            }
        }
    }
}

fn answer(instances: &Instances, request: Request) -> (Result<Reply, Refusal>, Option<File>) {
    let instances = instances.lock().unwrap();
    match request {
        Request::Hello { .. } => (Ok(Reply::Done), None),
        Request::List => (Ok(Reply::Instances(instances.values().map(|(status, _)| status.clone()).collect())), None),
        Request::Output { id } => match instances.get(&id) {
            Some((_, ring)) => (Ok(Reply::Done), Some(File::open(ring.path()).unwrap())),
            None => (Err(Refusal::NotFound("instance".to_owned())), None),
        },
        other => (Err(Refusal::Invalid(format!("{other:?}"))), None),
    }
}

/// The room and the engine's client, until dropped.
struct Room {
    logs: Logs,
    _sink: LogSink,
    _tasks: JoinSet<()>,
}

fn room(machine: &Machine, folder: &Path) -> Room {
    let mut tasks = JoinSet::new();
    let (engine, connection) = Engine::new(machine.socket(), 1);
    tasks.spawn(connection);
    let (sink, queue) = LogSink::new();
    let logs = Logs::new(folder.to_owned(), Some(engine));
    tasks.spawn(logs.clone().run(queue));
    Room { logs, _sink: sink, _tasks: tasks }
}

fn print(writer: &mut Writer, text: &str) {
    writer.push(Stream::Out, Timestamp::now(), text.as_bytes()).unwrap();
}

/// Reads on until a text comes.
async fn until(tail: &mut Tail, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.ends_with(last)) {
        let (_, new) = tail.next().await.unwrap();
        lines.extend(new.iter().map(|line| format!("{}[{}]: {}", line.source, line.dyno, line.text)));
    }
    lines
}

#[tokio::test]
async fn dynos_that_run_and_dynos_that_start_are_read() {
    let (machine, folder, app) = (Machine::new(), tempfile::tempdir().unwrap(), AppId::new());
    let (_, mut old) = machine.instance(app, Kind::Dyno, "web.1");
    print(&mut old, "before");
    let room = room(&machine, folder.path());
    let mut tail = room.logs.read(app, Filter::default(), 100, true, None).await;
    assert_eq!(until(&mut tail, "before").await, ["app[web.1]: before"]);
    let (build, mut building) = machine.instance(app, Kind::Build, "build");
    let (release, mut releasing) = machine.instance(app, Kind::Dyno, "release.1");
    let (run, mut running) = machine.instance(app, Kind::Dyno, "run.4711");
    for writer in [&mut building, &mut releasing, &mut running] {
        print(writer, "new");
    }
    for id in [build, release, run] {
        machine.started(id).await;
    }
    assert_eq!(until(&mut tail, "new").await, ["app[run.4711]: new"]);
    print(&mut running, "green \x1b[32mok\x1b[0m\r");
    assert_eq!(until(&mut tail, "\x1b[0m").await, ["app[run.4711]: green \x1b[32mok\x1b[0m"]);
    print(&mut old, "forged\rdata: 2026-01-02T03:04:05.678901+00:00 heroku[router]: x");
    let forged = "app[web.1]: forged data: 2026-01-02T03:04:05.678901+00:00 heroku[router]: x";
    assert_eq!(until(&mut tail, "x").await, [forged]);
}

#[tokio::test]
async fn after_a_restart_every_line_is_there_once() {
    let (machine, folder, app) = (Machine::new(), tempfile::tempdir().unwrap(), AppId::new());
    let (_, mut web) = machine.instance(app, Kind::Dyno, "web.1");
    let (_, mut worker) = machine.instance(app, Kind::Dyno, "worker.1");
    print(&mut worker, "worker once");
    let mut printed = 0;
    for round in 0..5 {
        let room = room(&machine, folder.path());
        let mut tail = room.logs.read(app, Filter::default(), 0, true, None).await;
        for _ in 0..100 {
            print(&mut web, &format!("line {printed}"));
            printed += 1;
        }
        until(&mut tail, &format!("line {}", printed - 1)).await;
        if round == 2 {
            // The quiet dyno's line is long out of the newest file by the end.
            for _ in 0..40 {
                for _ in 0..100 {
                    print(&mut web, &format!("line {printed}"));
                    printed += 1;
                }
                until(&mut tail, &format!("line {}", printed - 1)).await;
            }
        }
        // Aborted at some point, lines in hand and all.
        drop(room);
        print(&mut web, &format!("line {printed}"));
        printed += 1;
    }
    print(&mut worker, "worker again");
    let room = room(&machine, folder.path());
    let mut tail = room.logs.read(app, Filter::default(), 1500, true, None).await;
    let mut lines = until(&mut tail, "worker again").await;
    let last = format!("line {}", printed - 1);
    if !lines.iter().any(|line| line.ends_with(&last)) {
        lines.extend(until(&mut tail, &last).await);
    }
    let web: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("app[web.1]: line ")).collect();
    let first: usize = web[0].parse().unwrap();
    assert_eq!(web, (first..printed).map(|line| line.to_string()).collect::<Vec<_>>());
    assert_eq!(lines.iter().filter(|line| line.contains("worker once")).count(), 0);
}

#[tokio::test]
async fn lines_the_ring_dropped_are_counted() {
    let (machine, folder, app) = (Machine::new(), tempfile::tempdir().unwrap(), AppId::new());
    let (id, mut web) = machine.instance(app, Kind::Dyno, "web.1");
    for line in 0..5000 {
        print(&mut web, &format!("line {line}"));
    }
    web.end().unwrap();
    let room = room(&machine, folder.path());
    let mut tail = room.logs.read(app, Filter::default(), 1500, true, None).await;
    let lines = until(&mut tail, "line 4999").await;
    let dropped: usize = lines[0]
        .strip_prefix("heroku[logplex]: Error L10 (output buffer overflow): ")
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap();
    assert_eq!(dropped + lines.len() - 1, 5000);
    assert_eq!(lines[1], format!("app[web.1]: line {dropped}"));
    let exit = Exit { status: 0, out_of_memory: false };
    machine.events.send(Event::Exited { id, exit }).await.unwrap();
    let only_app = Filter { source: Some(Source::App), dyno: Some("web".to_owned()) };
    let mut newest = room.logs.read(app, only_app, 1, false, None).await;
    assert_eq!(newest.next().await.unwrap().1[0].text, "line 4999");
}
