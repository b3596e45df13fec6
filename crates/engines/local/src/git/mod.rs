//! The repositories: bare, one per app, and git run on one of them without rights to anything else.
//!
//! Knows apps' ids and git's own programs; knows no push, no build, no user. Packs are hostile, so git runs as a user
//! of its own, with an empty network, under Landlock: it sees its one repository, the programs of the host, and the
//! platform's hook. All that decides what git does is said on its command line, which overrules whatever a repository
//! might come to hold in its own config.
//!
//! ```text
//! git/APP-ID.git/        owned by the git user
//! git/gone-APP-ID-N/     being deleted
//! ```
//!
//! A repository is deleted with its app; should that have failed, `rooms/retention` finds it without one. What grows
//! in it is bounded by `tidy`, which the same room asks for.

mod lasting;
mod tidy;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crashpoints::Point;
use engine::{GitService, Refusal};
use rustix::process::Resource;
use sys::confine::{Confinement, Files, confine};
use tokio::process::Command;
use tokio::sync::{Mutex, Semaphore};
use vocabulary::AppId;

/// Git children of clients at once; more wait. Each may hold a pack's window in memory.
const CHILDREN: usize = 32;
/// Git children of ours at once, which make and tidy repositories: clients that hold all of their places, for an hour
/// at worst, must not keep new apps from having a repository.
const HOUSEKEEPERS: usize = 2;
/// No push takes longer; Heroku ends builds after 15 minutes, and a pack travels before that.
const PATIENCE: Duration = Duration::from_hours(1);
/// Address space: packs are mapped, so it is larger than what git keeps in memory.
const MEMORY: u64 = 4 << 30;
/// What a pack may grow by while it is unpacked and indexed.
const FILE_SLACK: u64 = 256 << 20;

/// Where repositories are and how git is run.
#[derive(Debug, Clone)]
pub struct RepositoriesConfig {
    /// The repositories: `DATA/git`. Root's, and passable for everybody.
    pub folder: PathBuf,
    /// The user git runs as.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The platform's hooks: holds `pre-receive`, writable for root alone.
    pub hooks: PathBuf,
    /// The program that the hook calls.
    pub hook_program: PathBuf,
    /// git 2.36 or newer.
    pub git: PathBuf,
    /// The largest pack a push may bring, in bytes. 1 GiB is Heroku's limit for a slug's source.
    pub max_input_bytes: u64,
}

/// The repositories of this host; clones share the limits on git children.
#[derive(Debug, Clone)]
pub struct Repositories {
    config: Arc<RepositoriesConfig>,
    children: Arc<Semaphore>,
    housekeepers: Arc<Semaphore>,
    /// Held while one is made: two that make the same would delete each other's beginnings.
    creating: Arc<Mutex<()>>,
}

