//! A platform for the tests: own data folder, own port, taken down when dropped.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::compatibility::Commands;
use crate::witness::Witness;
use crate::{Failure, Output, Outside};

/// How long `slipway up` may take, stack images included.
const START: Duration = Duration::from_mins(15);

/// A running platform.
#[derive(Debug)]
pub struct Platform {
    outside: Outside,
    folder: TempDir,
    supervisor: Child,
    flags: Vec<String>,
    /// The URL of its database, if it has one.
    database: Option<String>,
    /// How long its log was when it was started.
    told: u64,
    address: SocketAddr,
    witness: Witness,
    exports: Vec<(String, String)>,
    cli: PathBuf,
    commands: Commands,
    ran: Mutex<BTreeSet<String>>,
    /// Its install id.
    install: String,
    /// Whether it was taken down already.
    ended: bool,
}

impl Platform {
    /// Starts `slipway up` from the folder of this program and waits until it says that it is up.
    pub fn start() -> Result<Self, Failure> {
        Self::start_with(&[])
    }

    /// The same, with more flags of `slipway up`.
    pub fn start_with(flags: &[&str]) -> Result<Self, Failure> {
        Self::begin(flags, None, |_| Ok(()))
    }

    /// The same, with the record in the database of this URL.
    pub fn start_with_database(url: &str) -> Result<Self, Failure> {
        Self::begin(&[], Some(url), |_| Ok(()))
    }

