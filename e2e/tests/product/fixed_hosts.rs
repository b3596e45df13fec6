//! The subcommands that reach for hosts no setting redirects, through the function that `slipway env` puts before the
//! official command.

use e2e::{Client, Failure, ensure, until};

pub fn favorites_are_marked_listed_and_taken_away(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    let app = repository.create()?;
    let none = client.heroku_in_shell(&["apps:favorites"])?.good()?;
    ensure!(!none.stdout.contains(&app), "a favorite nobody marked: {}", none.both());
    client.heroku_in_shell(&["apps:favorites:add", "--app", &app])?.good()?;
    let listed = client.heroku_in_shell(&["apps:favorites"])?.good()?;
    ensure!(listed.stdout.contains(&app), "apps:favorites said: {}", listed.both());
    let again = client.heroku_in_shell(&["apps:favorites:add", "--app", &app])?.bad()?;
    ensure!(again.both().contains("already a favorite"), "twice: {}", again.both());
    client.heroku_in_shell(&["apps:favorites:add", "--app", "nobody-has-this"])?.bad()?;
    client.heroku_in_shell(&["apps:favorites:remove", "--app", &app])?.good()?;
    let gone = client.heroku_in_shell(&["apps:favorites", "--json"])?.good()?;
    ensure!(gone.stdout.trim() == "[]", "one is left: {}", gone.both());
    Ok(())
}

pub fn who_was_let_in_is_told(client: &Client) -> Result<(), Failure> {
    let app = client.repository("hello")?.create()?;
    let cleo = client.somebody("told@example.com")?;
    let nothing = cleo.heroku_in_shell(&["notifications"])?.good()?;
    ensure!(nothing.both().contains("No unread notifications"), "{}", nothing.both());
    client.heroku(&["access:add", "told@example.com", "--app", &app])?.good()?;
    let told = cleo.heroku_in_shell(&["notifications"])?.good()?;
    ensure!(told.stdout.contains(&format!("You can work on {app}")), "notifications said: {}", told.both());
    let read = cleo.heroku_in_shell(&["notifications"])?.good()?;
    ensure!(read.both().contains("No unread notifications"), "it was read: {}", read.both());
    let of_app = cleo.heroku_in_shell(&["notifications", "--read", "--app", &app])?.good()?;
    ensure!(of_app.stdout.contains(&format!("You can work on {app}")), "--read --app said: {}", of_app.both());
    Ok(())
}

pub fn errors_of_an_app_are_counted(client: &Client) -> Result<(), Failure> {
    let (_repository, app) = client.deploy("hello")?;
    let errors = |flags: &[&str]| client.heroku_in_shell(&[&["apps:errors", "--app", &app], flags].concat())?.good();
    ensure!(errors(&[])?.stdout.contains("No errors on"), "an app that just began has errors");
    client.heroku(&["maintenance:on", "--app", &app])?.good()?;
    client.get_until(&app, "/", |answer| answer.status == 503)?;
    until("the router's errors are counted", || Ok(errors(&["--json"])?.stdout.contains("\"H80\": ")))?;
    let table = errors(&["--router", "--hours", "1"])?.stdout;
    ensure!(table.contains("H80") && table.contains("Maintenance Mode"), "apps:errors said: {table}");
    ensure!(errors(&["--dyno"])?.stdout.contains("No errors on"), "its dynos had none");
    Ok(())
}

/// The platform is nobody's proxy: what another tool of the same shell asks it for is refused, and none of them is led
/// to it by the exports.
pub fn no_other_tool_of_the_shell_is_led_to_us(client: &Client) -> Result<(), Failure> {
    let names = client.platform.exports().iter().map(|(name, _)| name.to_ascii_lowercase());
    let proxies: Vec<_> = names.filter(|name| name.ends_with("_proxy")).collect();
    ensure!(proxies.is_empty(), "the exports lead every tool to a proxy: {proxies:?}");
    let proxy = format!("http://{}", client.address());
    let asked = ["--silent", "--show-error", "--proxy", &proxy, "https://github.com/"];
    let refused = e2e::run(client.command("curl").args(asked))?.bad()?;
    ensure!(refused.both().contains("403"), "curl said: {}", refused.both());
    Ok(())
}
