//! An engine of its own for each test: folders, install id, a range of ids, a small stack made of this host's programs.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use engine::{Engine, Event, Exit, Image, InstanceSpec, Kind, Limits, Stdio, Variant};
use inside_contract::{Launch, Program};
use local::Local;
use local::git::RepositoriesConfig;
use local::images::ImagesConfig;
use local::instances::InstancesConfig;
use local::network::NetworkConfig;
use loglines::ring::{Reader, Stream};
use tokio::sync::broadcast;
use vocabulary::{AppId, DynoId};

/// Ids no distribution gives to users; each test takes 64 ranges of them.
const FIRST_ID: u32 = 0x3000_0000;
const RANGES: u32 = 64;
/// The longest any condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One engine and the client of it.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) install: String,
    number: u32,
    runtime: Option<tokio::runtime::Runtime>,
    pub(crate) engine: Engine,
    pub(crate) events: broadcast::Receiver<Event>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        assert!(rustix::process::getuid().is_root(), "the contract needs root");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let install = format!("t{:x}{number:x}", std::process::id() % 0x1_0000);
        let folder = tempfile::Builder::new().prefix("sw").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        link_stack(&folder.path().join("stacks/test"));
        let (engine, connection) = Engine::new(folder.path().join("engine.sock"), 1);
        tokio::spawn(connection);
        let events = engine.events();
        let mut fixture = Self { folder, install, number, runtime: None, engine, events };
        fixture.start_engine();
        fixture.engine.list().await.unwrap();
        fixture
    }

    /// Runs the engine in a runtime of its own, so that stopping it leaves nothing of it behind, as a kill would.
    pub(crate) fn start_engine(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let socket = self.folder.path().join("engine.sock");
        std::fs::remove_file(&socket).ok();
        let listener = UnixListener::bind(socket).unwrap();
        let config = self.config();
        runtime.spawn(async move {
            let engine = Local::take_over(config).await.expect("the engine starts");
            engine.serve(listener).await.expect("the engine goes on");
        });
        self.runtime = Some(runtime);
    }

    pub(crate) fn stop_engine(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn config(&self) -> local::Config {
        let (data, root) = (self.data(), self.folder.path());
        let programs = programs();
        let child = env!("CARGO_BIN_EXE_engine-child").to_owned();
        local::Config {
            control_uid: 0,
            instances: InstancesConfig {
                install: self.install.clone(),
                data: data.clone(),
                run: PathBuf::from(format!("/run/slipway-{}", self.install)),
                first_id: FIRST_ID + self.number * RANGES * 65_536,
                ranges: RANGES,
                shim: programs.join("slipway-shim"),
                programs: vec![("init".to_owned(), programs.join("slipway-init"))],
                mkfs: PathBuf::from("/usr/sbin/mkfs.ext4"),
            },
            images: ImagesConfig {
                folder: data.join("images"),
                stacks: root.join("stacks"),
                mounts: root.join("mounts"),
                packer_uid: 65_534,
                packer: vec![child.clone(), "packer".to_owned()],
                mksquashfs: PathBuf::from("/usr/bin/mksquashfs"),
            },
            network: NetworkConfig {
                install: self.install.clone(),
                // A range for each test, out of the way of an install on the same machine.
                range: (std::net::Ipv4Addr::new(198, 19, u8::try_from(self.number % 250).unwrap(), 0), 24),
                egress_allow: vec![],
                nft: PathBuf::from("/usr/sbin/nft"),
                forwarder: vec![child, "forwarder".to_owned()],
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
        }
    }

    /// Starts a dyno that runs a line of bash.
    pub(crate) async fn start(&self, command: &str) -> DynoId {
        self.start_as(spec(), command).await
    }

    pub(crate) async fn start_as(&self, spec: InstanceSpec, command: &str) -> DynoId {
        let id = spec.id;
        self.engine.start(spec, &shell(command), vec![]).await.unwrap();
        id
    }

    /// Waits for the end of an instance.
    pub(crate) async fn exit(&mut self, id: DynoId) -> Exit {
        let ended = |event: &Event| matches!(event, Event::Exited { id: ended, .. } if *ended == id);
        match self.event(ended).await {
            Event::Exited { exit, .. } => exit,
            _ => unreachable!(),
        }
    }

    pub(crate) async fn event(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("an event in time")
    }

    /// All lines of an instance's output, once it ended.
    pub(crate) async fn output(&self, id: DynoId) -> Vec<(Stream, String)> {
        let mut reader = Reader::new(self.engine.output(id).await.unwrap(), 0).unwrap();
        let mut lines = Vec::new();
        loop {
            let batch = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap();
            let text = |text: Vec<u8>| String::from_utf8(text).unwrap();
            lines.extend(batch.records.into_iter().map(|record| (record.stream, text(record.text))));
            if batch.ended {
                return lines;
            }
        }
    }

    /// Runs a line of bash to its end: its status and its output, both streams together.
    pub(crate) async fn run(&mut self, command: &str) -> (Exit, Vec<String>) {
        let id = self.start(command).await;
        let exit = self.exit(id).await;
        let lines = self.output(id).await.into_iter().map(|(_, text)| text).collect();
        self.engine.remove(id).await.unwrap();
        (exit, lines)
    }

    /// The first line an instance says, as soon as it says it.
    pub(crate) async fn first_line(&self, id: DynoId) -> String {
        let mut reader = Reader::new(self.engine.output(id).await.unwrap(), 0).unwrap();
        let batch = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap();
        String::from_utf8(batch.records[0].text.clone()).unwrap()
    }

    /// The host's ids of all processes of this install's instances.
    pub(crate) fn host_uids(&self) -> std::collections::BTreeSet<u32> {
        let groups = glob_cgroups(&self.install).into_iter().flat_map(|top| entries(&top));
        let procs = groups.filter_map(|group| std::fs::read_to_string(group.join("cgroup.procs")).ok());
        let pids: Vec<String> = procs.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let owner =
            |pid: &String| Some(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{pid}")).ok()?));
        pids.iter().filter_map(owner).collect()
    }

    /// What this install has on the host: cgroups, mounts of instances, links, folders.
    pub(crate) fn traces(&self) -> Vec<String> {
        let mut traces = Vec::new();
        for top in glob_cgroups(&self.install) {
            traces
                .extend(entries(&top).into_iter().filter(|path| path.is_dir()).map(|path| path.display().to_string()));
        }
        for folder in [self.data().join("dynos"), PathBuf::from(format!("/run/slipway-{}", self.install))] {
            traces.extend(entries(&folder).into_iter().map(|path| path.display().to_string()));
        }
        let links = Command::new("ip").args(["-o", "link"]).output().unwrap();
        let own = |line: &&str| line.contains(&format!(" {}-", self.install));
        traces.extend(String::from_utf8(links.stdout).unwrap().lines().filter(own).map(str::to_owned));
        traces
    }
}

impl Fixture {
    /// Takes the resolver's address, which carries the install's name, off the loopback link.
    fn forget_resolver(&self) {
        let addresses = Command::new("ip").args(["-o", "addr", "show", "dev", "lo"]).output().unwrap().stdout;
        let label = format!("lo:{}", self.install);
        let addresses = String::from_utf8(addresses).unwrap();
        let own =
            addresses.lines().filter(|line| line.split_whitespace().any(|word| word.trim_end_matches('\\') == label));
        for address in own.filter_map(|line| line.split_whitespace().nth(3)) {
            Command::new("ip").args(["addr", "del", address, "dev", "lo"]).output().ok();
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop_engine();
        // Whatever a failed test left running.
        for top in glob_cgroups(&self.install) {
            for group in entries(&top) {
                let pids = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                for pid in pids.lines().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)) {
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
                }
            }
        }
        // A killed process leaves its group a moment later.
        for _ in 0..200 {
            for top in glob_cgroups(&self.install) {
                for group in entries(&top).into_iter().filter(|path| path.is_dir()) {
                    std::fs::remove_dir(group).ok();
                }
                std::fs::remove_dir(top).ok();
            }
            if glob_cgroups(&self.install).is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.forget_resolver();
        std::fs::remove_dir_all(format!("/run/slipway-{}", self.install)).ok();
        let mounts = self.folder.path().join("mounts");
        for mount in entries(&mounts) {
            rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH).ok();
        }
        rustix::mount::unmount(mounts, rustix::mount::UnmountFlags::DETACH).ok();
        Command::new("nft").args(["delete", "table", "inet", &format!("slipway-{}", self.install)]).output().ok();
    }
}

/// A dyno of the test stack with moderate limits.
pub(crate) fn spec() -> InstanceSpec {
    InstanceSpec {
        id: DynoId::new(),
        kind: Kind::Dyno,
        app: AppId::new(),
        name: "web.1".to_owned(),
        image: Image { stack: "test".to_owned(), variant: Variant::Run, layers: vec![] },
        port: None,
        limits: Limits { memory_bytes: 128 << 20, cpu_weight: 1, processes: 64, disk_bytes: 64 << 20 },
        fds: vec![],
        stdio: Stdio::Logged,
    }
}

pub(crate) fn shell(command: &str) -> Launch {
    Launch { program: Program::Shell { command: command.to_owned() }, env: env() }
}

pub(crate) fn exec(argv: &[&str]) -> Launch {
    Launch { program: Program::Exec { argv: argv.iter().map(|&text| text.to_owned()).collect() }, env: env() }
}

fn env() -> BTreeMap<String, String> {
    [("PATH", "/usr/bin:/bin"), ("HOME", "/app"), ("MARK", "a config var")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn glob_cgroups(install: &str) -> Vec<PathBuf> {
    let name = format!("slipway-{install}");
    let controllers = entries(Path::new("/sys/fs/cgroup")).into_iter().map(|controller| controller.join(&name));
    controllers.chain([Path::new("/sys/fs/cgroup").join(&name)]).filter(|top| top.is_dir()).collect()
}

/// The static programs: those in the folder SLIPWAY_PROGRAMS, for a machine without cargo, else built once.
fn programs() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "a test has no settings")]
        if let Some(folder) = std::env::var_os("SLIPWAY_PROGRAMS") {
            return folder.into();
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap();
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let folder = workspace.join("target-static");
        let built = Command::new(env!("CARGO"))
            .current_dir(&workspace)
            .args(["build", "--quiet", "-p", "shim", "-p", "init", "--target", &target, "--target-dir"])
            .arg(&folder)
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env_remove("CARGO_TARGET_DIR")
            .status()
            .unwrap();
        assert!(built.success());
        folder.join(target).join("debug")
    })
}

