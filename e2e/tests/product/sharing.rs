//! Users who share an app, or a team, and nothing else.

use e2e::{Client, Failure, ensure};

pub fn a_collaborator_works_on_anothers_app(client: &Client) -> Result<(), Failure> {
    let (_, app) = client.deploy("hello")?;
    let ben = client.somebody("ben@example.com")?;
    let repository = ben.repository("hello")?;
    let stranger = ben.heroku(&["apps:info", "--app", &app])?.bad()?;
    ensure!(stranger.both().contains("do not have access to the app"), "a stranger: {}", stranger.both());
    ensure!(!ben.heroku(&["apps"])?.good()?.stdout.contains(&app), "a stranger lists the app");
    client.heroku(&["access:add", "ben@example.com", "--app", &app])?.good()?;
    let listed = client.heroku(&["access", "--app", &app])?.good()?;
    ensure!(listed.stdout.contains("ben@example.com") && listed.stdout.contains("owner"), "{}", listed.both());
    let apps = ben.heroku(&["apps"])?.good()?;
    ensure!(apps.stdout.contains("Collaborated Apps") && apps.stdout.contains(&app), "apps said: {}", apps.both());
    repository.heroku(&["git:remote", "--app", &app])?.good()?;
    repository.git(&["fetch", "--quiet", "heroku"])?.good()?;
    repository.git(&["reset", "--quiet", "--hard", "heroku/main"])?.good()?;
    repository.write("VERSION", "of ben\n")?;
    repository.commit("second")?;
    repository.push()?.good()?;
    client.get_until(&app, "/", |response| response.text().contains("of ben"))?;
    ben.heroku(&["config:set", "COLOUR=blue", "--app", &app])?.good()?;
    ben.heroku(&["logs", "--app", &app])?.good()?;
    let releases = client.heroku(&["releases", "--app", &app])?.good()?;
    ensure!(releases.stdout.contains("ben@example.com"), "whose release is it: {}", releases.stdout);
    ben.heroku(&["apps:destroy", "--app", &app, "--confirm", &app])?.bad()?;
    client.heroku(&["access:remove", "ben@example.com", "--app", &app])?.good()?;
    ben.heroku(&["config", "--app", &app])?.bad()?;
    repository.write("VERSION", "of a stranger\n")?;
    repository.commit("third")?;
    let pushed = repository.push()?.bad()?;
    ensure!(pushed.stderr.contains("not found"), "a push after the end: {}", pushed.stderr);
    Ok(())
}

