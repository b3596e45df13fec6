//! From a spec to a running instance.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use crashpoints::Point;
use engine::{Event, InstanceSpec, Kind, Refusal};
use shim::{FromShim, Job, Process, STAGE, Streams, ToShim};
use tokio::process::{Child, Command};

use super::link::Link;
use super::{Instance, Instances, State, make_private};

/// Bytes of output a dyno's ring holds, and a build's, whose output is read as a whole.
const DYNO_RING: u64 = 256 * 1024;
const BUILD_RING: u64 = 4 * 1024 * 1024;
/// How many ids an instance has.
const IDS: u32 = 65_536;
/// What an app may write, besides the file systems that are its own.
const WRITABLE: [&str; 4] = ["/app", "/tmp", "/var/tmp", "/home"];

/// Refuses what makes no sense, before anything is made for it.
pub(super) fn check(spec: &InstanceSpec, fds: usize) -> Result<(), Refusal> {
    if fds != spec.fds.len() + 1 {
        return Err(Refusal::Invalid(format!("{fds} descriptors came, {} were announced", spec.fds.len() + 1)));
    }
    let numbers: HashSet<i32> = spec.fds.iter().copied().collect();
    // 1 and 2 are the output, 3 is the launch.
    let right = |number: i32| number == 0 || (4..64).contains(&number);
    if numbers.len() != spec.fds.len() || !numbers.into_iter().all(right) {
        return Err(Refusal::Invalid("a descriptor's number is taken or out of range".to_owned()));
    }
    Ok(())
}

impl Instances {
    /// Starts a claimed instance or undoes it; either way it is settled at the end.
    pub(super) async fn bring_up(self, instance: Arc<Instance>, fds: Vec<OwnedFd>) {
        match self.try_to_start(&instance, fds).await {
            Ok((link, child, process)) => {
                crashpoints::reach(Point::EngineRunning);
                let link = Arc::new(link);
                instance.state.send_replace(State::Running { listening: None, link: Arc::clone(&link) });
                let spec = &instance.record.spec;
                self.say(Event::Started { id: spec.id, kind: spec.kind, app: spec.app, name: spec.name.clone() });
                self.watch(instance, link, Some(child), process).await;
            }
            Err(refusal) => {
                tracing::warn!(dyno.id = %instance.id(), error = %refusal, "could not start an instance");
                self.shared.cgroups.kill(instance.id());
                self.undo(&instance.record).await;
                self.known().remove(&instance.id());
                instance.state.send_replace(State::Failed(refusal));
            }
        }
    }

    async fn try_to_start(&self, instance: &Instance, fds: Vec<OwnedFd>) -> Result<(Link, Child, Process), Refusal> {
        let (link, theirs) = Link::pair().map_err(failed("make a pair of sockets"))?;
        // The shim starts while its instance's parts are made.
        let child = self.spawn_shim(theirs).map_err(failed("start a shim"))?;
        crashpoints::reach(Point::EngineShimSpawned);
        let (this, record) = (self.clone(), instance.record.clone());
        let prepared = tokio::task::spawn_blocking(move || this.prepare(&record)).await;
        let (job, mounted) = prepared.map_err(|error| Refusal::Failed(error.to_string()))??;
        tracing::debug!(target: "timing", step = "files prepared", kind = ?instance.record.spec.kind);
        let mut all: Vec<BorrowedFd<'_>> = vec![self.shared.filter.as_fd(), mounted.as_fd()];
        all.extend(fds.iter().map(AsFd::as_fd));
        link.send(&job, &all).map_err(failed("hand the job to the shim"))?;
        drop((fds, mounted));
        let (FromShim::Namespaces, namespaces) = expect(&link).await? else { return Err(out_of_turn()) };
        tracing::debug!(target: "timing", step = "namespaces made", kind = ?instance.record.spec.kind);
        let network = namespaces.into_iter().next().ok_or_else(out_of_turn)?;
        let attached = self.shared.network.attach(network.as_fd(), job.address, instance.record.spec.kind).await;
        attached.map_err(|error| Refusal::Failed(error.to_string()))?;
        drop(network);
        crashpoints::reach(Point::EngineNetworkAttached);
        tracing::debug!(target: "timing", step = "network attached", kind = ?instance.record.spec.kind);
        link.send(&ToShim::Go, &[]).map_err(failed("start the program"))?;
        match expect(&link).await? {
            (FromShim::Running(process), _) => Ok((link, child, process)),
            _ => Err(out_of_turn()),
        }
    }

