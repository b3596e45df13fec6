//! The instances of this machine: started, watched, stopped, removed, and found again by the next engine.
//!
//! Knows folders, cgroups, addresses and shims; knows no app's reasons. The kernel's work is done by the shim of each
//! instance; what is decided here is which one gets what.
//!
//! ```text
//! DATA/dynos/ID/         instance.json  disk.img  exit.json (once it ended)
//! DATA/disks/            templates of writable layers
//! DATA/programs/         shown inside as /.slipway
//! /run/slipway-INSTALL/ID/   shim.sock  ring  stage
//! ```
//!
//! A folder without `instance.json` is a leftover. Removing an instance deletes that file first and the rest later, so
//! that an engine that dies in between leaves something the next one cleans up, never half an instance.

mod adopt;
mod attach;
mod cgroups;
mod disk;
mod life;
mod link;
mod listening;
mod programs;
mod record;
mod shelf;
mod start;
mod usage;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{Event, Exit, InstanceSpec, InstanceState, InstanceStatus, Refusal, Started};
use shim::{RING, ToShim};
use tokio::sync::{broadcast, watch};
use vocabulary::{Digest, DynoId};

use crate::images::Images;
use crate::network::Network;
use cgroups::Cgroups;
use link::Link;
use record::Record;
use shelf::Shelf;

/// How many events a slow connection may lag behind before it is dropped and looks anew.
const EVENTS: usize = 4096;
/// How long an instance that was killed may take to end before its cgroup is killed process by process.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Where instances live and what they get.
#[derive(Debug, Clone)]
pub struct InstancesConfig {
    /// The install's short name; part of the names of its cgroups.
    pub install: String,
    /// The data folder of the platform.
    pub data: PathBuf,
    /// A folder on tmpfs for sockets and output; short, as socket paths hold 107 bytes.
    pub run: PathBuf,
    /// The first host id of the install's range. Nothing else on the host may use ids of the range.
    pub first_id: u32,
    /// How many instances the range holds; each has 65,536 ids.
    pub ranges: u32,
    /// The program `slipway-shim`, linked statically.
    pub shim: PathBuf,
    /// The programs shown inside, each with its name there (`init`, `buildpacks`, `static`); linked statically.
    pub programs: Vec<(String, PathBuf)>,
    /// `mkfs.ext4`.
    pub mkfs: PathBuf,
}

/// What the instances could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something on disk or in the kernel.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The filter of kernel calls.
    #[error(transparent)]
    Filter(#[from] sys::seccomp::Error),
}

/// The instances; clones share them.
#[derive(Debug, Clone)]
pub struct Instances {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: InstancesConfig,
    programs: PathBuf,
    cgroups: Cgroups,
    disks: Shelf,
    images: Images,
    network: Arc<Network>,
    filter: OwnedFd,
    /// The shim's program: what lies in its place may be another engine's by the time it is needed.
    shim: OwnedFd,
    known: Mutex<HashMap<DynoId, Arc<Instance>>>,
    events: broadcast::Sender<Event>,
}

/// One instance the engine knows.
#[derive(Debug)]
struct Instance {
    record: Record,
    state: watch::Sender<State>,
}

/// ```text
/// Starting ──→ Running ──→ Exited
///    └──→ Failed (and forgotten)
/// ```
#[derive(Debug, Clone)]
enum State {
    /// It is being put together.
    Starting,
    /// Its process 1 runs.
    Running { listening: Option<SocketAddrV4>, link: Arc<Link> },
    /// Its process 1 ended.
    Exited(Exit),
    /// It never came to run.
    Failed(Refusal),
}

