//! Commands that do most of their work on the user's own machine.

use std::fs;

use e2e::{Client, Failure, ensure, until};

pub fn an_app_is_opened_cloned_and_compared(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    let seen = repository.folder().with_extension("opened");
    let browser = repository.program("browser", &format!("#!/bin/sh\nprintf %s \"$1\" >'{}'\n", seen.display()))?;
    repository.heroku_with(&[("BROWSER", &browser)], &["apps:open", "/menu"])?.good()?;
    until("the browser opened something", || Ok(fs::read_to_string(&seen).is_ok_and(|url| url.ends_with("/menu"))))?;
    let url = fs::read_to_string(&seen)?;
    ensure!(url.contains(&format!("//{app}.")), "opened {url}");
    client.heroku(&["git:clone", "--app", &app, "copy"])?.good()?;
    let head =
        |folder: &std::path::Path| e2e::run(client.command("git").current_dir(folder).args(["rev-parse", "HEAD"]));
    let copy = repository.folder().parent().ok_or("a folder without a parent")?.join("copy");
    ensure!(head(&copy)?.good()?.stdout == head(repository.folder())?.good()?.stdout, "the clone is of another commit");
    let (other, twin) = client.deploy("hello")?;
    other.heroku(&["config:set", "GREETING=Servus"])?.good()?;
    let diff = client.heroku(&["apps:diff", &app, &twin])?.good()?;
    ensure!(diff.stdout.contains("config (GREETING)"), "the config vars differ: {}", diff.both());
    ensure!(!diff.stdout.contains("checksum"), "the same files in two slugs: {}", diff.both());
    other.write("VERSION", "2\n")?;
    other.commit("another version")?;
    other.push()?.good()?;
    let diff = client.heroku(&["apps:diff", &app, &twin])?.good()?;
    ensure!(diff.stdout.contains("slug (checksum)"), "other files in the second: {}", diff.both());
    Ok(())
}

pub fn config_vars_are_edited(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.create()?;
    repository.heroku(&["config:set", "ONE=1", "TWO=2"])?.good()?;
    repository.program("editor", "#!/bin/sh\nexec sed -i -e s/^ONE=.*/ONE=uno/ -e /^TWO=/d \"$1\"\n")?;
    let mut terminal = repository.at_terminal("EDITOR=../editor heroku config:edit")?;
    terminal.wait_for("Update config")?;
    terminal.enter("y")?;
    let told = terminal.end()?.good()?;
    client.platform.ran(&["config:edit"], &told);
    ensure!(repository.heroku(&["config:get", "ONE"])?.good()?.stdout == "uno\n", "not edited: {}", told.both());
    ensure!(repository.heroku(&["config:get", "TWO"])?.stdout.trim().is_empty(), "TWO is still set");
    Ok(())
}

pub fn a_release_phase_is_tried_again(client: &Client) -> Result<(), Failure> {
    let (repository, _) = client.deploy("release-phase")?;
    let before = repository.heroku(&["releases", "--json"])?.good()?.stdout;
    let again = repository.heroku(&["releases:retry"])?.good()?;
    ensure!(again.both().contains("Running release command"), "releases:retry said: {}", again.both());
    let releases: serde_json::Value =
        serde_json::from_str(&repository.heroku(&["releases", "--json"])?.good()?.stdout)?;
    let before: serde_json::Value = serde_json::from_str(&before)?;
    let (old, new) = (&before[0], &releases[0]);
    ensure!(new["version"].as_i64() == old["version"].as_i64().map(|version| version + 1), "no new release: {new}");
    ensure!(new["slug"] == old["slug"] && new["status"] == "succeeded", "not the same again: {new}");
    ensure!(new["description"].as_str().is_some_and(|text| text.starts_with("Retry of v")), "called: {new}");
    let (empty, _) = client.deploy("hello")?;
    empty.heroku(&["releases:retry"])?.bad()?;
    Ok(())
}

pub fn an_app_runs_at_home(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.write("Procfile", "greet: echo $GREETING from $PORT\n")?;
    repository.write(".env", "GREETING=Servus\n")?;
    let said = repository.heroku(&["local", "--port", "7000"])?.good()?;
    ensure!(said.both().contains("Servus from 7000"), "local said: {}", said.both());
    let run = repository.heroku(&["local:run", "printenv", "GREETING"])?.good()?;
    ensure!(run.stdout.contains("Servus"), "local:run said: {}", run.both());
    repository.write("app-ci.json", "{\"scripts\": {\"test\": \"true\"}}\n")?;
    repository.heroku(&["ci:migrate-manifest"])?.good()?;
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(repository.folder().join("app.json"))?)?;
    ensure!(manifest["environments"]["test"]["scripts"]["test"] == "true", "the manifest: {manifest}");
    ensure!(repository.heroku(&["version:info"])?.good()?.stdout.contains("heroku"), "no version");
    Ok(())
}

pub fn a_key_and_a_request_for_a_certificate_are_made(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.create()?;
    repository.heroku(&["certs:generate", "shop.example.com", "--now"])?.good()?;
    let request = repository.folder().join("shop.example.com.csr");
    let openssl = |arguments: &[&str]| {
        e2e::run(client.command("openssl").current_dir(repository.folder()).args(arguments))?.good()
    };
    let told = openssl(&["req", "-noout", "-verify", "-subject", "-in", &request.display().to_string()])?;
    ensure!(told.both().contains("shop.example.com"), "the request is for: {}", told.both());
    repository.heroku(&["certs:generate", "shop.example.com", "--selfsigned", "--now"])?.good()?;
    openssl(&["x509", "-noout", "-in", "shop.example.com.crt"])?;
    Ok(())
}

pub fn many_accounts_are_kept_apart(client: &Client) -> Result<(), Failure> {
    client.heroku(&["accounts"])?.bad()?;
    client.heroku(&["accounts:add", "work"])?.good()?;
    client.heroku(&["accounts:add", "again"])?.bad()?;
    client.heroku(&["accounts:set", "work"])?.good()?;
    ensure!(client.heroku(&["accounts:current"])?.good()?.both().contains("work"), "another account is current");
    let rita = client.somebody("rita@example.com")?;
    rita.heroku(&["accounts:add", "hers"])?.good()?;
    ensure!(rita.heroku(&["accounts"])?.good()?.stdout.contains("hers"), "hers is not listed");
    rita.heroku(&["accounts:remove", "hers"])?.good()?;
    rita.heroku(&["accounts"])?.bad()?;
    Ok(())
}

pub fn lists_of_what_there_is_not_are_empty(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    let app = repository.create()?;
    let sam = client.somebody("sam@example.com")?;
    sam.asked("POST", "/teams", &serde_json::json!({"name": "wonka"}), 201)?;
    ensure!(sam.heroku(&["orgs"])?.good()?.stdout.contains("wonka"), "the team is not listed");
    sam.heroku(&["autocomplete", "bash"])?.good()?;
    for (command, word) in [
        (&["addons:services", "--json"][..], "[]"),
        (&["spaces", "--json"], "[]"),
        (&["telemetry", "--app", &app], "no telemetry drains"),
        (&["usage:addons", "--app", &app], "No usage found"),
    ] {
        let told = client.heroku(command)?.good()?;
        ensure!(told.both().contains(word), "{command:?} lacks {word:?}: {}", told.both());
    }
    Ok(())
}
