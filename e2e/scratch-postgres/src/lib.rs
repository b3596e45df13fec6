//! A real PostgreSQL for tests: a server of its own in a scratch folder, reached by a unix socket there and by no port,
//! gone with the value that stands for it, or with the test program however that ends.
//!
//! The kernel kills the server with the program; a watcher that sees its end deletes the folder.
//!
//! PostgreSQL refuses to run as root; started by root it runs as the user `postgres`, which its package makes.

mod user;

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

/// How long a server may take to begin or to end on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    programs: PathBuf,
    running: Option<Child>,
    /// Deletes the folder when its standard input ends.
    watcher: Child,
}

/// The server that the tests of one program share; it ends with the program. Fails if there is no PostgreSQL here.
pub fn shared() -> io::Result<&'static Server> {
    static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
    let started = SHARED.get_or_init(|| Server::start().map_err(|error| error.to_string()));
    started.as_ref().map_err(|error| io::Error::other(error.clone()))
}

impl Server {
    /// Makes a cluster and starts a server on it.
    pub fn start() -> io::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("scratch-postgres-").tempdir()?;
        user::give(folder.path())?;
        let watcher = watch(folder.path())?;
        let mut server = Self { folder, programs, running: None, watcher };
        let data = server.data();
        let arguments = ["--auth=trust", "--username=slipway", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
        let made = server.command("initdb").arg("--pgdata").arg(&data).args(arguments).output()?;
        if !made.status.success() {
            return Err(io::Error::other(format!("initdb: {}", String::from_utf8_lossy(&made.stderr))));
        }
        server.begin()?;
        Ok(server)
    }

    /// The URL by which a schema's tables are reached. The schema has to be made: [`Server::run`].
    #[must_use]
    pub fn url(&self, schema: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://slipway@{folder}/postgres?options[search_path]={schema}")
    }

    /// Runs a statement as the superuser, from outside; answers what it prints, unaligned.
    pub fn run(&self, statement: &str) -> io::Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--username=slipway", "--dbname=postgres"])
            .args(["--variable=ON_ERROR_STOP=1", "--command", statement, "--host"])
            .arg(self.folder.path())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Everything a schema holds, as text.
    pub fn dump(&self, schema: &str) -> io::Result<String> {
        let output = Command::new(self.programs.join("pg_dump"))
            .args(["--username=slipway", "--dbname=postgres", "--schema", schema, "--host"])
            .arg(self.folder.path())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts the server that was stopped, and waits until it takes connections.
    pub fn begin(&mut self) -> io::Result<()> {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.folder.path().join("log"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=32MB"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running = Some(spawn_for_the_program(command)?);
        let begun = Instant::now();
        while let Err(error) = self.run("SELECT 1") {
            if begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL does not answer: {error}\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops the server: its clients are cut off, what they committed stays. `kill` is a crash.
    pub fn stop(&mut self, kill: bool) -> io::Result<()> {
        let Some(mut child) = self.running.take() else { return Ok(()) };
        if kill {
            // The whole group: the server's children would hold its memory a little longer.
            rustix::process::kill_process_group(rustix::process::Pid::from_child(&child), Signal::KILL)?;
        } else {
            // SIGINT is «fast»: it ends sessions and does not wait for them.
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT)?;
        }
        child.wait().map(|_| ())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = user::command(&self.programs.join(program));
        command.current_dir(self.folder.path()).process_group(0);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What fails here the kernel and the watcher do at the program's end.
        self.stop(true).unwrap_or_default();
        drop(self.watcher.stdin.take());
        self.watcher.wait().map(|_| ()).unwrap_or_default();
    }
}

/// Starts what deletes the folder once this program has ended, however it did.
fn watch(folder: &Path) -> io::Result<Child> {
    const SCRIPT: &str = r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$0" && exit; sleep 0.3; done"#;
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).arg(folder).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// A child that is killed with this program. The kernel ties it to the thread that starts it, and a test's thread ends
/// with the test: so this one is started by a thread that never does.
fn spawn_for_the_program(mut command: Command) -> io::Result<Child> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("scratch-postgres".to_owned()).spawn(move || {
        if tell.send(command.spawn()).is_ok() {
            loop {
                std::thread::park();
            }
        }
    })?;
    told.recv().map_err(io::Error::other)?
}

/// The folder of the newest PostgreSQL of this machine.
fn programs() -> io::Result<PathBuf> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no PostgreSQL here: install the package postgresql");
    let installed = std::fs::read_dir("/usr/lib/postgresql").map_err(|_| missing())?;
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut folders: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter_map(|path| version(&path).map(|version| (version, path.join("bin"))))
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    folders.sort();
    folders.pop().map(|(_, path)| path).ok_or_else(missing)
}
