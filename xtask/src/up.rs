//! `make up`: the platform in the background, and a first app on it. Run again, it changes nothing that is right.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long the platform may take to come up once it is started; the first time it builds the stack images.
const LIMIT: Duration = Duration::from_mins(30);
/// How long an older supervisor may take to end.
const PATIENCE: Duration = Duration::from_mins(1);
/// The app that is pushed.
const APP: &str = "hello";
/// Gives git the key without it standing in a file or an argument.
const CREDENTIAL: &str = r#"!printf 'username=heroku\npassword=%s\n' "$HEROKU_API_KEY" #"#;

type Exports = BTreeMap<String, String>;

/// Brings everything up and says what to do next.
pub(crate) fn up() -> Result<String, Vec<String>> {
    all().map_err(|failure| vec![failure])
}

fn all() -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let slipway = root.join("target/release/slipway");
    must(Command::new(&slipway).arg("doctor"))?;
    if is_running(&slipway) {
        crate::say("Slipway runs already");
    } else {
        start(&slipway)?;
    }
    let exports = exports(&slipway).ok_or("slipway env says nothing")?;
    let address = exports.get("HEROKU_HOST").ok_or("slipway env exports no HEROKU_HOST")?.clone();
    push(root, &exports, &address)?;
    Ok(next_steps(&slipway, &address))
}

/// Whether a supervisor of this very program serves; an older one is asked to end, its apps go on.
fn is_running(slipway: &Path) -> bool {
    let Some(pid) = supervisor(slipway) else { return false };
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    if program == slipway {
        return exports(slipway).is_some_and(|exports| answers(&exports));
    }
    if program.to_string_lossy().starts_with(&*slipway.to_string_lossy()) {
        crate::say("an older Slipway runs; its control and engine are replaced, its apps go on");
        end(pid);
    }
    false
}

/// Asks a process to end and waits until it did; `kill` is no program that every machine has.
fn end(pid: u32) {
    let asked = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let told =
        asked.is_some_and(|process| rustix::process::kill_process(process, rustix::process::Signal::TERM).is_ok());
    let begun = Instant::now();
    while told && Path::new(&format!("/proc/{pid}")).exists() && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
    }
}

/// The supervisor's process id, by the file it leaves beside its sockets.
fn supervisor(slipway: &Path) -> Option<u32> {
    let install = fs::read_to_string(data().join("install")).ok()?;
    let pid =
        fs::read_to_string(format!("/run/slipway-{}/supervisor.pid", install.trim())).ok()?.trim().parse().ok()?;
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    program.to_string_lossy().starts_with(&*slipway.to_string_lossy()).then_some(pid)
}

fn data() -> PathBuf {
    PathBuf::from(std::env::var("SLIPWAY_DATA").unwrap_or_else(|_| "/var/lib/slipway".to_owned()))
}

/// Starts it where it outlives this terminal: as a unit where systemd runs, else in a session of its own.
fn start(slipway: &Path) -> Result<(), String> {
    fs::create_dir_all(data()).map_err(|error| format!("cannot make {}: {error}", data().display()))?;
    let log_path = data().join("slipway.log");
    let log = fs::File::create(&log_path).map_err(|error| format!("cannot write {}: {error}", log_path.display()))?;
    // A pipe to a unit goes over the bus.
    let has_units = ["/run/systemd/system", "/run/dbus/system_bus_socket"].iter().all(|path| Path::new(path).exists());
    let mut command = if has_units { unit(slipway) } else { session(slipway) };
    let error_log = log.try_clone().map_err(|error| error.to_string())?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(error_log)
        .spawn()
        .map_err(|error| format!("cannot start slipway: {error}"))?;
    follow(&log_path, || matches!(child.try_wait(), Ok(Some(status)) if !status.success()))
}

fn session(slipway: &Path) -> Command {
    let mut command = Command::new("setsid");
    command.arg(slipway).arg("up");
    command
}

