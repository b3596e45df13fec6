//! A user of the platform: a home of their own, the official command, git.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Response, request};
use crate::{Failure, Output, Platform, Terminal, run};

/// A user; their home is deleted with them.
#[derive(Debug)]
pub struct Client<'a> {
    /// The platform they use.
    pub platform: &'a Platform,
    home: TempDir,
    /// The key of somebody who is not the administrator.
    key: Option<String>,
    /// What an agent exports on another machine; nothing for somebody on the platform's own.
    elsewhere: Option<Vec<(String, String)>>,
    /// Their password.
    password: Option<String>,
}

/// A folder with an app in it, under git.
#[derive(Debug)]
pub struct Repository<'a> {
    client: &'a Client<'a>,
    folder: PathBuf,
}

impl<'a> Client<'a> {
    /// A user with an empty home.
    pub fn new(platform: &'a Platform) -> Result<Self, Failure> {
        Ok(Self { platform, home: platform.scratch()?, key: None, password: None, elsewhere: None })
    }

    /// Leaves their home, to come back to it once the platform was started again.
    pub fn leave(self) -> TempDir {
        self.home
    }

    /// The administrator, back in a home.
    pub fn back(platform: &'a Platform, home: TempDir) -> Self {
        Self { platform, home, key: None, password: None, elsewhere: None }
    }

    /// Somebody new, with an account and a home of their own.
    pub fn somebody(&self, email: &str) -> Result<Self, Failure> {
        let told = self.platform.slipway(&["users", "add", email])?.good()?.stdout;
        let password = told.lines().find_map(|line| line.strip_prefix("password: ")).map(str::to_owned);
        let key = self.platform.slipway(&["users", "token", email])?.good()?.stdout.trim().to_owned();
        Ok(Self { platform: self.platform, home: self.platform.scratch()?, key: Some(key), password, elsewhere: None })
    }

    /// Somebody with an account on another machine, which reaches the platform over no loopback. Nothing is exported
    /// there before [`Client::exports_from`].
    pub fn elsewhere(&self, email: &str) -> Result<Self, Failure> {
        Ok(Self { elsewhere: Some(Vec::new()), ..self.somebody(email)? })
    }

    /// Takes the exports that a subcommand prints, as `eval` does.
    pub fn exports_from(&mut self, printed: &str) {
        self.elsewhere = Some(crate::platform::exports_in(printed));
    }

    /// `slipway` as this user runs it.
    pub fn slipway(&self, arguments: &[&str]) -> Result<Command, Failure> {
        let mut command = self.command(crate::platform::program()?);
        command.args(arguments);
        Ok(command)
    }

    /// The user's home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The same user by another key, with a home of its own.
    pub fn with_key(&self, key: &str) -> Result<Self, Failure> {
        Ok(Self {
            platform: self.platform,
            home: self.platform.scratch()?,
            key: Some(key.to_owned()),
            password: None,
            elsewhere: None,
        })
    }