    /// The same, with a data folder that is made by the caller: an empty disk, for instance.
    pub fn start_on(flags: &[&str], make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<Self, Failure> {
        Self::begin(flags, None, make)
    }

    fn begin(
        flags: &[&str],
        database: Option<&str>,
        make: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let cli = crate::client::install_cli()?;
        let commands = Commands::read(&cli)?;
        let folder = tempfile::Builder::new().prefix("slipway-e2e-").tempdir()?;
        // The platform's users pass through it to their own folders.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let outside = Outside::start(folder.path())?;
        make(&folder.path().join("data"))?;
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let supervisor = up(folder.path(), address, &outside, &flags, database)?;
        let witness = Witness::start(address)?;
        let mut platform = Self {
            outside,
            folder,
            supervisor,
            flags,
            database: database.map(str::to_owned),
            told: 0,
            address,
            witness,
            exports: Vec::new(),
            cli,
            commands,
            ran: Mutex::default(),
            install: String::new(),
            ended: false,
        };
        platform.wait_until_up()?;
        fs::read_to_string(platform.data().join("install"))?.trim().clone_into(&mut platform.install);
        platform.exports = platform.read_exports()?;
        Ok(platform)
    }

    /// Ends `slipway up` as Ctrl-C does; apps go on.
    pub fn interrupt(&mut self) -> Result<(), Failure> {
        crate::run(Command::new("kill").args(["-INT", &self.supervisor.id().to_string()]))?.good()?;
        self.supervisor.wait()?;
        // Control and engine end with it; whoever opens the record next must not meet them.
        crate::until("control ends with its supervisor", || Ok(self.role("control").is_err()))
    }

    /// Starts `slipway up` again, with this database if one is named; a failure if it ends before it is up.
    pub fn resume(&mut self, database: Option<&str>) -> Result<(), Failure> {
        self.database = database.map(str::to_owned);
        self.up_again()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is reached from outside: not the loopback.
    pub fn outer_address(&self) -> SocketAddr {
        (self.outside.gateway(), self.address.port()).into()
    }

    /// Who stands between the platform and those that use its API.
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    /// What `slipway env` exports, with the witness in the platform's place.
    pub fn exports(&self) -> &[(String, String)] {
        &self.exports
    }

    /// The official command.
    pub fn cli(&self) -> &Path {
        &self.cli
    }

    /// What commands the official command has.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Notes that the official command was run so, if it ended well.
    pub fn ran(&self, arguments: &[&str], output: &Output) {
        if let (true, Some(typed)) = (output.status.success(), arguments.first()) {
            let name = self.commands.named(typed).to_owned();
            self.ran.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
    }

    /// The commands that were run and ended well since the last call.
    pub(crate) fn take_ran(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.ran.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The world outside.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// A folder for what a scenario makes.
    pub fn scratch(&self) -> io::Result<TempDir> {
        tempfile::tempdir_in(self.folder.path())
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The process id of the supervisor.
    pub fn supervisor(&self) -> i32 {
        i32::try_from(self.supervisor.id()).unwrap_or_default()
    }

    /// The process id of the one that supervises now: after an upgrade that failed, another than was started.
    pub fn current_supervisor(&self) -> Result<i32, Failure> {
        Ok(fs::read_to_string(format!("/run/slipway-{}/supervisor.pid", self.install))?.trim().parse()?)
    }

    /// The process id of a role.
    pub fn role(&self, name: &str) -> Result<i32, Failure> {
        let install = &self.install;
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            let is_role =
                words.get(1).is_some_and(|word| word == "role") && words.get(2).is_some_and(|word| word == name);
            if is_role && words.get(3).is_some_and(|path| path.contains(install.as_str())) {
                return Ok(pid);
            }
        }
        Err(format!("no role {name} runs").into())
    }

    /// Runs `slipway` for this install, as its operator does.
    pub fn slipway(&self, arguments: &[&str]) -> Result<crate::Output, Failure> {
        crate::run(Command::new(program()?).args(arguments).arg("--data").arg(self.data()))
    }

    /// Runs `slipway` with these variables in its environment and nothing about this install.
    pub fn slipway_alone(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<crate::Output, Failure> {
        crate::run(Command::new(program()?).args(arguments).envs(environment.iter().copied()))
    }

    /// Ends a role's process at once.
    pub fn kill(&self, role: &str) -> Result<(), Failure> {
        let pid = self.role(role)?;
        crate::run(Command::new("kill").args(["-9", &pid.to_string()]))?.good()?;
        Ok(())
    }

    /// Starts `slipway up` once more, for a platform whose supervisor is dead, and waits until it says that it is up.
    pub fn up_again(&mut self) -> Result<(), Failure> {
        self.begin_again()?;
        self.wait_until_up()
    }

    /// The same, and waits for the end of it: it is one that dies on its way.
    pub fn up_and_die(&mut self) -> Result<std::process::ExitStatus, Failure> {
        self.begin_again()?;
        Ok(self.supervisor.wait()?)
    }

    fn begin_again(&mut self) -> Result<(), Failure> {
        self.supervisor.wait()?;
        self.told = fs::metadata(self.folder.path().join("slipway.log"))?.len();
        let database = self.database.as_deref();
        self.supervisor = up(self.folder.path(), self.address, &self.outside, &self.flags, database)?;
        Ok(())
    }

    /// Kills the supervisor alone; control and engine end with it, the router and the dynos go on.
    pub fn kill_supervisor(&mut self) -> Result<(), Failure> {
        self.supervisor.kill()?;
        self.supervisor.wait()?;
        Ok(())
    }

    /// Kills everything of it at once: supervisor, roles, the parents of instances and what they started.
    pub fn kill_everything(&mut self) -> Result<(), Failure> {
        // The supervisor first, so that it restarts nothing.
        self.kill_supervisor()?;
        self.kill_all_processes()
    }

    /// Switches the machine off, as far as this platform is concerned: its processes, its mounts and its folder on
    /// tmpfs are gone, and the data folder is not in use.
    pub fn power_off(&mut self) -> Result<(), Failure> {
        self.kill_everything()?;
        let run = format!("/run/slipway-{}", self.install);
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.starts_with(&run));
        for point in points.collect::<Vec<_>>().iter().rev() {
            crate::run(Command::new("umount").arg("--lazy").arg(point))?.good()?;
        }
        Ok(fs::remove_dir_all(run)?)
    }

    /// Kills every process of it. What starts meanwhile is found by the next look.
    pub fn kill_all_processes(&self) -> Result<(), Failure> {
        loop {
            let mut left = crate::held::processes_of(&self.install, &self.data())?;
            left.retain(|pid| !is_zombie(*pid));
            if left.is_empty() {
                return Ok(());
            }
            let pids = left.iter().map(ToString::to_string);
            // One may have ended meanwhile.
            crate::run(Command::new("kill").arg("-9").args(pids))?;
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it holds of the machine, and what half-made things lie in its folders.
    pub fn held(&self) -> Result<crate::Held, Failure> {
        crate::Held::look(&self.install()?, &self.data())
    }

    /// What the platform wrote about itself.
    pub fn log(&self) -> io::Result<String> {
        fs::read_to_string(self.folder.path().join("slipway.log"))
    }

    /// The last lines the platform wrote about itself.
    pub fn log_tail(&self) -> String {
        let text = self.log().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The install's id, which names everything of it outside the data folder.
    pub fn install(&self) -> io::Result<String> {
        Ok(self.install.clone())
    }

    /// `slipway down` for this platform, to be run or to be cut off.
    pub fn down(&self) -> Result<Command, Failure> {
        slipway("down", self.folder.path(), self.address)
    }

    /// Takes the platform down; a failure if that fails or anything of it is left on the machine.
    pub fn end(mut self) -> Result<(), Failure> {
        let install = self.install()?;
        self.take_down(&install)
    }

    /// The same for an install whose data folder may be gone.
    pub fn take_down(&mut self, install: &str) -> Result<(), Failure> {
        self.ended = true;
        crate::run(&mut self.down()?)?.good()?;
        self.supervisor.wait()?;
        let left = crate::leftovers(install, &self.data())?;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("after slipway down there is still\n{}", left.join("\n")).into())
        }
    }

    fn wait_until_up(&mut self) -> Result<(), Failure> {
        let log = self.folder.path().join("slipway.log");
        let begun = Instant::now();
        loop {
            let mut file = File::open(&log)?;
            file.seek(SeekFrom::Start(self.told))?;
            let up = BufReader::new(file).lines().map_while(Result::ok).any(|line| line.contains("is up at"));
            if up {
                return Ok(());
            }
            if let Some(status) = self.supervisor.try_wait()? {
                return Err(format!("slipway up ended with {status}:\n{}", self.log_tail()).into());
            }
            if begun.elapsed() > START {
                return Err(format!("slipway up was not up in time:\n{}", self.log_tail()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn read_exports(&self) -> Result<Vec<(String, String)>, Failure> {
        let output = crate::run(&mut slipway("env", self.folder.path(), self.address)?)?.good()?;
        let (platform, witness) = (self.address.to_string(), self.witness.address().to_string());
        let exports = exports_in(&output.stdout).into_iter();
        Ok(exports.map(|(name, value)| (name, value.replace(&platform, &witness))).collect())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let down = self.down().and_then(|mut down| crate::run(&mut down));
        match down.and_then(crate::Output::good) {
            Ok(_) => {}
            Err(failure) => println!("slipway down: {failure}"),
        }
        drop(self.supervisor.wait());
    }
}

/// The exports in what a subcommand says.
pub(crate) fn exports_in(text: &str) -> Vec<(String, String)> {
    let exports = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    exports.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

/// Whether a process has ended and only its parent has not noticed.
fn is_zombie(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z'))
}

fn up(
    folder: &Path,
    address: SocketAddr,
    outside: &Outside,
    flags: &[String],
    database: Option<&str>,
) -> Result<Child, Failure> {
    let log = File::options().append(true).create(true).open(folder.join("slipway.log"))?;
    let mut command = slipway("up", folder, address)?;
    command.arg("--listen").arg(SocketAddr::from((outside.gateway(), address.port())).to_string());
    command.arg("--egress-allow").arg(outside.allowed());
    command.args(flags).envs(database.map(|url| ("SLIPWAY_DATABASE_URL", url)));
    for range in egress()? {
        command.arg("--egress-allow").arg(range);
    }
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
}

fn slipway(subcommand: &str, folder: &Path, address: SocketAddr) -> Result<Command, Failure> {
    let mut command = Command::new(program()?);
    command.arg(subcommand).arg("--data").arg(folder.join("data")).arg("--listen").arg(address.to_string());
    command.args(["--boot-timeout", "10"]);
    Ok(command)
}

/// The program under test: the one `SLIPWAY_PROGRAM` names, or it lies beside this one, or, if this one is a test, beside
/// its folder.
pub fn program() -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os("SLIPWAY_PROGRAM") {
        return Ok(named.into());
    }
    let mine = std::env::current_exe()?;
    let mut programs = mine.ancestors().skip(1).take(2).map(|folder| folder.join("slipway"));
    programs.find(|program| program.is_file()).ok_or_else(|| "build `slipway` first: it is missing".into())
}

/// Where npm packages come from: a mirror inside a private network lies where an egress filter refuses everybody else.
fn egress() -> Result<Vec<String>, Failure> {
    let registry = crate::run(Command::new("npm").args(["config", "get", "registry"]))?.good()?.stdout;
    let (scheme, rest) = registry.trim().split_once("://").ok_or("npm is configured to no registry")?;
    let host = rest.split('/').next().unwrap_or_default();
    let port = if scheme == "https" { 443 } else { 80 };
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    let addresses = address.to_socket_addrs()?.filter(SocketAddr::is_ipv4);
    Ok(addresses.map(|address| format!("{}/32:{}", address.ip(), address.port())).collect())
}
