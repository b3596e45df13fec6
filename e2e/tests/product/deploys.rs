//! Pushes: each kind of app deploys, serves and redeploys; what fails leaves the old release serving and says why.

use std::fs;
use std::process::Command;

use e2e::{Client, Failure, Output, ensure};

use super::commands::until;

pub fn an_app_without_dependencies_goes_live(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    let app = repository.create()?;
    let pushed = repository.push()?.good()?;
    for line in
        ["remote: -----> Node.js app detected", "Discovering process types", "Released v3", "Verifying deploy", "done."]
    {
        ensure!(pushed.stderr.contains(line), "the push does not say «{line}»:\n{}", pushed.stderr);
    }
    let answer = client.get(&app, "/")?;
    ensure!(answer.status == 200, "right after the push: {} {}", answer.status, answer.text());
    let again = repository.push()?.good()?;
    ensure!(again.stderr.contains("up-to-date"), "a second push: {}", again.stderr);
    repository.write("VERSION", "two\n")?;
    repository.commit("second")?;
    repository.push()?.good()?;
    client.get_until(&app, "/", |response| response.text().contains("\"version\": \"two\""))?;
    Ok(())
}

pub fn a_node_app_with_dependencies_and_a_worker(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("express")?;
    let answer = client.get(&app, "/")?;
    ensure!(answer.text().contains("Hello from Express"), "{} {}", answer.status, answer.text());
    repository.heroku(&["ps:scale", "worker=1"])?.good()?;
    until("the worker says so", || {
        let lines = repository.heroku(&["logs", "--dyno-name", "worker.1"])?.good()?.stdout;
        Ok(lines.contains("app[worker.1]: Worker worker.1 started"))
    })?;
    repository.commit("nothing new")?;
    let pushed = repository.push()?.good()?;
    ensure!(pushed.stderr.contains("Released v4"), "{}", pushed.stderr);
    let answer = client.get_until(&app, "/", |response| response.status == 200)?;
    ensure!(answer.text().contains("Hello from Express"), "{}", answer.text());
    Ok(())
}

pub fn a_static_site(client: &Client) -> Result<(), Failure> {
    let (_repository, app) = client.deploy("static-site")?;
    let page = client.get(&app, "/")?;
    ensure!(
        page.status == 200 && page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{page:?}"
    );
    ensure!(client.get(&app, "/nothing-here")?.status == 404, "a missing page is found");
    Ok(())
}

pub fn two_custom_buildpacks(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("two-buildpacks")?;
    let app = repository.create()?;
    let outside = client.platform.outside();
    repository.heroku(&["buildpacks:add", &outside.git("greeter")])?.good()?;
    repository.heroku(&["buildpacks:add", &outside.tarball("exporter")])?.good()?;
    repository.heroku(&["config:set", "GREETER_NAME=Ada"])?.good()?;
    let pushed = repository.push()?.good()?;
    for line in ["Greeting Ada (build 1", "GREETED=Ada"] {
        ensure!(pushed.stderr.contains(line), "the push does not say «{line}»:\n{}", pushed.stderr);
    }
    let answer = client.get(&app, "/")?.text();
    for line in ["Welcome, Ada", "exported=Ada", "GREETER=from .profile.d"] {
        ensure!(answer.contains(line), "the app does not say «{line}»: {answer}");
    }
    ensure!(
        repository.heroku(&["config:get", "GREETER_STYLE"])?.stdout.trim() == "polite",
        "bin/release set no config var"
    );
    repository.commit("again")?;
    let pushed = repository.push()?.good()?;
    ensure!(pushed.stderr.contains("(build 2"), "the cache was not kept:\n{}", pushed.stderr);
    Ok(())
}

