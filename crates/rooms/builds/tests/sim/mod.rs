//! An engine that keeps the contract and runs nothing: it speaks the real wire protocol on a real socket, packs by
//! hashing, and instead of a build's instance runs a function with the instance's descriptors.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use engine::{
    Event, Exit, FromEngine, InstanceSpec, InstanceState, InstanceStatus, Packed, Refusal, Reply, Request, Started,
    ToEngine,
};
use inside_contract::{BuildReport, BuildRequest};
use loglines::ring::{Stream, Writer};
use sha2::{Digest as _, Sha256};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use vocabulary::{AppId, Digest, DynoId, Timestamp};

/// What a build's instance has in its hands.
#[derive(Debug)]
pub(crate) struct Inside {
    #[allow(dead_code, reason = "not every test file looks at it")]
    pub(crate) request: BuildRequest,
    pub(crate) source: Vec<u8>,
    pub(crate) report: File,
    pub(crate) slug: File,
    #[allow(dead_code, reason = "held open, as a runner holds it")]
    cache: File,
    ring: Writer,
}

impl Inside {
    #[allow(dead_code, reason = "not every test file uses every part of the engine")]
    pub(crate) fn say(&mut self, line: &str) {
        self.ring.push(Stream::Out, Timestamp::now(), line.as_bytes()).unwrap();
    }

    pub(crate) fn report(&mut self, report: &BuildReport) {
        self.report.write_all(&serde_json::to_vec(report).unwrap()).unwrap();
    }

    /// Writes a tar with one file into the slug.
    pub(crate) fn write_slug(&mut self, content: &str) {
        let mut tar = tar::Builder::new(&self.slug);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // A packer that refuses the tree stops reading it.
        drop(tar.append_data(&mut header, "file", content.as_bytes()).and_then(|()| tar.finish()));
    }
}

/// Stands for the program inside an instance; answers its end.
pub(crate) type Script = Box<dyn FnOnce(&mut Inside) -> Exit + Send>;

/// What runs git: the service's fds in, the exit status out.
pub(crate) type RunGit = Arc<dyn Fn(AppId, engine::GitService, Option<String>, Vec<OwnedFd>) -> i32 + Send + Sync>;

#[derive(Default)]
struct State {
    instances: HashMap<DynoId, (InstanceSpec, InstanceState, File)>,
    scripts: VecDeque<Script>,
    layers: HashSet<Digest>,
    started: Vec<(InstanceSpec, Option<BuildRequest>)>,
    packed: Vec<(String, Vec<u8>)>,
    refusals: VecDeque<Refusal>,
    image: u8,
}

/// The simulated engine.
#[derive(Clone)]
pub(crate) struct Sim {
    state: Arc<Mutex<State>>,
    socket: PathBuf,
    git: Option<RunGit>,
}

pub(crate) const DONE: Exit = Exit { status: 0, out_of_memory: false };

