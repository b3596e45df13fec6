//! Under a constant 200 requests a second, with and without keep-alive, none fails.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Client, Failure, Load, Report, Repository, ensure};

use super::commands::until;

pub fn nothing_is_lost_while_the_app_changes(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    under_load(client, &app, "a deploy", || {
        repository.write("VERSION", "two\n")?;
        repository.commit("second")?;
        repository.push()?.good()?;
        serves(client, &app, "\"version\": \"two\"")
    })?;
    under_load(client, &app, "a config change", || {
        repository.heroku(&["config:set", "GREETING=Moin"])?.good()?;
        serves(client, &app, "Moin")
    })?;
    under_load(client, &app, "scaling up and down", || {
        repository.heroku(&["ps:scale", "web=3"])?.good()?;
        until("web.3 is up", || shows(&repository, |listed| listed.contains("web.3: up")))?;
        repository.heroku(&["ps:scale", "web=1"])?.good()?;
        until("one web dyno is left", || shows(&repository, |listed| !listed.contains("web.2")))
    })?;
    under_load(client, &app, "a rollback", || {
        repository.heroku(&["rollback", "v3"])?.good()?;
        serves(client, &app, "\"version\": \"1\"")
    })?;
    under_load(client, &app, "a restart", || {
        let before = client.get(&app, "/")?.header("x-boot").map(str::to_owned);
        repository.heroku(&["ps:restart"])?.good()?;
        client.get_until(&app, "/", |response| response.header("x-boot").map(str::to_owned) != before)?;
        Ok(())
    })
}

pub fn an_app_is_reached_over_tls(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    let encrypted = |name: &str| {
        let address = client.address();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
        curl.args(["--cacert", client.export("CURL_CA_BUNDLE")?.as_str()]);
        curl.args(["--resolve", &format!("{name}.localhost:{}:{}", address.port(), address.ip())]);
        e2e::run(curl.arg(format!("https://{name}.localhost:{}/", address.port())))
    };
    ensure!(encrypted(&app)?.good()?.stdout.contains("\"version\": \"1\""), "another answer over TLS");
    let stranger = encrypted("no-such-app")?.bad()?;
    ensure!(stranger.stderr.contains("subject name"), "a host without an app has a certificate: {}", stranger.both());
    repository.heroku(&["apps:rename", &format!("{app}-x")])?.good()?;
    encrypted(&format!("{app}-x"))?.good()?;
    Ok(())
}

pub fn nothing_is_lost_while_roles_die(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    let before = client.get(&app, "/")?.header("x-boot").map(str::to_owned);
    for role in ["control", "engine"] {
        under_load(client, &app, &format!("kill -9 of {role}"), || {
            client.platform.kill(role)?;
            thread::sleep(Duration::from_secs(1));
            until("the platform works again", || shows(&repository, |listed| listed.contains("web.1: up")))
        })?;
    }
    let load = Load::start(client.address(), &format!("{app}.localhost"));
    thread::sleep(Duration::from_secs(1));
    client.platform.kill("router")?;
    thread::sleep(Duration::from_secs(2));
    let report = load.finish();
    // What the dead process held is lost: at most one request of each of the eight connections.
    ensure!(report.failed.len() <= 8, "kill -9 of the router lost more than it held: {}", told(&report));
    ensure!(report.good > 300, "too few requests went through: {}", told(&report));
    let after = client.get(&app, "/")?.header("x-boot").map(str::to_owned);
    ensure!(before == after, "a role's death restarted a dyno");
    Ok(())
}

fn serves(client: &Client, app: &str, text: &str) -> Result<(), Failure> {
    client.get_until(app, "/", |response| response.text().contains(text)).map(drop)
}

fn shows(repository: &Repository, good: impl Fn(&str) -> bool) -> Result<bool, Failure> {
    Ok(good(&repository.heroku(&["ps"])?.good()?.stdout))
}

/// Acts while the load runs, and for a second before and after.
fn under_load(
    client: &Client,
    app: &str,
    what: &str,
    act: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    client.get_until(app, "/", |response| response.status == 200)?;
    let begun = Instant::now();
    let load = Load::start(client.address(), &format!("{app}.localhost"));
    thread::sleep(Duration::from_secs(1));
    let acted = act();
    thread::sleep(Duration::from_secs(1));
    let report = load.finish();
    acted?;
    ensure!(report.failed.is_empty(), "lost during {what}: {}", told(&report));
    let rate = f64::from(u32::try_from(report.good)?) / begun.elapsed().as_secs_f64();
    ensure!(rate > 100.0, "only {rate:.0} requests a second during {what}");
    println!("  {what}: {} requests, none lost", report.good);
    Ok(())
}

fn told(report: &Report) -> String {
    let some: Vec<&str> = report.failed.iter().take(10).map(String::as_str).collect();
    format!("{} of {} failed:\n{}", report.failed.len(), report.good, some.join("\n"))
}
