//! Our engine, in a process of its own, asked on its socket as control asks it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Std};
use std::time::{Duration, Instant};

use e2e::{Failure, slipway_program};
use engine::{Engine, Event, Image, InstanceSpec, Kind, Limits, Stdio, Variant};
use inside_contract::{Launch, Program};
use local::Local;
use local::git::RepositoriesConfig;
use local::images::ImagesConfig;
use local::instances::InstancesConfig;
use local::network::NetworkConfig;
use loglines::ring::Reader;
use tokio::runtime::Runtime;
use vocabulary::{AppId, DynoId};

use crate::{LIMITS, Method, Times};

/// Ids no distribution gives to users, apart from those of a platform and of tests.
const FIRST_ID: u32 = 0xA000_0000;
const RANGES: u32 = 512;
/// The range for tests between networks (RFC 2544), its upper end.
const NETWORK: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 19, 240, 0), 20);
/// The longest any start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The engine's process and the client of it.
pub(crate) struct Ours {
    folder: PathBuf,
    install: String,
    process: Child,
    engine: Engine,
    runtime: Runtime,
}

impl Ours {
    /// Starts the engine's process on the stack that lies in the folder.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let install = format!("b{:x}", std::process::id() % 0x1_0000);
        let mut command = Command::new(std::env::current_exe()?);
        let process = command.args(["engine", &install]).arg(folder).stdin(Std::null()).spawn()?;
        let runtime = Runtime::new()?;
        let (engine, connection) = Engine::new(folder.join("engine.sock"), 1);
        runtime.spawn(connection);
        let ours = Self { folder: folder.to_owned(), install, process, engine, runtime };
        let up = ours.runtime.block_on(async { tokio::time::timeout(PATIENCE, ours.engine.list()).await });
        up.map_err(|_| "the engine does not come up")??;
        Ok(ours)
    }

    /// The engine's process.
    pub(crate) fn engine_pid(&self) -> u32 {
        self.process.id()
    }

    /// So many dynos that sleep.
    pub(crate) fn idle(&self, count: usize) -> Result<Vec<DynoId>, Failure> {
        (0..count)
            .map(|_| {
                let spec = spec();
                let id = spec.id;
                self.runtime.block_on(self.engine.start(spec, &launch(&["/usr/bin/sleep", "3600"]), vec![]))?;
                Ok(id)
            })
            .collect()
    }

    pub(crate) fn remove(&self, ids: Vec<DynoId>) -> Result<(), Failure> {
        for id in ids {
            self.runtime.block_on(self.engine.remove(id))?;
        }
        Ok(())
    }

    /// So many that say hello and end, a few at a time; how long that took.
    pub(crate) fn many(&self, count: usize, at_a_time: usize) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for lane in 0..at_a_time {
                let engine = self.engine.clone();
                let share = count / at_a_time + usize::from(lane < count % at_a_time);
                tasks.spawn(async move {
                    for _ in 0..share {
                        hello(&engine).await.map_err(|error| error.to_string())?;
                    }
                    Ok::<_, String>(())
                });
            }
            while let Some(lane) = tasks.join_next().await {
                lane??;
            }
            Ok::<_, Failure>(())
        })?;
        Ok(begun.elapsed())
    }
}

impl Method for Ours {
    fn name(&self) -> String {
        "slipway".to_owned()
    }

    fn once(&mut self) -> Result<Times, Failure> {
        self.runtime.block_on(hello(&self.engine))
    }
}

async fn hello(engine: &Engine) -> Result<Times, Failure> {
    let mut events = engine.events();
    let spec = spec();
    let id = spec.id;
    let begun = Instant::now();
    engine.start(spec, &launch(&["/usr/bin/echo", "hello"]), vec![]).await?;
    let mut output = Reader::new(engine.output(id).await?, 0)?;
    let batch = tokio::time::timeout(PATIENCE, output.next()).await??;
    let first = begun.elapsed();
    if batch.records.first().is_none_or(|record| record.text != b"hello") {
        return Err("it did not say hello".into());
    }
    let ended = async {
        loop {
            match events.recv().await {
                Ok(Event::Exited { id: ended, exit }) if ended == id => return Ok(exit.status),
                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(error) => return Err(Failure::from(error.to_string())),
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, ended).await??;
    engine.remove(id).await?;
    if status != 0 {
        return Err(format!("it ended with {status}").into());
    }
    Ok(Times { first, total: begun.elapsed() })
}

fn spec() -> InstanceSpec {
    InstanceSpec {
        id: DynoId::new(),
        kind: Kind::Dyno,
        app: AppId::new(),
        name: "web.1".to_owned(),
        image: Image { stack: "bench".to_owned(), variant: Variant::Run, layers: vec![] },
        port: None,
        limits: Limits {
            memory_bytes: LIMITS.memory_bytes,
            cpu_weight: 1,
            processes: LIMITS.processes,
            disk_bytes: 1 << 30,
        },
        fds: vec![],
        stdio: Stdio::Logged,
    }
}

fn launch(argv: &[&str]) -> Launch {
    let env = [("PATH", "/usr/bin:/bin"), ("HOME", "/app")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let argv = argv.iter().map(|&text| text.to_owned()).collect();
    Launch { program: Program::Exec { argv }, env: BTreeMap::from(env) }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Ok(instances) = self.runtime.block_on(self.engine.list()) {
            drop(self.remove(instances.into_iter().map(|instance| instance.spec.id).collect()));
        }
        drop(self.process.kill().and_then(|()| self.process.wait()));
        crate::left::take_away(&self.install, &self.folder);
    }
}

/// The engine's process: until somebody ends it.
pub(crate) fn serve(install: &str, folder: &Path) -> Result<(), Failure> {
    let config = config(install, folder)?;
    let listener = UnixListener::bind(folder.join("engine.sock"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = Local::take_over(config).await?;
        engine.serve(listener).await
    })?;
    Ok(())
}

fn config(install: &str, folder: &Path) -> Result<local::Config, Failure> {
    let data = folder.join("data");
    let program = slipway_program()?;
    let beside = |name: &str| program.with_file_name(format!("slipway-{name}"));
    let own = |role: &str| vec![program.display().to_string(), role.to_owned()];
    Ok(local::Config {
        control_uid: 0,
        instances: InstancesConfig {
            install: install.to_owned(),
            data: data.clone(),
            run: PathBuf::from(format!("/run/slipway-{install}")),
            first_id: FIRST_ID,
            ranges: RANGES,
            shim: beside("shim"),
            programs: vec![("init".to_owned(), beside("init"))],
            mkfs: PathBuf::from("/sbin/mkfs.ext4"),
        },
        images: ImagesConfig {
            folder: data.join("images"),
            stacks: folder.join("stacks"),
            mounts: folder.join("mounts"),
            packer_uid: 65_534,
            packer: own("packer"),
            mksquashfs: PathBuf::from("/usr/bin/mksquashfs"),
        },
        network: NetworkConfig {
            install: install.to_owned(),
            range: NETWORK,
            egress_allow: vec![],
            nft: PathBuf::from("/usr/sbin/nft"),
            forwarder: own("forwarder"),
            forwarder_uid: 65_534,
        },
        repositories: RepositoriesConfig {
            folder: data.join("git"),
            uid: 65_534,
            gid: 65_534,
            hooks: data.join("hooks"),
            hook_program: PathBuf::from("/usr/bin/true"),
            git: PathBuf::from("/usr/bin/git"),
            max_input_bytes: 1 << 20,
        },
    })
}
