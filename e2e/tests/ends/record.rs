//! A platform whose record is in `PostgreSQL`.

use e2e::{Client, Failure, Platform, ensure};
use scratch_postgres::Server;

const PASSWORD: &str = "canary-database-4711";

pub fn a_platform_lives_on_postgres_and_moves_to_a_file() -> Result<(), Failure> {
    let mut server = Server::start()?;
    server.run("CREATE SCHEMA record")?;
    // The server trusts whoever reaches its socket; the password is there to be looked for.
    let url = server.url("record").replace("slipway@", &format!("slipway:{PASSWORD}@"));
    let mut platform = Platform::start_with_database(&url)?;
    let app = {
        let client = Client::new(&platform)?;
        let (repository, app) = client.deploy("hello")?;
        client.get_until(&app, "/", |response| response.status == 200)?;
        repository.heroku(&["config:set", "COLOUR=blue"])?.good()?;
        repository.heroku(&["rollback", "v3"])?.good()?;
        let releases = server.run("SELECT max(version) FROM record.releases")?;
        ensure!(releases == "5", "the releases in the database end with {releases}");
        commands_find_the_record(&platform)?;
        no_password_is_seen(&platform)?;
        control_dies(&platform, &client)?;
        the_server_restarts(&platform, &client, &mut server, &app)?;
        repository.heroku(&["config:set", "COLOUR=green"])?.good()?;
        app
    };
    moves_to_a_file(&mut platform, &url)?;
    let client = Client::new(&platform)?;
    ensure!(client.get(&app, "/")?.status == 200, "the app does not serve any more");
    let config = client.heroku(&["config", "--app", &app])?.good()?;
    ensure!(config.both().contains("green"), "the config vars are not what they were: {}", config.both());
    client.heroku(&["config:set", "--app", &app, "COLOUR=red"])?.good()?;
    let old = server.run("SELECT max(version) FROM record.releases")?;
    ensure!(old == "6", "somebody still writes to the database that was left: v{old}");
    let file = format!("sqlite:{}", platform.data().join("store/slipway.db").display());
    let other = format!("sqlite:{}", platform.data().join("store/other.db").display());
    let copy = [("SLIPWAY_DB_FROM", file.as_str()), ("SLIPWAY_DB_TO", other.as_str())];
    let owned = platform.slipway_alone(&["db", "copy"], &copy)?.bad()?;
    ensure!(owned.both().contains("another platform's control owns"), "copied under control's hands: {}", owned.both());
    drop(client);
    platform.end()
}

fn commands_find_the_record(platform: &Platform) -> Result<(), Failure> {
    let listed = platform.slipway(&["users", "list"])?.good()?;
    ensure!(listed.stdout.contains("admin@"), "users list: {}", listed.both());
    let doctor = platform.slipway(&["doctor"])?;
    ensure!(doctor.stdout.contains("in PostgreSQL 1"), "doctor: {}", doctor.both());
    ensure!(!platform.data().join("store/slipway.db").exists(), "there is a file beside the database");
    Ok(())
}

/// Neither in the log, nor in what any process of the platform was started with.
fn no_password_is_seen(platform: &Platform) -> Result<(), Failure> {
    ensure!(!platform.log()?.contains(PASSWORD), "the log has the database's password");
    for role in ["engine", "control", "router"] {
        let pid = platform.role(role)?;
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{pid}/{file}"))?;
            ensure!(!String::from_utf8_lossy(&text).contains(PASSWORD), "{file} of {role} has the password");
        }
    }
    let settings = std::fs::read_to_string(format!("/run/slipway-{}/settings.json", platform.install()?))?;
    ensure!(!settings.contains(PASSWORD), "the settings of every role have the password");
    Ok(())
}

fn answers(client: &Client) -> Result<bool, Failure> {
    Ok(client.api("GET", "/apps", "")?.status == 200)
}

/// Its successor takes the database over once the server has seen it end.
fn control_dies(platform: &Platform, client: &Client) -> Result<(), Failure> {
    let before = platform.role("control")?;
    platform.kill("control")?;
    e2e::until("another control serves", || Ok(platform.role("control").is_ok_and(|pid| pid != before)))?;
    e2e::until("the API answers again", || answers(client))
}

fn the_server_restarts(platform: &Platform, client: &Client, server: &mut Server, app: &str) -> Result<(), Failure> {
    let control = platform.role("control")?;
    server.stop(false)?;
    let away = client.api("GET", "/apps", "")?;
    ensure!(away.status == 503, "without its database the API answers {}: {}", away.status, away.text());
    ensure!(away.header("retry-after").is_some(), "it does not say when to try again");
    ensure!(client.get(app, "/")?.status == 200, "the app needs the database");
    let told = client.heroku(&["config:set", "--app", app, "COLOUR=never"])?.bad()?;
    ensure!(told.both().contains("cannot be reached"), "heroku says: {}", told.both());
    server.begin()?;
    e2e::until("the API heals", || answers(client))?;
    ensure!(platform.role("control")? == control, "control was started again");
    Ok(())
}

fn moves_to_a_file(platform: &mut Platform, url: &str) -> Result<(), Failure> {
    let file = format!("sqlite:{}", platform.data().join("store/slipway.db").display());
    let copy = [("SLIPWAY_DB_FROM", url), ("SLIPWAY_DB_TO", file.as_str())];
    let owned = platform.slipway_alone(&["db", "copy"], &copy)?.bad()?;
    ensure!(owned.both().contains("another platform's control owns"), "copied under control's hands: {}", owned.both());
    platform.interrupt()?;
    let copied = platform.slipway_alone(&["db", "copy"], &copy)?.good()?;
    ensure!(copied.stdout.contains("releases") && !copied.both().contains(PASSWORD), "copied: {}", copied.both());
    let again = platform.slipway_alone(&["db", "copy"], &copy)?.bad()?;
    ensure!(again.both().contains("not empty"), "copied over what is there: {}", again.both());
    let forgotten = platform.resume(None);
    let told = forgotten.err().map(|failure| failure.to_string()).unwrap_or_default();
    ensure!(told.contains("is in another database"), "it began without the database: {told}");
    platform.resume(Some(&file))
}