impl Instances {
    /// Takes over what an earlier engine left: instances go on, leftovers go.
    pub async fn open(config: InstancesConfig, images: Images, network: Arc<Network>) -> Result<Self, Error> {
        let io = |doing: &'static str| move |source| Error::Io { doing, source };
        for folder in [config.data.join("dynos"), config.run.clone()] {
            make_private(&folder).map_err(io("make a folder"))?;
        }
        let programs = programs::install(&config).map_err(io("install the programs"))?;
        let shared = Shared {
            cgroups: Cgroups::open(&config.install).map_err(io("make the top cgroups"))?,
            disks: Shelf::open(&config.data.join("disks"), config.mkfs.clone()).map_err(io("make a folder"))?,
            filter: wire::seal(&sys::seccomp::compile()?).map_err(io("hold the filter of kernel calls"))?,
            shim: OwnedFd::from(File::open(&config.shim).map_err(io("open the shim's program"))?),
            known: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            programs,
            images,
            network,
            config,
        };
        let instances = Self { shared: Arc::new(shared) };
        instances.adopt().await.map_err(io("find the instances of an earlier engine"))?;
        Ok(instances)
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Starts an instance, or answers what became of the start of the same id. `fds` are the launch, then those of
    /// the spec.
    pub async fn start(&self, spec: InstanceSpec, fds: Vec<OwnedFd>) -> Result<Started, Refusal> {
        start::check(&spec, fds.len())?;
        let (instance, is_new) = self.claim(spec)?;
        if is_new {
            // On its own, so that it is finished or undone even if the asker goes away.
            let (this, instance) = (self.clone(), Arc::clone(&instance));
            tokio::spawn(async move { this.bring_up(instance, fds).await });
        }
        instance.settled().await?;
        Ok(Started { address: instance.record.address })
    }

    /// SIGTERM now, SIGKILL after `grace_ms`. An instance that is gone or ended is as good as stopped.
    pub async fn stop(&self, id: DynoId, grace_ms: u64) -> Result<(), Refusal> {
        let Some(instance) = self.find(id) else { return Ok(()) };
        if let Ok(State::Running { link, .. }) = instance.settled().await
            && let Err(error) = link.send(&ToShim::Stop { grace_ms }, &[])
        {
            // The shim is gone: whoever watches it sees the same and deals with it.
            tracing::debug!(dyno.id = %id, %error, "could not tell a shim to stop");
        }
        Ok(())
    }

    /// Forgets an instance; kills it first if it runs.
    pub async fn remove(&self, id: DynoId) -> Result<(), Refusal> {
        let Some(instance) = self.find(id) else { return Ok(()) };
        if let Ok(State::Running { link, .. }) = instance.settled().await {
            self.kill(&instance, &link).await;
        }
        if self.known().remove(&id).is_none() {
            return Ok(());
        }
        self.release(&instance.record).await;
        Ok(())
    }

    async fn kill(&self, instance: &Instance, link: &Link) {
        let id = instance.record.spec.id;
        if link.send(&ToShim::Kill, &[]).is_err() {
            self.shared.cgroups.kill(id);
        }
        if tokio::time::timeout(KILL_PATIENCE, instance.ended()).await.is_err() {
            self.shared.cgroups.kill(id);
            instance.ended().await;
        }
    }

    /// Every instance that was started.
    #[must_use]
    pub fn list(&self) -> Vec<InstanceStatus> {
        let status = |instance: &Arc<Instance>| {
            let state = match &*instance.state.borrow() {
                State::Running { listening, .. } => InstanceState::Running { listening: *listening },
                State::Exited(exit) => InstanceState::Exited(*exit),
                State::Starting | State::Failed(_) => return None,
            };
            Some(InstanceStatus { spec: instance.record.spec.clone(), address: instance.record.address, state })
        };
        self.known().values().filter_map(status).collect()
    }

    /// The layers of every instance, from the claim of its id until it is removed.
    #[must_use]
    pub fn layers_in_use(&self) -> HashSet<Digest> {
        let known = self.known();
        known.values().flat_map(|instance| &instance.record.spec.image.layers).cloned().collect()
    }

    /// The ring an instance's output goes to, for reading.
    pub async fn output(&self, id: DynoId) -> Result<OwnedFd, Refusal> {
        let instance = self.find(id).ok_or_else(|| Refusal::NotFound(format!("instance {id}")))?;
        instance.settled().await?;
        let ring = File::open(self.run_folder(id).join(RING));
        ring.map(OwnedFd::from).map_err(|error| Refusal::Failed(format!("could not open the output: {error}")))
    }

    /// The instance with this id, made if there is none; tells which.
    fn claim(&self, spec: InstanceSpec) -> Result<(Arc<Instance>, bool), Refusal> {
        let mut known = self.known();
        if let Some(instance) = known.get(&spec.id) {
            return Ok((Arc::clone(instance), false));
        }
        let taken: Vec<u32> = known.values().map(|instance| instance.record.range).collect();
        let range = (0..self.shared.config.ranges).find(|range| !taken.contains(range));
        let range = range.ok_or_else(|| Refusal::Failed("every range of ids is taken by an instance".to_owned()))?;
        let address = self.shared.network.reserve().map_err(|error| Refusal::Failed(error.to_string()))?;
        let instance = Arc::new(Instance::new(Record::new(spec, address, range), State::Starting));
        known.insert(instance.record.spec.id, Arc::clone(&instance));
        Ok((instance, true))
    }

    fn find(&self, id: DynoId) -> Option<Arc<Instance>> {
        self.known().get(&id).cloned()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<DynoId, Arc<Instance>>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, event: Event) {
        // Fails only if nobody listens, and who comes later asks for the list.
        drop(self.shared.events.send(event));
    }

    fn data_folder(&self, id: DynoId) -> PathBuf {
        self.shared.config.data.join("dynos").join(id.to_string())
    }

    fn run_folder(&self, id: DynoId) -> PathBuf {
        self.shared.config.run.join(id.to_string())
    }
}

impl Instance {
    fn new(record: Record, state: State) -> Self {
        Self { record, state: watch::Sender::new(state) }
    }

    fn id(&self) -> DynoId {
        self.record.spec.id
    }

    fn address(&self) -> Ipv4Addr {
        self.record.address
    }

    /// Waits until it is no longer starting.
    async fn settled(&self) -> Result<State, Refusal> {
        let mut states = self.state.subscribe();
        match states.wait_for(|state| !matches!(state, State::Starting)).await.map(|state| state.clone()) {
            Ok(State::Failed(refusal)) => Err(refusal),
            Ok(state) => Ok(state),
            Err(_) => Err(Refusal::Failed("the start was given up".to_owned())),
        }
    }

    async fn ended(&self) {
        let mut states = self.state.subscribe();
        // It cannot close while we hold the sender.
        drop(states.wait_for(|state| matches!(state, State::Exited(_))).await);
    }
}

/// Makes a folder that only root enters.
fn make_private(folder: &std::path::Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder, mode)
}
