//! An engine that keeps the engine's contract on a real socket, with real messages, and runs nothing.
//!
//! What an instance does is its command: `listen` binds its port, `loopback` binds it on 127.0.0.1, `hang` only runs,
//! `stubborn` listens and ignores SIGTERM, `exit N` ends at once, `say TEXT` prints a line and ends with 0, `work`
//! prints a line and runs. Lines go to a real ring.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must stop")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{
    Event, Exit, FromEngine, InstanceSpec, InstanceState, InstanceStatus, Refusal, Reply, Request, Started, ToEngine,
};
use inside_contract::{Launch, Program};
use loglines::ring::{Stream, Writer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, watch};
use vocabulary::{Digest, DynoId, Timestamp};
use wire::Connection;

/// The engine; dropped, its tasks end with the test's runtime.
#[derive(Clone)]
pub(crate) struct Simulated {
    state: Arc<Mutex<State>>,
    events: broadcast::Sender<Event>,
    /// Bumped to end every connection, as the death of the engine's process would.
    generation: watch::Sender<u64>,
    path: PathBuf,
}

#[derive(Default)]
struct State {
    instances: BTreeMap<DynoId, (InstanceStatus, Launch)>,
    /// Every request that changes something: `start web.1`, `stop web.1`, `remove web.1`.
    requests: Vec<(String, DynoId)>,
    lists: usize,
    /// Rings by instance: the file, and its writer until the instance ended.
    rings: BTreeMap<DynoId, (PathBuf, Option<Writer>)>,
    next_address: u8,
    /// How many starts are still to be carried out without an answer.
    cut_starts: usize,
    /// Layers the host has no image of.
    missing: Vec<Digest>,
    /// Starts are refused while this is set.
    refuse: bool,
}