    fn spawn_shim(&self, socket: OwnedFd) -> io::Result<Child> {
        let mut shim = Command::new(format!("/proc/self/fd/{}", self.shared.shim.as_raw_fd()));
        shim.arg0(&self.shared.config.shim);
        shim.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::null()).env_clear().current_dir("/");
        shim.spawn()
    }

    /// Everything made of files: folders, cgroup, writable layer, mounted images. Answers the writable layer as well.
    fn prepare(&self, record: &super::Record) -> Result<(Job, OwnedFd), Refusal> {
        let spec = &record.spec;
        let (data, run) = (self.data_folder(spec.id), self.run_folder(spec.id));
        for folder in [&data, &run, &run.join(STAGE)] {
            make_private(folder).map_err(failed("make a folder"))?;
        }
        record.write(&data).map_err(failed("write the record"))?;
        crashpoints::reach(Point::EngineRecorded);
        self.shared.cgroups.make(spec.id, &spec.limits).map_err(failed("make a cgroup"))?;
        let disk = data.join(shim::DISK);
        let mounted = self.shared.disks.take(spec.limits.disk_bytes, &disk).map_err(failed("make a writable layer"))?;
        crashpoints::reach(Point::EngineDiskMade);
        let mut writable: Vec<String> = WRITABLE.map(str::to_owned).to_vec();
        if spec.kind == Kind::Build {
            writable.push(inside_contract::CACHE.to_owned());
        }
        let layers = self.layers(spec)?;
        crashpoints::reach(Point::EngineLayersMounted);
        let job = Job {
            host_name: spec.id.to_string(),
            data_folder: data,
            run_folder: run,
            programs: self.shared.programs.clone(),
            layers,
            writable,
            first_id: self.shared.config.first_id + record.range * IDS,
            address: record.address,
            resolver: self.shared.network.resolver(),
            placement: self.shared.cgroups.placement(spec.id),
            memory_events: self.shared.cgroups.memory_events(spec.id),
            fds: spec.fds.clone(),
            streams: streams(spec.stdio),
            ring_bytes: if spec.kind == Kind::Build { BUILD_RING } else { DYNO_RING },
        };
        Ok((job, mounted))
    }

    /// The mounted folders, the topmost first: overlay's order, where the spec has the bottom first.
    fn layers(&self, spec: &InstanceSpec) -> Result<Vec<PathBuf>, Refusal> {
        let images = &self.shared.images;
        let mut layers = Vec::new();
        for digest in spec.image.layers.iter().rev() {
            layers.push(images.layer(digest)?);
        }
        layers.extend(images.stack(&spec.image.stack, spec.image.variant)?);
        Ok(layers)
    }
}

/// The shim's word for where streams lead.
fn streams(stdio: engine::Stdio) -> Streams {
    match stdio {
        engine::Stdio::Logged => Streams::Logged,
        engine::Stdio::Attached { terminal } => Streams::Attached(terminal.map(super::attach::size)),
    }
}

async fn expect(link: &Link) -> Result<(FromShim, Vec<OwnedFd>), Refusal> {
    match link.receive().await.map_err(failed("hear from the shim"))? {
        Some((FromShim::Failed(text), _)) => Err(Refusal::Failed(text)),
        Some(packet) => Ok(packet),
        None => Err(Refusal::Failed("the shim ended before it started the instance".to_owned())),
    }
}

fn out_of_turn() -> Refusal {
    Refusal::Failed("the shim answered out of turn".to_owned())
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Refusal {
    move |error| Refusal::Failed(format!("could not {doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use engine::{Image, Limits, Variant};
    use vocabulary::{AppId, DynoId};

    use super::*;

    fn spec(fds: Vec<i32>) -> InstanceSpec {
        InstanceSpec {
            id: DynoId::new(),
            kind: Kind::Dyno,
            app: AppId::new(),
            name: "web.1".to_owned(),
            image: Image { stack: "debian-13".to_owned(), variant: Variant::Run, layers: vec![] },
            port: None,
            limits: Limits { memory_bytes: 1 << 29, cpu_weight: 1, processes: 256, disk_bytes: 1 << 30 },
            fds,
            stdio: engine::Stdio::Logged,
        }
    }

    #[test]
    fn descriptors_must_come_and_have_free_numbers() {
        assert_eq!(check(&spec(vec![]), 1), Ok(()));
        assert_eq!(check(&spec(vec![0, 4, 5, 6, 7]), 6), Ok(()));
        assert!(check(&spec(vec![]), 0).is_err());
        assert!(check(&spec(vec![4]), 1).is_err());
        for number in [-1, 1, 2, 3, 64] {
            assert!(check(&spec(vec![number]), 2).is_err(), "{number}");
        }
        assert!(check(&spec(vec![4, 4]), 3).is_err());
    }
}
