//! The official command's everyday subcommands: right output, right exit codes.

use e2e::{Client, Failure, ensure};

pub fn who_i_am(client: &Client) -> Result<(), Failure> {
    let who = client.heroku(&["auth:whoami"])?.good()?;
    ensure!(who.stdout.contains('@'), "no email: {}", who.both());
    let stranger = e2e::run(client.command(client.platform.cli()).arg("auth:whoami").env("HEROKU_API_KEY", "wrong"))?;
    ensure!(!stranger.status.success(), "a wrong key is somebody: {}", stranger.both());
    Ok(())
}

pub fn an_app_is_created_listed_renamed_and_destroyed(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    let made = repository.heroku(&["create", "sushi-bar"])?.good()?;
    ensure!(made.both().contains("sushi-bar"), "create said: {}", made.both());
    let again = client.heroku(&["create", "sushi-bar"])?.bad()?;
    ensure!(again.both().contains("already taken"), "a taken name: {}", again.both());
    let bad = client.heroku(&["create", "No_Good"])?.bad()?;
    ensure!(bad.both().contains("lowercase"), "a bad name: {}", bad.both());
    let listed = client.heroku(&["apps"])?.good()?;
    ensure!(listed.stdout.contains("sushi-bar"), "apps said: {}", listed.both());
    let info = repository.heroku(&["apps:info"])?.good()?;
    for word in ["sushi-bar", "Git URL", "Web URL", "heroku-24"] {
        ensure!(info.stdout.contains(word), "apps:info lacks {word}: {}", info.both());
    }
    repository.git(&["remote", "remove", "heroku"])?.good()?;
    repository.heroku(&["git:remote", "--app", "sushi-bar"])?.good()?;
    repository.git(&["remote", "get-url", "heroku"])?.good()?;
    let renamed = repository.heroku(&["apps:rename", "noodle-bar"])?.good()?;
    ensure!(renamed.both().contains("noodle-bar"), "apps:rename said: {}", renamed.both());
    let remote = repository.git(&["remote", "get-url", "heroku"])?.good()?.stdout;
    ensure!(remote.trim().ends_with("/noodle-bar.git"), "the remote did not follow: {remote}");
    let listed = client.heroku(&["apps"])?.good()?.stdout;
    ensure!(listed.contains("noodle-bar") && !listed.contains("sushi-bar"), "apps said: {listed}");
    client.heroku(&["apps:destroy", "--app", "noodle-bar", "--confirm", "noodle-bar"])?.good()?;
    let gone = client.heroku(&["apps:info", "--app", "noodle-bar"])?.bad()?;
    ensure!(gone.both().contains("Couldn't find that app"), "a destroyed app: {}", gone.both());
    Ok(())
}

pub fn config_vars_are_set_read_and_unset(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.create()?;
    let set = repository.heroku(&["config:set", "ONE=1", "TWO=a b=c"])?.good()?;
    ensure!(set.both().contains("v3"), "config:set names no release: {}", set.both());
    ensure!(repository.heroku(&["config:get", "TWO"])?.good()?.stdout == "a b=c\n", "TWO is not what was set");
    let all = repository.heroku(&["config"])?.good()?;
    ensure!(all.stdout.contains("ONE") && all.stdout.contains("a b=c"), "config said: {}", all.both());
    repository.heroku(&["config:unset", "ONE"])?.good()?;
    ensure!(repository.heroku(&["config:get", "ONE"])?.stdout.trim().is_empty(), "ONE is still set");
    let large = format!("LARGE={}", "x".repeat(65 * 1024));
    let refused = repository.heroku(&["config:set", &large])?.bad()?;
    ensure!(refused.both().contains("64"), "65 KB of config: {}", refused.both());
    Ok(())
}