impl Simulated {
    /// An engine on the socket `engine.sock` in a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (events, _) = broadcast::channel(1024);
        let state = Arc::new(Mutex::new(State::default()));
        let simulated = Self { state, events, generation: watch::channel(0).0, path };
        let server = simulated.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream));
            }
        });
        simulated
    }

    /// A new handle of a new client.
    pub(crate) fn client(&self) -> engine::Engine {
        let (engine, connection) = engine::Engine::new(self.path.clone(), 1);
        tokio::spawn(connection);
        engine
    }

    /// The changing requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.iter().map(|(text, _)| text.clone()).collect()
    }

    /// The changing requests so far with the instances they were about.
    pub(crate) fn requests_with_ids(&self) -> Vec<(String, DynoId)> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How often it was asked for its list.
    pub(crate) fn lists(&self) -> usize {
        self.state.lock().unwrap().lists
    }

    /// What runs: names and ids.
    pub(crate) fn running(&self) -> Vec<(String, DynoId)> {
        let state = self.state.lock().unwrap();
        let runs = state.instances.values().filter(|(status, _)| matches!(status.state, InstanceState::Running { .. }));
        runs.map(|(status, _)| (status.spec.name.clone(), status.spec.id)).collect()
    }

    /// How many instances it has, ended ones too.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().instances.len()
    }

    /// The environment an instance was started with.
    pub(crate) fn env(&self, id: DynoId) -> BTreeMap<String, String> {
        self.state.lock().unwrap().instances.get(&id).map(|(_, launch)| launch.env.clone()).unwrap_or_default()
    }

    /// Ends a running instance, as if its process had.
    pub(crate) fn end(&self, id: DynoId, exit: Exit) {
        let mut state = self.state.lock().unwrap();
        if let Some((status, _)) = state.instances.get_mut(&id)
            && matches!(status.state, InstanceState::Running { .. })
        {
            status.state = InstanceState::Exited(exit);
            if let Some((_, writer)) = state.rings.get_mut(&id)
                && let Some(mut writer) = writer.take()
            {
                writer.end().unwrap();
            }
            drop(self.events.send(Event::Exited { id, exit }));
        }
    }

    /// Forgets every instance without a word, as a restart of the machine would.
    pub(crate) fn lose_everything(&self) {
        self.state.lock().unwrap().instances.clear();
        self.drop_connections();
    }

    /// Ends every connection.
    pub(crate) fn drop_connections(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Carries out the next start, but goes away before it answers.
    pub(crate) fn cut_next_start(&self) {
        self.state.lock().unwrap().cut_starts = 1;
    }

    /// Refuses starts, or no longer.
    pub(crate) fn refuse_starts(&self, refuse: bool) {
        self.state.lock().unwrap().refuse = refuse;
    }

    /// Says that the host has no image of a layer, until it is imported.
    pub(crate) fn set_missing(&self, layer: Digest) {
        self.state.lock().unwrap().missing.push(layer);
    }

    /// Layers the host has no image of.
    pub(crate) fn missing(&self) -> Vec<Digest> {
        self.state.lock().unwrap().missing.clone()
    }

    /// Prints a line in a running instance.
    pub(crate) fn say(&self, id: DynoId, text: &str) {
        if let Some((_, Some(writer))) = self.state.lock().unwrap().rings.get_mut(&id) {
            writer.push(Stream::Out, Timestamp::now(), text.as_bytes()).unwrap();
        }
    }

    async fn serve(self, stream: UnixStream) {
        let Ok(Connection { mut sender, mut receiver, .. }) = Connection::new(stream) else { return };
        let mut events = self.events.subscribe();
        let mut generation = self.generation.subscribe();
        loop {
            tokio::select! {
                _ = generation.changed() => return,
                event = events.recv() => {
                    let Ok(event) = event else { return };
                    if sender.send(&FromEngine::Event(event), &[]).await.is_err() {
                        return;
                    }
                }
                frame = receiver.receive::<ToEngine>() => {
                    let Ok(Some((ToEngine { sequence, request }, fds))) = frame else { return };
                    let Some((reply, fds)) = self.answer(request, fds) else {
                        return self.drop_connections();
                    };
                    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                    if sender.send(&FromEngine::Reply { sequence, reply }, &fds).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// The answer to a request; nothing if the engine goes away instead.
    fn answer(&self, request: Request, fds: Vec<OwnedFd>) -> Option<(Result<Reply, Refusal>, Vec<OwnedFd>)> {
        let reply = match request {
            Request::Start(spec) => self.start(*spec, fds)?,
            Request::Stop { id, grace_ms } => {
                self.stop(id, Duration::from_millis(grace_ms));
                Ok(Reply::Done)
            }
            Request::Remove { id } => {
                let mut state = self.state.lock().unwrap();
                state.note("remove", id);
                state.instances.remove(&id);
                Ok(Reply::Done)
            }
            Request::List => {
                let mut state = self.state.lock().unwrap();
                state.lists += 1;
                Ok(Reply::Instances(state.instances.values().map(|(status, _)| status.clone()).collect()))
            }
            Request::Output { id } => {
                let ring = self.state.lock().unwrap().rings.get(&id).map(|(path, _)| path.clone());
                return Some(match ring.and_then(|path| std::fs::File::open(path).ok()) {
                    Some(file) => (Ok(Reply::Done), vec![file.into()]),
                    None => (Err(Refusal::NotFound("output".to_owned())), vec![]),
                });
            }
            Request::Attach { id } => {
                let known = self.state.lock().unwrap().instances.contains_key(&id);
                if !known {
                    return Some((Err(Refusal::NotFound("instance".to_owned())), vec![]));
                }
                let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
                std::io::Write::write_all(&mut theirs, b"attached").unwrap();
                return Some((Ok(Reply::Done), vec![ours.into()]));
            }
            Request::Missing { layers } => {
                let missing = self.missing();
                Ok(Reply::Missing(layers.into_iter().filter(|layer| missing.contains(layer)).collect()))
            }
            Request::Import { digest } => {
                assert_eq!(fds.len(), 1, "a layer comes with its blob");
                self.state.lock().unwrap().missing.retain(|layer| *layer != digest);
                Ok(Reply::Done)
            }
            _ => Ok(Reply::Done),
        };
        Some((reply, vec![]))
    }

    fn start(&self, spec: InstanceSpec, mut fds: Vec<OwnedFd>) -> Option<Result<Reply, Refusal>> {
        let launch: Launch = serde_json::from_slice(&wire::unseal(fds.remove(0), 1 << 20).unwrap()).unwrap();
        let Program::Shell { command } = launch.program.clone() else { panic!("a dyno is a shell command") };
        let (id, kind, app, name, port) = (spec.id, spec.kind, spec.app, spec.name.clone(), spec.port);
        let mut state = self.state.lock().unwrap();
        state.requests.push((format!("start {name}"), id));
        if state.refuse {
            return Some(Err(Refusal::Failed("no room".to_owned())));
        }
        if let Some((known, _)) = state.instances.get(&id) {
            return Some(Ok(Reply::Started(Started { address: known.address })));
        }
        state.next_address += 1;
        let address = Ipv4Addr::new(198, 18, 0, state.next_address);
        let status = InstanceStatus { spec, address, state: InstanceState::Running { listening: None } };
        state.instances.insert(id, (status, launch));
        let ring = self.path.with_file_name(format!("{id}.ring"));
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&ring).unwrap();
        state.rings.insert(id, (ring, Some(Writer::create(file, 64 * 1024).unwrap())));
        drop(self.events.send(Event::Started { id, kind, app, name }));
        let cut = std::mem::take(&mut state.cut_starts) > 0;
        drop(state);
        self.behave(id, &command, port.map(|port| SocketAddrV4::new(address, port)));
        (!cut).then_some(Ok(Reply::Started(Started { address })))
    }

    fn behave(&self, id: DynoId, command: &str, at: Option<SocketAddrV4>) {
        match (command.split_once(' '), command, at) {
            (Some(("exit", status)), ..) => {
                self.end(id, Exit { status: status.parse().unwrap(), out_of_memory: false });
            }
            (Some(("say", text)), ..) => {
                self.say(id, text);
                self.end(id, Exit { status: 0, out_of_memory: false });
            }
            (_, "interrupted", _) => drop(self.events.send(Event::Unattached { id, came: true })),
            (_, "work", _) => self.say(id, "working"),
            (_, "listen" | "stubborn", Some(address)) => self.listen(id, address),
            (_, "loopback", _) => drop(self.events.send(Event::LoopbackOnly { id })),
            _ => {}
        }
    }

    fn listen(&self, id: DynoId, address: SocketAddrV4) {
        if let Some((status, _)) = self.state.lock().unwrap().instances.get_mut(&id) {
            status.state = InstanceState::Running { listening: Some(address) };
        }
        drop(self.events.send(Event::Listening { id, address }));
    }

    fn stop(&self, id: DynoId, grace: Duration) {
        let mut state = self.state.lock().unwrap();
        state.note("stop", id);
        let Some((_, launch)) = state.instances.get(&id) else { return };
        let stubborn = matches!(&launch.program, Program::Shell { command } if command == "stubborn");
        drop(state);
        let this = self.clone();
        tokio::spawn(async move {
            let status = if stubborn || grace.is_zero() { 137 } else { 143 };
            if stubborn {
                tokio::time::sleep(grace).await;
            }
            this.end(id, Exit { status, out_of_memory: false });
        });
    }
}

impl State {
    fn note(&mut self, what: &str, id: DynoId) {
        let name = self.instances.get(&id).map_or("nothing", |(status, _)| &status.spec.name);
        self.requests.push((format!("{what} {name}"), id));
    }
}