impl Repositories {
    /// Opens the folder and ends deletions that an earlier engine began.
    pub fn open(config: &RepositoriesConfig) -> Result<Self, io::Error> {
        fs::create_dir_all(&config.folder)?;
        fs::set_permissions(&config.folder, fs::Permissions::from_mode(0o711))?;
        for entry in fs::read_dir(&config.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if ["gone-", "new-"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let config = Arc::new(config.clone());
        let (children, housekeepers) = (Semaphore::new(CHILDREN), Semaphore::new(HOUSEKEEPERS));
        Ok(Self { config, children: children.into(), housekeepers: housekeepers.into(), creating: Arc::default() })
    }

    /// Makes an empty repository, if the app has none. It appears whole or not at all.
    pub async fn create(&self, app: AppId) -> Result<(), Refusal> {
        let target = self.path(app);
        if target.exists() {
            return Ok(());
        }
        let _alone = self.creating.lock().await;
        if target.exists() {
            return Ok(());
        }
        let fresh = self.config.folder.join(format!("new-{app}"));
        make_folder(&fresh, self.config.uid, self.config.gid).map_err(failed("make a repository"))?;
        let mut command = self.git(&fresh);
        // No template: it would bring sample hooks.
        command.args(["init", "--quiet", "--bare", "--initial-branch=main", "--template=", "."]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = self.wait(&self.housekeepers, command, &fresh, vec![], self.largest_input()).await?;
        if status != 0 {
            return Err(Refusal::Failed(format!("git init ended with {status}")));
        }
        lasting::everything(fresh.clone()).await.map_err(failed("make a repository last"))?;
        match fs::rename(&fresh, &target) {
            Err(_) if target.exists() => Ok(()),
            done => {
                done.and_then(|()| lasting::folder(&self.config.folder)).map_err(failed("put a repository in place"))
            }
        }
    }

    /// Deletes an app's repository, if it has one.
    pub async fn remove(&self, app: AppId) -> Result<(), Refusal> {
        let gone = self.config.folder.join(format!("gone-{app}"));
        match fs::rename(self.path(app), &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => done.map_err(failed("remove a repository"))?,
        }
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(gone)).await;
        removed.map_err(io::Error::other).flatten().map_err(failed("remove a repository"))
    }

    /// Runs one side of git's protocol on an app's repository and answers its exit status, as a shell tells it.
    /// `fds` are standard input, output and error, and for [`GitService::Receive`] what the hook finds as 3 and 4.
    pub async fn run(
        &self,
        app: AppId,
        service: GitService,
        protocol: Option<String>,
        fds: Vec<OwnedFd>,
    ) -> Result<i32, Refusal> {
        let repository = self.path(app);
        if !repository.is_dir() {
            return Err(Refusal::NotFound(format!("repository of app {app}")));
        }
        let (standard, hook) = descriptors(service, fds)?;
        let mut command = self.git(&repository);
        command.args(arguments(service));
        if let Some(protocol) = protocol.filter(|protocol| ["version=1", "version=2"].contains(&protocol.as_str())) {
            command.env("GIT_PROTOCOL", protocol);
        }
        let [stdin, stdout, stderr] = standard;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let status = self.wait(&self.children, command, &repository, hook, self.largest_input()).await?;
        if service == GitService::Receive && status == 0 {
            lasting::folders(repository).await.map_err(failed("make a push last"))?;
            crashpoints::reach(Point::EngineGitEnded);
        }
        Ok(status)
    }

    fn path(&self, app: AppId) -> PathBuf {
        self.config.folder.join(format!("{app}.git"))
    }

    /// Git in `repository`, told everything that a config could tell it otherwise.
    fn git(&self, repository: &Path) -> std::process::Command {
        let mut command = std::process::Command::new(&self.config.git);
        command.env_clear().current_dir(repository);
        let environment = [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C.UTF-8"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CEILING_DIRECTORIES", "/"),
        ];
        command.envs(environment);
        let mut hooks = std::ffi::OsString::from("core.hooksPath=");
        hooks.push(&self.config.hooks);
        command.arg("-c").arg(hooks);
        command.arg("-c").arg(format!("receive.maxInputSize={}", self.config.max_input_bytes));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
    }

    async fn wait(
        &self,
        places: &Semaphore,
        mut command: std::process::Command,
        repository: &Path,
        hook: Vec<(OwnedFd, i32)>,
        largest_file: u64,
    ) -> Result<i32, Refusal> {
        let _place = places.acquire().await.map_err(|error| Refusal::Failed(error.to_string()))?;
        let descriptors = confine(&mut command, self.confinement(repository, hook, largest_file));
        let descriptors = descriptors.map_err(|error| Refusal::Failed(error.to_string()))?;
        let mut command = Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().map_err(failed("start git"))?;
        // The command holds our ends of the child's descriptors; while they are open, nobody sees the child's end.
        drop((command, descriptors));
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) => status.map(as_shell).map_err(failed("wait for git")),
            Err(_) => Err(Refusal::Failed("git took too long".to_owned())),
        }
    }

    /// The largest file that may come of what a client sends.
    fn largest_input(&self) -> u64 {
        self.config.max_input_bytes.saturating_add(FILE_SLACK)
    }

    fn confinement(&self, repository: &Path, fds: Vec<(OwnedFd, i32)>, largest_file: u64) -> Confinement {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let mut read = paths(&["/usr", "/bin", "/lib", "/lib64", "/dev/urandom"]);
        read.extend(paths(&["/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime"]));
        read.extend([self.config.git.clone(), self.config.hooks.clone(), self.config.hook_program.clone()]);
        let write = vec![repository.to_owned(), PathBuf::from("/dev/null")];
        let limits = vec![
            (Resource::As, MEMORY),
            (Resource::Core, 0),
            (Resource::Fsize, largest_file),
            (Resource::Nofile, 1024),
            (Resource::Nproc, 1024),
        ];
        let (uid, gid) = (self.config.uid, self.config.gid);
        Confinement { uid, gid, no_network: true, limits, files: Some(Files { read, write }), fds }
    }
}

/// What is the same for every repository. On the command line, where nothing in a repository overrules it.
const SETTINGS: [&str; 17] = [
    // Malformed objects and hostile trees (`.git` in disguise, `..`, `.gitmodules` tricks) are refused.
    "transfer.fsckObjects=true",
    "receive.fsckObjects=true",
    // The branch that HEAD names may be deleted as any other: there is no work tree to hurt.
    "receive.denyDeleteCurrent=ignore",
    // Housekeeping is the engine's affair and must not run inside a push.
    "receive.autogc=false",
    "gc.auto=0",
    "maintenance.auto=false",
    // Git never reaches for another repository, and runs nothing that a repository names.
    "protocol.allow=never",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "uploadpack.allowFilter=false",
    // The owner is checked by us; git sees the folder above as foreign.
    "safe.directory=*",
    "core.logAllRefUpdates=false",
    // What git wrote is on the disk before it says so; by itself it syncs neither loose objects nor references. Folders
    // are ours to sync: see `lasting`.
    "core.fsync=committed,loose-object,reference",
    "core.fsyncMethod=batch",
    // Bounds memory: one thread, small windows, large files in streams.
    "pack.threads=1",
    "pack.windowMemory=64m",
    "core.bigFileThreshold=16m",
];

fn arguments(service: GitService) -> [&'static str; 3] {
    match service {
        GitService::AdvertiseUpload => ["upload-pack", "--http-backend-info-refs", "."],
        GitService::Upload => ["upload-pack", "--stateless-rpc", "."],
        GitService::AdvertiseReceive => ["receive-pack", "--http-backend-info-refs", "."],
        GitService::Receive => ["receive-pack", "--stateless-rpc", "."],
    }
}

type Descriptors = ([OwnedFd; 3], Vec<(OwnedFd, i32)>);

fn descriptors(service: GitService, mut fds: Vec<OwnedFd>) -> Result<Descriptors, Refusal> {
    let wanted = if service == GitService::Receive { 5 } else { 3 };
    if fds.len() != wanted {
        return Err(Refusal::Invalid(format!("{} descriptors for git instead of {wanted}", fds.len())));
    }
    let hook = fds.split_off(3).into_iter().zip(3..).collect();
    let standard = fds.try_into().map_err(|_| Refusal::Invalid("descriptors for git are missing".to_owned()))?;
    Ok((standard, hook))
}

fn make_folder(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    fs::DirBuilder::new().mode(0o700).create(path)?;
    std::os::unix::fs::chown(path, Some(uid), Some(gid))
}

fn as_shell(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn failed(attempted: &'static str) -> impl Fn(io::Error) -> Refusal {
    move |error| Refusal::Failed(format!("could not {attempted}: {error}"))
}