pub fn buildpacks_are_set_added_removed_and_cleared(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.create()?;
    repository.heroku(&["buildpacks:set", "heroku/nodejs"])?.good()?;
    repository.heroku(&["buildpacks:add", "--index", "1", "https://example.com/greeter.tgz"])?.good()?;
    let listed = repository.heroku(&["buildpacks"])?.good()?;
    let (greeter, node) = (listed.stdout.find("greeter.tgz"), listed.stdout.find("heroku/nodejs"));
    ensure!(greeter.is_some() && greeter < node, "the order is wrong: {}", listed.stdout);
    repository.heroku(&["buildpacks:add", "https://example.com/last.tgz"])?.good()?;
    let listed = repository.heroku(&["buildpacks"])?.good()?;
    let (node, last) = (listed.stdout.find("heroku/nodejs"), listed.stdout.find("last.tgz"));
    ensure!(node.is_some() && node < last, "added without an index it is not the last: {}", listed.stdout);
    repository.heroku(&["buildpacks:remove", "https://example.com/greeter.tgz"])?.good()?;
    repository.heroku(&["buildpacks:remove", "--index", "2"])?.good()?;
    let listed = repository.heroku(&["buildpacks"])?.good()?;
    ensure!(listed.stdout.contains("heroku/nodejs"), "too much was removed: {}", listed.stdout);
    ensure!(!listed.stdout.contains(".tgz"), "it was not removed: {}", listed.stdout);
    repository.heroku(&["buildpacks:clear"])?.good()?;
    let listed = repository.heroku(&["buildpacks"])?.good()?;
    ensure!(listed.both().contains("no Buildpack") || listed.both().contains("no buildpacks"), "{}", listed.both());
    let unknown = repository.heroku(&["buildpacks:set", "nobody/nothing"])?.bad()?;
    ensure!(!unknown.both().contains("undefined"), "{}", unknown.both());
    Ok(())
}

pub fn dynos_are_listed_scaled_and_restarted(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("express")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    let listed = repository.heroku(&["ps"])?.good()?;
    ensure!(listed.stdout.contains("web.1: up"), "ps said: {}", listed.both());
    let scaled = repository.heroku(&["ps:scale", "web=3", "worker=1"])?.good()?;
    ensure!(scaled.both().contains("web at 3") && scaled.both().contains("worker at 1"), "{}", scaled.both());
    until("web.3 is up", || Ok(repository.heroku(&["ps"])?.good()?.stdout.contains("web.3: up")))?;
    let relative = repository.heroku(&["ps:scale", "web+1:Standard-2X"])?.good()?;
    ensure!(relative.both().contains("web at 4:Standard-2X"), "{}", relative.both());
    until("web.4 is up", || Ok(repository.heroku(&["ps"])?.good()?.stdout.contains("web.4: up")))?;
    let typed = repository.heroku(&["ps:type", "web=standard-1x"])?.good()?;
    ensure!(typed.both().contains("Standard-1X"), "ps:type said: {}", typed.both());
    let all = repository.heroku(&["ps:type"])?.good()?;
    ensure!(all.stdout.contains("web") && all.stdout.contains("Standard-1X"), "{}", all.both());
    repository.heroku(&["ps:scale", "web=1", "worker=0"])?.good()?;
    until("only web.1 is left", || {
        let listed = repository.heroku(&["ps"])?.good()?.stdout;
        Ok(listed.contains("web.1: up") && !listed.contains("web.2") && !listed.contains("worker.1"))
    })?;
    let before = client.get(&app, "/")?.header("x-boot").map(str::to_owned);
    repository.heroku(&["ps:restart"])?.good()?;
    client.get_until(&app, "/", |response| response.header("x-boot").map(str::to_owned) != before)?;
    let unknown = repository.heroku(&["ps:scale", "nothing=1"])?.bad()?;
    ensure!(unknown.both().contains("Couldn't find that process type"), "{}", unknown.both());
    Ok(())
}