fn unit(slipway: &Path) -> Command {
    let mut command = Command::new("systemd-run");
    command.args(["--unit=slipway", "--collect", "--property=KillMode=process", "--pipe"]);
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("SLIPWAY_")) {
        command.arg(format!("--setenv={name}={value}"));
    }
    command.arg(slipway).arg("up");
    command
}

/// Prints what the platform writes until it is up.
fn follow(log: &Path, ended: impl FnMut() -> bool) -> Result<(), String> {
    let (begun, mut shown, mut ended) = (Instant::now(), 0, ended);
    loop {
        let over = ended();
        let text = fs::read_to_string(log).unwrap_or_default();
        if let Some(new) = text.get(shown..).filter(|new| new.ends_with('\n')) {
            crate::say(new.trim_end());
            shown = text.len();
        }
        if text.contains("is up at") {
            return Ok(());
        }
        if over || begun.elapsed() > LIMIT {
            return Err(format!("slipway up did not come up; {} says why", log.display()));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn exports(slipway: &Path) -> Option<Exports> {
    let output = Command::new(slipway).arg("env").output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    Some(lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect())
}

fn answers(exports: &Exports) -> bool {
    exports.get("HEROKU_HOST").is_some_and(|address| api(exports, "GET", &format!("{address}/account"), None).is_ok())
}

fn api(exports: &Exports, method: &str, url: &str, body: Option<&str>) -> Result<String, String> {
    let key = exports.get("HEROKU_API_KEY").map_or("", String::as_str);
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail-with-body", "--max-time", "30", "--request", method]);
    command.args([
        "--header",
        "Accept: application/vnd.heroku+json; version=3",
        "--header",
        &format!("Authorization: Bearer {key}"),
    ]);
    if let Some(body) = body {
        command.args(["--header", "Content-Type: application/json", "--data", body]);
    }
    let output = command.arg(url).output().map_err(|error| format!("curl: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// Makes the app if it is missing, and pushes the example to it.
fn push(root: &Path, exports: &Exports, address: &str) -> Result<(), String> {
    if api(exports, "GET", &format!("{address}/apps/{APP}"), None).is_err() {
        api(exports, "POST", &format!("{address}/apps"), Some(&format!("{{\"name\":\"{APP}\"}}")))
            .map_err(|told| format!("cannot create the app {APP}: {told}"))?;
    }
    let folder = data().join("first-app");
    if !folder.join(".git").exists() {
        must(Command::new("cp").arg("-r").arg(root.join("examples").join(APP)).arg(&folder))?;
        must(git(&folder, exports).args(["init", "--quiet", "--initial-branch", "main"]))?;
        must(git(&folder, exports).args(["add", "--all"]))?;
        must(git(&folder, exports).args(["commit", "--quiet", "--message", "A first app"]))?;
    }
    let remote = format!("{}/{APP}.git", address.replacen("http://", "https://", 1));
    must(git(&folder, exports).args(["push", &remote, "main"]))
}

fn git(folder: &Path, exports: &Exports) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).envs(exports).env("GIT_TERMINAL_PROMPT", "0");
    let credential = format!("credential.helper={CREDENTIAL}");
    command.args([
        "-c",
        "user.name=Slipway",
        "-c",
        "user.email=first-app@slipway.localhost",
        "-c",
        "credential.helper=",
        "-c",
        &credential,
    ]);
    command
}

fn must(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", command.get_program().to_string_lossy())),
        Err(error) => Err(format!("{}: {error}", command.get_program().to_string_lossy())),
    }
}

fn next_steps(slipway: &Path, address: &str) -> String {
    let port = address.rsplit(':').next().unwrap_or("5080");
    let slipway = slipway.display();
    format!(
        "\nYour first app: http://{APP}.localhost:{port}/\n\n\
         The heroku command here:    eval \"$({slipway} env)\"   then: heroku create, git push heroku main\n\
         (install it from the npm registry: npm install --global heroku)\n\
         Administrator and password: {}\n\
         Stop everything:            {slipway} down",
        data().join("keys/admin.json").display()
    )
}