impl Sim {
    /// Begins to listen in `folder`; runs until the test's runtime ends.
    pub(crate) fn begin(folder: &Path, git: Option<RunGit>) -> Self {
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let sim = Self { state: Arc::default(), socket, git };
        let serving = sim.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(wire::Connection::new(stream).unwrap()));
            }
        });
        sim
    }

    /// A connected handle.
    pub(crate) fn engine(&self) -> engine::Engine {
        let (engine, connection) = engine::Engine::new(self.socket.clone(), 1);
        tokio::spawn(connection);
        engine
    }

    /// What the next build instance does.
    pub(crate) fn next(&self, script: impl FnOnce(&mut Inside) -> Exit + Send + 'static) {
        self.state.lock().unwrap().scripts.push_back(Box::new(script));
    }

    /// The next pack is refused.
    #[allow(dead_code, reason = "not every test file uses every part of the engine")]
    pub(crate) fn refuse_pack(&self, refusal: Refusal) {
        self.state.lock().unwrap().refusals.push_back(refusal);
    }

    /// The stack is another image from now on.
    #[allow(dead_code, reason = "not every test file uses every part of the engine")]
    pub(crate) fn renew_stack(&self, image: u8) {
        self.state.lock().unwrap().image = image;
    }

    /// The host loses its images of all layers.
    #[allow(dead_code, reason = "not every test file uses every part of the engine")]
    pub(crate) fn lose_layers(&self) {
        self.state.lock().unwrap().layers.clear();
    }

    /// Every instance started so far, with its request.
    #[allow(dead_code, reason = "not every test file uses every part of the engine")]
    pub(crate) fn started(&self) -> Vec<(InstanceSpec, Option<BuildRequest>)> {
        self.state.lock().unwrap().started.clone()
    }

    /// Instances that were not removed.
    #[allow(dead_code, reason = "not every test file uses every part of the engine")]
    pub(crate) fn left(&self) -> usize {
        self.state.lock().unwrap().instances.len()
    }

    /// Trees packed so far: prefix and tar.
    #[allow(dead_code, reason = "not every test file uses every part of the engine")]
    pub(crate) fn packed(&self) -> Vec<(String, Vec<u8>)> {
        self.state.lock().unwrap().packed.clone()
    }

    async fn serve(self, connection: wire::Connection) {
        let wire::Connection { mut sender, mut receiver, .. } = connection;
        let (out, mut queue) = mpsc::unbounded_channel::<(FromEngine, Vec<OwnedFd>)>();
        let sending = tokio::spawn(async move {
            while let Some((frame, fds)) = queue.recv().await {
                let fds: Vec<_> = fds.iter().map(std::os::fd::AsFd::as_fd).collect();
                if sender.send(&frame, &fds).await.is_err() {
                    return;
                }
            }
        });
        while let Ok(Some((ToEngine { sequence, request }, fds))) = receiver.receive::<ToEngine>().await {
            let (sim, out) = (self.clone(), out.clone());
            tokio::task::spawn_blocking(move || {
                let mut returned = Vec::new();
                let reply = sim.answer(request, fds, &mut returned, &out);
                drop(out.send((FromEngine::Reply { sequence, reply }, returned)));
            });
        }
        sending.abort();
    }

    fn answer(
        &self,
        request: Request,
        mut fds: Vec<OwnedFd>,
        returned: &mut Vec<OwnedFd>,
        out: &mpsc::UnboundedSender<(FromEngine, Vec<OwnedFd>)>,
    ) -> Result<Reply, Refusal> {
        match request {
            Request::Start(spec) => {
                self.start(&spec, fds, out);
                Ok(Reply::Started(Started { address: Ipv4Addr::LOCALHOST }))
            }
            Request::Remove { id } => {
                self.state.lock().unwrap().instances.remove(&id);
                Ok(Reply::Done)
            }
            Request::List => Ok(Reply::Instances(self.list())),
            Request::Output { id } => {
                let state = self.state.lock().unwrap();
                let (_, _, ring) = state.instances.get(&id).ok_or(Refusal::NotFound("instance".to_owned()))?;
                returned.push(ring.try_clone().unwrap().into());
                Ok(Reply::Done)
            }
            Request::Pack { prefix, .. } => self.pack(prefix, fds),
            Request::Import { digest } => {
                self.state.lock().unwrap().layers.insert(digest);
                Ok(Reply::Done)
            }
            Request::Missing { layers } => {
                let state = self.state.lock().unwrap();
                Ok(Reply::Missing(layers.into_iter().filter(|layer| !state.layers.contains(layer)).collect()))
            }
            Request::Stacks => Ok(Reply::Stacks(vec![engine::InstalledStack {
                name: "debian-13".to_owned(),
                buildpacks: "heroku-24".to_owned(),
                image: Digest::from_bytes(&[self.state.lock().unwrap().image; 32]),
            }])),
            Request::Git { app, service, protocol } => {
                let git = self.git.clone().ok_or(Refusal::NotFound("git".to_owned()))?;
                Ok(Reply::GitExited(git(app, service, protocol, std::mem::take(&mut fds))))
            }
            _ => Ok(Reply::Done),
        }
    }

    fn list(&self) -> Vec<InstanceStatus> {
        let state = self.state.lock().unwrap();
        let status = |(spec, state, _): &(InstanceSpec, InstanceState, File)| InstanceStatus {
            spec: spec.clone(),
            address: Ipv4Addr::LOCALHOST,
            state: *state,
        };
        state.instances.values().map(status).collect()
    }

    fn start(&self, spec: &InstanceSpec, fds: Vec<OwnedFd>, out: &mpsc::UnboundedSender<(FromEngine, Vec<OwnedFd>)>) {
        let ring = tempfile::tempfile_in("/dev/shm").unwrap();
        let writer = Writer::create(ring.try_clone().unwrap(), 1024 * 1024).unwrap();
        let mut fds = fds.into_iter().skip(1).map(File::from);
        let mut take = || fds.next().unwrap();
        let (mut source, report, request, slug, cache) = (take(), take(), take(), take(), take());
        let request = wire::unseal(request.into(), 1024 * 1024).unwrap();
        let request: BuildRequest = serde_json::from_slice(&request).unwrap();
        let running = InstanceState::Running { listening: None };
        let script = {
            let mut state = self.state.lock().unwrap();
            state.instances.insert(spec.id, (spec.clone(), running, ring));
            state.started.push((spec.clone(), Some(request.clone())));
            state.scripts.pop_front()
        };
        let (sim, out, id) = (self.clone(), out.clone(), spec.id);
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            source.read_to_end(&mut bytes).unwrap();
            let mut inside = Inside { request, source: bytes, report, slug, cache, ring: writer };
            let exit = script.map_or(Exit { status: 1, out_of_memory: false }, |script| script(&mut inside));
            inside.ring.end().unwrap();
            drop(inside);
            if let Some((_, state, _)) = sim.state.lock().unwrap().instances.get_mut(&id) {
                *state = InstanceState::Exited(exit);
            }
            drop(out.send((FromEngine::Event(Event::Exited { id, exit }), vec![])));
        });
    }

    fn pack(&self, prefix: String, fds: Vec<OwnedFd>) -> Result<Reply, Refusal> {
        let mut fds = fds.into_iter().map(File::from);
        let (mut tar, mut blob) = (fds.next().unwrap(), fds.next().unwrap());
        let refusal = self.state.lock().unwrap().refusals.pop_front();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes).unwrap();
        blob.write_all(&bytes).unwrap();
        let digest = Digest::from_bytes(&Sha256::digest([prefix.as_bytes(), bytes.as_slice()].concat()).into());
        let size = bytes.len() as u64;
        let mut state = self.state.lock().unwrap();
        state.layers.insert(digest.clone());
        state.packed.push((prefix, bytes));
        Ok(Reply::Packed(Packed { digest, tar_bytes: size, blob_bytes: size }))
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("socket", &self.socket).finish_non_exhaustive()
    }
}