pub fn logs_tell_what_happened(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    client.get(&app, "/seen-in-the-log")?;
    let wanted = [
        "heroku[web.1]: Starting process with command",
        "heroku[web.1]: State changed from starting to up",
        "app[web.1]: ",
        "heroku[router]: at=info method=GET path=\"/seen-in-the-log\"",
        "app[api]: Release v3 created by user",
    ];
    until("every kind of line is there", || {
        let lines = repository.heroku(&["logs", "--num", "1500"])?.good()?.stdout;
        Ok(wanted.iter().all(|line| lines.contains(line)))
    })?;
    let router = repository.heroku(&["logs", "--dyno-name", "router"])?.good()?.stdout;
    ensure!(router.lines().all(|line| line.contains("[router]")), "a filter let others pass: {router}");
    let one = repository.heroku(&["logs", "--num", "1"])?.good()?.stdout;
    ensure!(one.lines().count() == 1, "one line was asked for: {one}");
    let source = repository.heroku(&["logs", "--source", "app"])?.good()?.stdout;
    ensure!(!source.contains(" heroku["), "a source filter let others pass: {source}");
    tail_shows_new_lines(client, &repository, &app)
}

fn tail_shows_new_lines(client: &Client, repository: &e2e::Repository, app: &str) -> Result<(), Failure> {
    use std::io::{BufRead, BufReader};
    let mut command = client.command(client.platform.cli());
    command.current_dir(repository.folder()).args(["logs", "--tail", "--num", "1"]);
    let mut tail = command.stdout(std::process::Stdio::piped()).spawn()?;
    let lines = BufReader::new(tail.stdout.take().ok_or("no pipe")?).lines();
    let (seen, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let found = lines.map_while(Result::ok).any(|line| line.contains("/seen-by-the-tail"));
        seen.send(found).unwrap_or_default();
    });
    let begun = std::time::Instant::now();
    let found = loop {
        client.get(app, "/seen-by-the-tail")?;
        match wait.recv_timeout(std::time::Duration::from_millis(250)) {
            Ok(found) => break found,
            Err(_) if begun.elapsed().as_secs() > 20 => break false,
            Err(_) => {}
        }
    };
    tail.kill()?;
    tail.wait()?;
    ensure!(found, "logs --tail showed no new line in 20 s");
    Ok(())
}

pub fn releases_are_listed_shown_and_rolled_back(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    repository.heroku(&["config:set", "COLOUR=blue"])?.good()?;
    repository.write("VERSION", "two\n")?;
    repository.commit("second")?;
    repository.push()?.good()?;
    client.get_until(&app, "/", |response| response.text().contains("two"))?;
    let listed = repository.heroku(&["releases"])?.good()?;
    for word in ["v5", "Deploy ", "Set COLOUR config vars", "Enable Logplex", "Initial release"] {
        ensure!(listed.stdout.contains(word), "releases lacks {word}: {}", listed.stdout);
    }
    let shown = repository.heroku(&["releases:info", "v4"])?.good()?;
    for word in ["v4", "By:", "Set COLOUR config vars", "When:", "COLOUR"] {
        ensure!(shown.stdout.contains(word), "releases:info lacks {word}: {}", shown.both());
    }
    let rolled = repository.heroku(&["rollback", "v3"])?.good()?;
    ensure!(rolled.both().contains("v6"), "{}", rolled.both());
    client.get_until(&app, "/", |response| !response.text().contains("two"))?;
    ensure!(repository.heroku(&["config:get", "COLOUR"])?.stdout.trim().is_empty(), "the config was not rolled back");
    Ok(())
}

pub fn maintenance_goes_on_and_off(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    repository.heroku(&["maintenance:on"])?.good()?;
    client.get_until(&app, "/", |response| response.status == 503)?;
    ensure!(repository.heroku(&["maintenance"])?.good()?.both().contains("on"), "maintenance is not on");
    repository.heroku(&["maintenance:off"])?.good()?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    Ok(())
}

/// Waits for a condition for at most 30 s.
pub fn until(what: &str, condition: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    while !condition()? {
        ensure!(begun.elapsed().as_secs() < 30, "not within 30 s: {what}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Ok(())
}