pub fn a_team_has_apps_members_and_permissions(client: &Client) -> Result<(), Failure> {
    let (cleo, dan) = (client.somebody("cleo@example.com")?, client.somebody("dan@example.com")?);
    let made = cleo.api("POST", "/teams", r#"{"name": "acme"}"#)?;
    ensure!(made.status == 201, "POST /teams: {}", made.text());
    let teams = cleo.heroku(&["teams"])?.good()?;
    ensure!(teams.stdout.contains("acme") && teams.stdout.contains("admin"), "teams said: {}", teams.both());
    dan.heroku(&["members", "--team", "acme"])?.bad()?;
    cleo.heroku(&["members:add", "dan@example.com", "--team", "acme", "--role", "member"])?.good()?;
    let members = dan.heroku(&["members", "--team", "acme"])?.good()?;
    ensure!(members.stdout.contains("dan@example.com") && members.stdout.contains("cleo@"), "{}", members.both());
    cleo.heroku(&["create", "acme-web", "--team", "acme", "--no-remote"])?.good()?;
    let apps = dan.heroku(&["apps", "--team", "acme"])?.good()?;
    ensure!(apps.stdout.contains("acme-web"), "apps --team said: {}", apps.both());
    dan.heroku(&["apps:info", "--app", "acme-web"])?.good()?;
    permissions(&cleo, &dan)?;
    a_lock(&cleo, &dan)?;
    cleo.heroku(&["members:set", "dan@example.com", "--team", "acme", "--role", "viewer"])?.good()?;
    dan.heroku(&["create", "--team", "acme", "--no-remote"])?.bad()?;
    cleo.heroku(&["members:remove", "dan@example.com", "--team", "acme"])?.good()?;
    dan.heroku(&["apps:info", "--app", "acme-web"])?.bad()?;
    Ok(())
}

fn permissions(cleo: &Client, dan: &Client) -> Result<(), Failure> {
    let refused = dan.heroku(&["config:set", "A=1", "--app", "acme-web"])?.bad()?;
    ensure!(refused.both().contains("deploy or operate permission"), "{}", refused.both());
    let app = ["--app", "acme-web"];
    cleo.heroku(&["access:add", "dan@example.com", "--permissions", "deploy", app[0], app[1]])?.good()?;
    dan.heroku(&["config:set", "A=1", "--app", "acme-web"])?.good()?;
    dan.heroku(&["maintenance:on", "--app", "acme-web"])?.bad()?;
    cleo.heroku(&["access:update", "dan@example.com", "--permissions", "operate", app[0], app[1]])?.good()?;
    dan.heroku(&["maintenance:on", "--app", "acme-web"])?.good()?;
    dan.heroku(&["apps:rename", "acme-www", "--app", "acme-web"])?.bad()?;
    let access = dan.heroku(&["access", "--app", "acme-web"])?.good()?;
    let line = access.stdout.lines().find(|line| line.contains("dan@example.com")).unwrap_or_default();
    ensure!(line.contains("operate") && line.contains("view") && !line.contains("deploy"), "{}", access.stdout);
    dan.heroku(&["apps:leave", "--app", "acme-web"])?.good()?;
    dan.heroku(&["maintenance:off", "--app", "acme-web"])?.bad()?;
    Ok(())
}

fn a_lock(cleo: &Client, dan: &Client) -> Result<(), Failure> {
    cleo.heroku(&["apps:lock", "--app", "acme-web"])?.good()?;
    dan.heroku(&["apps:info", "--app", "acme-web"])?.bad()?;
    dan.heroku(&["apps:join", "--app", "acme-web"])?.bad()?;
    cleo.heroku(&["apps:unlock", "--app", "acme-web"])?.good()?;
    dan.heroku(&["apps:join", "--app", "acme-web"])?.good()?;
    let apps = dan.heroku(&["apps"])?.good()?;
    ensure!(apps.stdout.contains("acme-web"), "a joined app is not listed: {}", apps.both());
    Ok(())
}

pub fn an_app_changes_hands(client: &Client) -> Result<(), Failure> {
    let (eve, fay) = (client.somebody("eve@example.com")?, client.somebody("fay@example.com")?);
    eve.heroku(&["create", "eves-own", "--no-remote"])?.good()?;
    let offered = eve.heroku(&["apps:transfer", "fay@example.com", "--app", "eves-own"])?.good()?;
    ensure!(offered.both().contains("eves-own"), "apps:transfer said: {}", offered.both());
    fay.heroku(&["apps:info", "--app", "eves-own"])?.bad()?;
    let taken = fay.api("PATCH", "/account/app-transfers/eves-own", r#"{"state": "accepted"}"#)?;
    ensure!(taken.status == 200, "the offer was not taken: {}", taken.text());
    let info = eve.heroku(&["apps:info", "--app", "eves-own"])?.good()?;
    ensure!(info.stdout.contains("fay@example.com"), "apps:info said: {}", info.both());
    let made = fay.api("POST", "/teams", r#"{"name": "umbrella"}"#)?;
    ensure!(made.status == 201, "POST /teams: {}", made.text());
    fay.heroku(&["apps:transfer", "umbrella", "--app", "eves-own"])?.good()?;
    let apps = fay.heroku(&["apps", "--team", "umbrella"])?.good()?;
    ensure!(apps.stdout.contains("eves-own"), "apps --team said: {}", apps.both());
    fay.heroku(&["apps:transfer", "eve@example.com", "--app", "eves-own", "--confirm", "eves-own"])?.good()?;
    fay.heroku(&["apps:info", "--app", "eves-own"])?.bad()?;
    eve.heroku(&["apps:destroy", "--app", "eves-own", "--confirm", "eves-own"])?.good()?;
    Ok(())
}