    /// A command in the user's environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match self.elsewhere {
            Some(_) => self.platform.outside().command(program),
            None => Command::new(program),
        };
        let bin = self.platform.cli().parent().unwrap_or(Path::new("/"));
        command.env_clear().current_dir(self.home.path());
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:{}", bin.display(), node_folder()));
        command.env("HOME", self.home.path()).env("LANG", "C.UTF-8").env("GIT_TERMINAL_PROMPT", "0");
        // The lockfile decides its version; an update would also go on after the test has ended.
        command.env("HEROKU_DISABLE_AUTOUPDATE", "true");
        let exports = self.elsewhere.as_deref().unwrap_or(self.platform.exports());
        command.envs(exports.iter().cloned());
        command.envs(self.key.iter().map(|key| ("HEROKU_API_KEY", key)));
        command
    }

    /// Runs the official command.
    pub fn heroku(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let output = run(self.command(self.platform.cli()).args(arguments))?;
        self.platform.ran(arguments, &output);
        Ok(output)
    }

    /// Runs the official command in a shell that did `eval "$(slipway env)"`, as this user. Those subcommands for which
    /// the platform stands in for a proxy go past the witness, which knows no `CONNECT`.
    pub fn heroku_in_shell(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let listen = self.address().to_string();
        let printed = self.platform.slipway(&["env", "--listen", &listen])?.good()?.stdout;
        let mut shell = self.command("sh");
        let script = "KEY=$HEROKU_API_KEY; eval \"$1\"; export HEROKU_API_KEY=\"$KEY\"; shift; heroku \"$@\"";
        shell.args(["-c", script, "sh", &printed]).args(arguments);
        let output = run(&mut shell)?;
        self.platform.ran(arguments, &output);
        Ok(output)
    }

    /// Runs the official command as whoever logged in with it, without the administrator's key.
    pub fn logged_in(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let output = run(self.command(self.platform.cli()).args(arguments).env_remove("HEROKU_API_KEY"))?;
        self.platform.ran(arguments, &output);
        Ok(output)
    }

    /// Starts a command at a terminal, without the administrator's key; `words` hold nothing a shell would act on.
    pub fn at_terminal(&self, words: &str) -> Result<Terminal<'_>, Failure> {
        let mut script = self.command("script");
        script.env_remove("HEROKU_API_KEY").env("TERM", "xterm");
        Terminal::start(self.platform, script, words)
    }

    /// Asks an app for a path.
    pub fn get(&self, app: &str, path: &str) -> Result<Response, Failure> {
        Ok(request(self.address(), "GET", &host(app), path, &[], &[])?)
    }

    /// Where the platform listens.
    pub fn address(&self) -> SocketAddr {
        self.platform.address()
    }

    /// Asks the platform's API with the user's key, which is the administrator's if they have none of their own; to
    /// delete something with their password, too, as the end of an account wants it.
    pub fn api(&self, method: &str, path: &str, body: &str) -> Result<Response, Failure> {
        let key = self.key.clone().map_or_else(|| self.export("HEROKU_API_KEY"), Ok)?;
        let bearer = format!("Bearer {key}");
        let accept = "application/vnd.heroku+json; version=3";
        let mut headers = vec![("Authorization", bearer.as_str()), ("Accept", accept)];
        headers.push(("Content-Type", "application/json"));
        if let (Some(password), "DELETE") = (&self.password, method) {
            headers.push(("Heroku-Password", password));
        }
        Ok(request(self.platform.witness().address(), method, "localhost", path, &headers, body.as_bytes())?)
    }

    /// Asks the API as [`Client::api`] does, and holds the answer's status. Answers its JSON; null if it has none.
    pub fn asked(&self, method: &str, path: &str, body: &Value, status: u16) -> Result<Value, Failure> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.api(method, path, &body)?;
        if answer.status != status {
            return Err(format!("{method} {path}: {} and not {status}: {}", answer.status, answer.text()).into());
        }
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// As [`Client::asked`], by GET, of something there is.
    pub fn read(&self, path: &str) -> Result<Value, Failure> {
        self.asked("GET", path, &Value::Null, 200)
    }

    /// One of the exports of `slipway env`.
    pub fn export(&self, name: &str) -> Result<String, Failure> {
        let found = self.platform.exports().iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| format!("slipway env exports no {name}").into())
    }

    /// Asks again until an answer satisfies, for at most 30 s.
    pub fn get_until(&self, app: &str, path: &str, good: impl Fn(&Response) -> bool) -> Result<Response, Failure> {
        let begun = Instant::now();
        loop {
            let response = self.get(app, path)?;
            if good(&response) {
                return Ok(response);
            }
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(format!("no good answer in 30 s; the last: {} {}", response.status, response.text()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Copies one of the examples into a repository of this user, with one commit on `main`.
    pub fn repository(&'a self, example: &str) -> Result<Repository<'a>, Failure> {
        self.repository_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example), example)
    }

    fn repository_of(&'a self, from: &Path, example: &str) -> Result<Repository<'a>, Failure> {
        let folder = self.home.path().join(format!("{example}-{}", fs::read_dir(self.home.path())?.count()));
        run(Command::new("cp").arg("-r").arg(from).arg(&folder))?.good()?;
        let repository = Repository { client: self, folder };
        repository.git(&["init", "--quiet", "--initial-branch", "main"])?.good()?;
        repository.commit("first")?;
        Ok(repository)
    }

    /// A repository in a home they came back to.
    pub fn kept(&'a self, folder: &Path) -> Repository<'a> {
        Repository { client: self, folder: folder.to_owned() }
    }

    /// Makes an app and pushes an example to it. Answers its repository and name.
    pub fn deploy(&'a self, example: &str) -> Result<(Repository<'a>, String), Failure> {
        let repository = self.repository(example)?;
        let app = repository.create()?;
        repository.push()?.good()?;
        Ok((repository, app))
    }

    /// Copies one of the suite's own apps into a repository of this user, with one commit on `main`.
    pub fn repository_of_app(&'a self, name: &str) -> Result<Repository<'a>, Failure> {
        self.repository_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("apps").join(name), name)
    }

    /// Makes an app and pushes one of the suite's own apps to it. Answers its name.
    pub fn deploy_app(&self, name: &str) -> Result<String, Failure> {
        let repository = self.repository_of_app(name)?;
        let app = repository.create()?;
        repository.push()?.good()?;
        Ok(app)
    }
}

impl Repository<'_> {
    /// Runs git in it.
    pub fn git(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        run(self.client.command("git").current_dir(&self.folder).args(identity).args(arguments))
    }

    /// Runs the official command in it, so that it finds the app by the remote.
    pub fn heroku(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let platform = self.client.platform;
        let output = run(self.client.command(platform.cli()).current_dir(&self.folder).args(arguments))?;
        platform.ran(arguments, &output);
        Ok(output)
    }

    /// As [`Repository::heroku`], with more in its environment.
    pub fn heroku_with(&self, env: &[(&str, &Path)], arguments: &[&str]) -> Result<Output, Failure> {
        let output = run(self.command().envs(env.iter().copied()).args(arguments))?;
        self.client.platform.ran(arguments, &output);
        Ok(output)
    }

    /// A small program that commands can be told to start.
    pub fn program(&self, name: &str, script: &str) -> Result<PathBuf, Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.client.home.path().join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Starts a shell's line at a terminal, in it and with the administrator's key.
    pub fn at_terminal(&self, line: &str) -> Result<Terminal<'_>, Failure> {
        let mut script = self.client.command("script");
        script.current_dir(&self.folder).env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
        Terminal::start(self.client.platform, script, line)
    }

    /// The official command in it, to be started by whoever asks.
    pub fn command(&self) -> Command {
        let mut command = self.client.command(self.client.platform.cli());
        command.current_dir(&self.folder);
        command
    }

    /// Commits all changes.
    pub fn commit(&self, message: &str) -> Result<(), Failure> {
        self.git(&["add", "--all"])?.good()?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?.good()?;
        Ok(())
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        Ok(fs::write(path, text)?)
    }

    /// `heroku create`; the app's name.
    pub fn create(&self) -> Result<String, Failure> {
        self.heroku(&["create"])?.good()?;
        let remote = self.git(&["remote", "get-url", "heroku"])?.good()?.stdout;
        let name = remote.trim().rsplit('/').next().and_then(|last| last.strip_suffix(".git"));
        Ok(name.ok_or_else(|| format!("a strange remote: {remote}"))?.to_owned())
    }

    /// `git push heroku main`.
    pub fn push(&self) -> Result<Output, Failure> {
        self.git(&["push", "heroku", "main"])
    }

    /// Begins `git push heroku main`, for a push that is not to end by itself.
    pub fn begin_push(&self) -> Result<Child, Failure> {
        let mut command = self.client.command("git");
        command.current_dir(&self.folder).args(["push", "heroku", "main"]);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The host of an app.
pub(crate) fn host(app: &str) -> String {
    format!("{app}.localhost")
}

/// Installs the official command by its lockfile, once per lockfile; answers the program.
pub(crate) fn install_cli() -> Result<PathBuf, Failure> {
    use sha2::Digest as _;
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("cli");
    let hash = sha2::Sha256::digest(fs::read(lock.join("package-lock.json"))?);
    let name = u64::from_be_bytes(*hash.first_chunk().ok_or("a hash has 32 bytes")?).to_string();
    let cache = std::env::var("SLIPWAY_CACHE").unwrap_or_else(|_| "/var/cache/slipway".to_owned());
    let folder = Path::new(&cache).join("cli").join(name);
    let program = folder.join("node_modules/.bin/heroku");
    if !folder.join("complete").exists() {
        fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(lock.join(file), folder.join(file))?;
        }
        println!("installing the official command from the npm registry (once) ...");
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?.good()?;
        fs::write(folder.join("complete"), "")?;
    }
    Ok(program)
}

/// Where node lies on this machine, if not in the usual folders.
fn node_folder() -> String {
    std::env::var("PATH")
        .unwrap_or_default()
        .split(':')
        .find(|folder| Path::new(folder).join("node").exists())
        .unwrap_or("/usr/bin")
        .to_owned()
}
