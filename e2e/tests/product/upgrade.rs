//! `slipway upgrade`: another program takes over, and nobody who uses the platform notices.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use e2e::{Client, Failure, Load, ensure};

use super::commands::until;

pub fn an_upgrade_loses_nothing(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    let boot = client.get_until(&app, "/", |response| response.status == 200)?.header("x-boot").map(str::to_owned);
    let mut shell = repository.at_terminal("heroku run bash")?;
    shell.wait_for("$ ")?;
    let seen = repository.folder().join("tail");
    let mut command = repository.command();
    let mut tail = command.args(["logs", "--tail"]).stdin(Stdio::null()).stdout(File::create(&seen)?).spawn()?;
    let tells = |path: &str| {
        client.get(&app, path)?;
        until(&format!("the tail shows {path}"), || Ok(fs::read_to_string(&seen)?.contains(path)))
    };
    tells("/before")?;

    let (before, other) = (running(client)?, e2e::another_build(client.platform)?);
    let settings = settings(client)?;
    let load = Load::start(client.address(), &format!("{app}.localhost"));
    thread::sleep(Duration::from_secs(1));
    let upgraded = client.platform.slipway(&["upgrade", "--binary", &other.display().to_string()]);
    thread::sleep(Duration::from_secs(2));
    let report = load.finish();
    let said = upgraded?.good()?.both();
    ensure!(
        report.failed.is_empty(),
        "lost in an upgrade: {} of {}: {:?}",
        report.failed.len(),
        report.good,
        report.failed
    );
    ensure!(report.good > 300, "only {} requests went through: {said}", report.good);
    println!("  an upgrade: {} requests, none lost", report.good);

    let after = running(client)?;
    ensure!(after.iter().all(|program| *program == other), "it runs {after:?}, not {}: {said}", other.display());
    ensure!(before != after, "the same program runs as before");
    // Most of them are given by flags, which no default would make up for.
    ensure!(self::settings(client)? == settings, "the new program goes by other settings");
    shell.enter("echo still $((40 + 2))")?;
    shell.wait_for("still 42")?;
    tells("/after")?;
    shell.enter("exit")?;
    shell.end()?.good()?;
    tail.kill()?;
    tail.wait()?;
    let now = client.get(&app, "/")?.header("x-boot").map(str::to_owned);
    ensure!(boot == now, "the upgrade restarted a dyno");
    repository.write("VERSION", "upgraded\n")?;
    repository.commit("behind the upgrade")?;
    repository.push()?.good()?;
    client.get_until(&app, "/", |response| response.text().contains("upgraded")).map(drop)
}

pub fn an_upgrade_that_fails_changes_nothing(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    let (before, good) = (running(client)?, e2e::another_build(client.platform)?);
    let scratch = client.platform.scratch()?;
    let through = format!("exec '{}' \"$@\"", good.display());
    // As a later version's migration would: control could not open this record, did it not know that steps only add.
    let later = "ALTER TABLE apps ADD COLUMN later TEXT; INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, \
                 success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    let migrate = format!("sqlite3 '{}' \"{later}\"", client.platform.data().join("store/slipway.db").display());
    for (words, told) in [
        // No program at all, one that is not ours, and ours: whose role does not start, whose control migrates the record
        // and does not start, and which dies as a supervisor before it says a word.
        ("nonsense".to_owned(), "cannot be run"),
        ("#!/bin/sh\necho no >&2\nexit 1\n".to_owned(), "its check failed: no"),
        (format!("#!/bin/sh\n[ \"$1\" = role ] && exit 1\n{through}\n"), "its engine does not start"),
        (
            format!("#!/bin/sh\n[ \"$1 $2\" = 'role control' ] && {{ {migrate}; exit 1; }}\n{through}\n"),
            "its control does not start",
        ),
        (format!("#!/bin/sh\n[ \"$1\" = up ] && kill -9 $$\n{through}\n"), "ended while it took over"),
    ] {
        let program = scratch.path().join("slipway");
        fs::write(&program, words)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        let load = Load::start(client.address(), &format!("{app}.localhost"));
        let failed = client.platform.slipway(&["upgrade", "--binary", &program.display().to_string()])?.bad()?;
        thread::sleep(Duration::from_secs(1));
        let report = load.finish();
        ensure!(failed.stderr.contains(told), "{told:?} is missing: {}", failed.both());
        ensure!(report.failed.is_empty() && report.good > 50, "a failed upgrade lost requests: {report:?}");
        ensure!(running(client)? == before, "it runs {:?} behind a failed upgrade", running(client)?);
        until("the platform works again", || Ok(repository.heroku(&["ps"])?.stdout.contains("web.1: up")))?;
    }
    let steps = "SELECT count(*) FROM _sqlx_migrations WHERE version = 9999";
    let record = client.platform.data().join("store/slipway.db");
    let taken = e2e::run(Command::new("sqlite3").arg(record).arg(steps))?.good()?.stdout;
    ensure!(taken.trim() == "1", "no later migration was gone back from: {taken}");
    // A supervisor that was a guard goes on as any other: the next upgrade is asked of it.
    let supervisor = client.platform.current_supervisor()?;
    ensure!(supervisor != client.platform.supervisor(), "the guard did not take over");
    Ok(())
}

/// What the roles go by.
fn settings(client: &Client) -> Result<serde_json::Value, Failure> {
    Ok(serde_json::from_slice(&fs::read(format!("/run/slipway-{}/settings.json", client.platform.install()?))?)?)
}

/// The programs that supervisor, engine, control and router run.
fn running(client: &Client) -> Result<Vec<PathBuf>, Failure> {
    let platform = client.platform;
    let (supervisor, copy) = (platform.current_supervisor()?, platform.data().join("bin/slipway"));
    // A router that retires runs beside the one that is written down.
    let written = fs::read(format!("/run/slipway-{}/router.json", platform.install()?))?;
    let router = serde_json::from_slice::<serde_json::Value>(&written)?["pid"].as_i64().ok_or("no router")?;
    let others = [platform.role("engine"), platform.role("control"), Ok(i32::try_from(router)?)];
    let pids = [Ok(supervisor)].into_iter().chain(others);
    let programs: Result<Vec<PathBuf>, Failure> =
        pids.map(|pid| Ok(fs::read_link(format!("/proc/{}/exe", pid?))?)).collect();
    // Control may run the copy that its user can come to: what counts is whose.
    let supervisor_runs = fs::read_link(format!("/proc/{supervisor}/exe"))?;
    Ok(programs?
        .into_iter()
        .map(|program| if is_copy(&program, &copy) { supervisor_runs.clone() } else { program })
        .collect())
}

fn is_copy(program: &Path, copy: &Path) -> bool {
    program.to_string_lossy().trim_end_matches(" (deleted)") == copy.to_string_lossy()
}