/// A stack of this host's bash, coreutils and perl, made once: enough to look around inside.
fn link_stack(folder: &Path) {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let made = tempfile::tempdir().unwrap();
        let root = made.path().join("root");
        for name in ["app", "bin", "dev", "etc", "home", "proc", "run", "sys", "tmp", "usr/bin", "var/tmp", "lib64"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let programs = [
            "bash", "cat", "dd", "env", "head", "id", "ls", "mkdir", "mv", "perl", "rm", "sleep", "stty", "touch",
            "tr", "true", "tty",
        ];
        for name in programs {
            copy_program(&Path::new("/usr/bin").join(name), &root);
        }
        std::fs::copy("/usr/bin/bash", root.join("bin/bash")).unwrap();
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/bash\ndyno:x:1000:1000::/app:/bin/bash\n").unwrap();
        let image = made.path().join("run.sqfs");
        squash(&root, &image);
        let empty = made.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        squash(&empty, &made.path().join("build-delta.sqfs"));
        made
    });
    std::fs::create_dir_all(folder).unwrap();
    for name in ["run.sqfs", "build-delta.sqfs"] {
        std::fs::copy(made.path().join(name), folder.join(name)).unwrap();
    }
}

fn squash(root: &Path, image: &Path) {
    let made = Command::new("mksquashfs").args([root, image]).args(["-all-root", "-quiet", "-no-progress"]).output();
    assert!(made.unwrap().status.success());
}

/// Copies a program and the libraries it is linked with.
fn copy_program(program: &Path, root: &Path) {
    let copy = |path: &Path| {
        let target = root.join(path.strip_prefix("/").unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(path, target).unwrap();
    };
    copy(program);
    let libraries = Command::new("ldd").arg(program).output().unwrap().stdout;
    for word in String::from_utf8(libraries).unwrap().split_whitespace().filter(|word| word.starts_with('/')) {
        copy(Path::new(word));
    }
}