pub fn a_release_phase_passes_and_fails(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("release-phase")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    let output = repository.heroku(&["releases:output", "v3"])?.good()?;
    ensure!(output.stdout.contains("Migrated"), "releases:output: {}", output.both());
    repository.heroku(&["config:set", "FAIL_RELEASE=on purpose", "GREETING=never seen"])?;
    until("the release has failed", || Ok(repository.heroku(&["releases"])?.good()?.stdout.contains("failed")))?;
    let lines = repository.heroku(&["logs", "--num", "500"])?.good()?.stdout;
    ensure!(lines.contains("Migration failed: on purpose"), "the log does not say why:\n{lines}");
    let answer = client.get(&app, "/")?;
    ensure!(
        answer.status == 200 && !answer.text().contains("never seen"),
        "the old release does not serve: {}",
        answer.text()
    );
    repository.heroku(&["config:unset", "FAIL_RELEASE"])?.good()?;
    client.get_until(&app, "/", |response| response.text().contains("never seen"))?;
    Ok(())
}

pub fn a_failed_build_leaves_the_old_release(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    repository.write("package.json", "{ this is no JSON")?;
    repository.commit("broken")?;
    let refused = repository.push()?.bad()?;
    refuses(&refused, &["package.json", "Push rejected", "pre-receive hook declined"])?;
    ensure!(client.get(&app, "/")?.status == 200, "the old release does not serve");
    repository.write("package.json", r#"{"scripts":{"build":"node -e 'process.exit(7)'","start":"node index.js"}}"#)?;
    repository.commit("a build script that fails")?;
    refuses(&repository.push()?.bad()?, &["Push rejected"])?;
    ensure!(client.get(&app, "/")?.status == 200, "the old release does not serve");
    ensure!(repository.heroku(&["releases"])?.good()?.stdout.contains("v3"), "a failed build made a release");
    Ok(())
}

pub fn an_app_that_never_listens_leaves_the_old_release(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("perl")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    let stubborn = client.repository("stubborn")?;
    fs::copy(stubborn.folder().join("stubborn.pl"), repository.folder().join("stubborn.pl"))?;
    repository.write("Procfile", "web: perl stubborn.pl\n")?;
    repository.commit("never listens")?;
    let pushed = repository.push()?.good()?;
    ensure!(pushed.stderr.contains("its first web dyno"), "the push does not say why:\n{}", pushed.stderr);
    until("R10 is in the log", || {
        Ok(repository.heroku(&["logs", "--num", "500"])?.good()?.stdout.contains("Error R10 (Boot timeout)"))
    })?;
    ensure!(client.get(&app, "/")?.status == 200, "the old release does not serve");
    repository.heroku(&["config:set", "LOOPBACK_ONLY=1"])?.good()?;
    until("the log says that 127.0.0.1 is not enough", || {
        Ok(repository
            .heroku(&["logs", "--num", "500"])?
            .good()?
            .stdout
            .lines()
            .any(|line| line.contains("heroku[web.1]") && line.contains("127.0.0.1")))
    })?;
    ensure!(client.get(&app, "/")?.status == 200, "the old release does not serve");
    Ok(())
}

pub fn another_branch_is_not_built(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.create()?;
    repository.git(&["checkout", "--quiet", "-b", "feature"])?.good()?;
    let pushed = repository.git(&["push", "heroku", "feature"])?.good()?;
    ensure!(pushed.stderr.contains("skipping build"), "{}", pushed.stderr);
    repository.git(&["checkout", "--quiet", "-b", "master"])?.good()?;
    let pushed = repository.git(&["push", "heroku", "master"])?.good()?;
    ensure!(pushed.stderr.contains("Released v3"), "{}", pushed.stderr);
    Ok(())
}

pub fn a_clone_has_what_was_pushed(client: &Client) -> Result<(), Failure> {
    let (repository, _app) = client.deploy("perl")?;
    let remote = repository.git(&["remote", "get-url", "heroku"])?.good()?.stdout;
    let clone = repository.folder().with_extension("clone");
    let mut command = client.command("git");
    e2e::run(command.args(["clone", "--quiet", remote.trim()]).arg(&clone))?.good()?;
    e2e::run(Command::new("diff").args(["-r", "--exclude", ".git"]).arg(repository.folder()).arg(&clone))?.good()?;
    Ok(())
}

fn refuses(output: &Output, lines: &[&str]) -> Result<(), Failure> {
    for line in lines {
        ensure!(output.stderr.contains(line), "the refusal does not say «{line}»:\n{}", output.stderr);
    }
    Ok(())
}
