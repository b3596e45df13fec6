//! How people sign in, and what lets programs in for them.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{Browser, Client, Failure, ensure};
use hmac::{Hmac, KeyInit, Mac};

/// Somebody the operator let in.
struct User {
    email: String,
    password: String,
}

/// `slipway users add`; the name makes the email, so that scenarios do not meet.
fn user(client: &Client, name: &str) -> Result<User, Failure> {
    let email = format!("{name}@example.com");
    let told = client.platform.slipway(&["users", "add", &email])?.good()?.stdout;
    let password = told.lines().find_map(|line| line.strip_prefix("password: ")).ok_or("no password was told")?;
    Ok(User { email, password: password.to_owned() })
}

/// Runs the official command with a token of somebody's.
fn as_user(client: &Client, token: &str, arguments: &[&str]) -> Result<e2e::Output, Failure> {
    e2e::run(client.command(client.platform.cli()).args(arguments).env("HEROKU_API_KEY", token))
}

/// The word behind a label in what a command printed.
fn after(text: &str, label: &str) -> Result<String, Failure> {
    let line =
        text.lines().find_map(|line| line.trim().strip_prefix(label)).ok_or_else(|| format!("no {label} in {text}"))?;
    Ok(line.trim().to_owned())
}

pub fn users_are_added_listed_and_removed_while_the_platform_runs(client: &Client) -> Result<(), Failure> {
    let slipway = |words: &[&str]| client.platform.slipway(words);
    let user = user(client, "grace")?;
    let again = slipway(&["users", "add", "Grace@Example.com"])?.bad()?;
    ensure!(again.stderr.contains("has an account already"), "{}", again.both());
    let token = slipway(&["users", "token", &user.email, "--scope", "read", "--expires-in", "60"])?.good()?.stdout;
    let who = as_user(client, token.trim(), &["auth:whoami"])?.good()?;
    ensure!(who.stdout.trim() == user.email, "{}", who.both());
    as_user(client, token.trim(), &["create", "graces-app"])?.bad()?;
    let full = slipway(&["users", "token", &user.email])?.good()?.stdout;
    as_user(client, full.trim(), &["create", "graces-app"])?.good()?;
    let refused = slipway(&["users", "remove", &user.email])?.bad()?;
    ensure!(refused.stderr.contains("owns graces-app"), "{}", refused.both());
    as_user(client, full.trim(), &["apps:destroy", "--app", "graces-app", "--confirm", "graces-app"])?.good()?;
    ensure!(slipway(&["users", "list"])?.good()?.stdout.contains(&user.email), "users list lacks her");
    let other = slipway(&["users", "passwd", &user.email])?.good()?.stdout;
    ensure!(after(&other, "password:")? != user.password, "the password is the old one");
    slipway(&["users", "remove", &user.email])?.good()?;
    as_user(client, full.trim(), &["auth:whoami"])?.bad()?;
    ensure!(!slipway(&["users", "list"])?.good()?.stdout.contains(&user.email), "users list still has her");
    Ok(())
}

pub fn login_with_a_password_and_logout(client: &Client) -> Result<(), Failure> {
    let user = user(client, "ada")?;
    let mut wrong = client.at_terminal("heroku login -i")?;
    wrong.wait_for("Email")?;
    wrong.enter(&user.email)?;
    wrong.wait_for("Password")?;
    wrong.enter("not-her-password")?;
    let told = wrong.end()?.bad()?.stdout;
    ensure!(told.contains("Invalid credentials"), "a wrong password: {told}");
    log_in(client, &user)?;
    ensure!(client.logged_in(&["auth:whoami"])?.good()?.stdout.trim() == user.email, "somebody else is logged in");
    let token = client.logged_in(&["auth:token"])?.good()?.stdout;
    let basic = as_user(client, token.trim(), &["auth:whoami"])?.good()?;
    ensure!(basic.stdout.trim() == user.email, "{}", basic.both());
    client.logged_in(&["logout"])?.good()?;
    let out = client.logged_in(&["auth:whoami"])?.bad()?;
    ensure!(out.both().contains("not logged in"), "{}", out.both());
    as_user(client, token.trim(), &["auth:whoami"])?.bad()?;
    Ok(())
}

fn log_in(client: &Client, user: &User) -> Result<(), Failure> {
    let mut terminal = client.at_terminal("heroku login -i")?;
    terminal.wait_for("Email")?;
    terminal.enter(&user.email)?;
    terminal.wait_for("Password")?;
    terminal.enter(&user.password)?;
    let told = terminal.end()?.good()?.stdout;
    ensure!(told.contains("Logged in as"), "login -i: {told}");
    Ok(())
}

pub fn login_through_the_browser_and_logout(client: &Client) -> Result<(), Failure> {
    let user = user(client, "barbara")?;
    let mut terminal = client.at_terminal("heroku login")?;
    terminal.wait_for("Press any key")?;
    terminal.enter("")?;
    let shown = terminal.wait_for("Waiting for login")?;
    let mut browser = Browser::new(client.platform.witness().address());
    let from = shown.find("http://127.0.0.1").ok_or_else(|| format!("no address: {shown}"))?;
    let address = shown.get(from..).unwrap_or_default().split_whitespace().next().unwrap_or_default();
    browser.open(address)?;
    ensure!(browser.page.contains("type=\"password\""), "no form to sign in: {}", browser.page);
    browser.send(&[("email", &user.email), ("password", &user.password)])?;
    ensure!(browser.page.contains("Heroku CLI login from"), "no question: {}", browser.page);
    browser.send(&[("answer", "yes")])?;
    let told = terminal.end()?.good()?.stdout;
    ensure!(told.contains("Logged in as"), "login: {told}");
    ensure!(client.logged_in(&["auth:whoami"])?.good()?.stdout.trim() == user.email, "somebody else is logged in");
    let sessions = client.logged_in(&["sessions", "--json"])?.good()?.stdout;
    let sessions: serde_json::Value = serde_json::from_str(&sessions)?;
    let browsers = sessions[0]["id"].as_str().ok_or_else(|| format!("no session: {sessions}"))?;
    ensure!(sessions[0]["description"].as_str().is_some_and(|text| text.starts_with("Browser at")), "{sessions}");
    client.logged_in(&["sessions:destroy", browsers])?.good()?;
    browser.open("/login")?;
    ensure!(browser.page.contains("type=\"password\""), "a destroyed session is signed in: {}", browser.page);
    let token = client.logged_in(&["auth:token"])?.good()?.stdout;
    client.logged_in(&["logout"])?.good()?;
    as_user(client, token.trim(), &["auth:whoami"])?.bad()?;
    Ok(())
}

pub fn login_with_a_second_factor(client: &Client) -> Result<(), Failure> {
    let user = user(client, "katherine")?;
    log_in(client, &user)?;
    ensure!(client.logged_in(&["2fa"])?.good()?.stdout.contains("not enabled"), "it is on already");
    let mut browser = Browser::new(client.platform.witness().address());
    browser.open("/login/two-factor")?;
    browser.send(&[("email", &user.email), ("password", &user.password)])?;
    let spelled = browser.page.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next());
    let secret = spelled.ok_or_else(|| format!("no secret: {}", browser.page))?.replace(' ', "");
    browser.send(&[("code", &code(&secret)?), ("password", &user.password)])?;
    let codes: Vec<String> =
        browser.page.split("<li><code>").skip(1).filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect();
    ensure!(codes.len() == 10, "no recovery codes: {}", browser.page);
    ensure!(client.logged_in(&["2fa"])?.good()?.stdout.contains("is enabled"), "it is not on");
    client.logged_in(&["logout"])?.good()?;
    for (given, good) in [("000000", false), (&codes[0], true), (&codes[0], false)] {
        let mut terminal = client.at_terminal("heroku login -i")?;
        terminal.wait_for("Email")?;
        terminal.enter(&user.email)?;
        terminal.wait_for("Password")?;
        terminal.enter(&user.password)?;
        terminal.wait_for("Two-factor code")?;
        terminal.enter(given)?;
        let told = terminal.end()?;
        ensure!(told.status.success() == good, "login with {given}: {}", told.stdout);
    }
    client.platform.slipway(&["users", "disable-2fa", &user.email])?.good()?;
    log_in(client, &user)
}

/// What an authenticator shows: RFC 6238, of the step after this one, since this one's may be used up.
fn code(secret: &str) -> Result<String, Failure> {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes())?;
    let step = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 30;
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key)?;
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 0xf);
    let bits = u32::from_be_bytes([hash[offset], hash[offset + 1], hash[offset + 2], hash[offset + 3]]) & 0x7fff_ffff;
    Ok(format!("{:06}", bits % 1_000_000))
}

pub fn authorizations_are_made_shown_rotated_and_revoked(client: &Client) -> Result<(), Failure> {
    let made =
        client.heroku(&["authorizations:create", "-d", "for a robot", "-e", "3600", "-s", "read"])?.good()?.stdout;
    let (id, token) = (after(&made, "ID:")?, after(&made, "Token:")?);
    ensure!(made.contains("in about 1 hour"), "no end: {made}");
    as_user(client, &token, &["auth:whoami"])?.good()?;
    ensure!(client.heroku(&["authorizations"])?.good()?.stdout.contains("for a robot"), "not listed");
    client.heroku(&["authorizations:update", &id, "-d", "for another robot"])?.good()?;
    let shown = client.heroku(&["authorizations:info", &id])?.good()?.stdout;
    ensure!(shown.contains("for another robot") && !shown.contains(&token), "{shown}");
    let rotated = after(&client.heroku(&["authorizations:rotate", &id])?.good()?.stdout, "Token:")?;
    as_user(client, &token, &["auth:whoami"])?.bad()?;
    as_user(client, &rotated, &["auth:whoami"])?.good()?;
    client.heroku(&["authorizations:revoke", &id])?.good()?;
    as_user(client, &rotated, &["auth:whoami"])?.bad()?;
    let gone = client.heroku(&["authorizations:info", &id])?.bad()?;
    ensure!(gone.both().contains("Couldn't find that authorization"), "{}", gone.both());
    Ok(())
}

pub fn clients_are_made_shown_changed_and_destroyed(client: &Client) -> Result<(), Failure> {
    let made = client.heroku(&["clients:create", "Amazing", "https://amazing.example/callback"])?.good()?.stdout;
    let (id, secret) = (after(&made, "HEROKU_OAUTH_ID=")?, after(&made, "HEROKU_OAUTH_SECRET=")?);
    ensure!(client.heroku(&["clients"])?.good()?.stdout.contains("Amazing"), "not listed");
    client.heroku(&["clients:update", &id, "--name", "Stunning", "--url", "http://localhost:3000/back"])?.good()?;
    let shown = client.heroku(&["clients:info", &id, "--json"])?.good()?.stdout;
    ensure!(shown.contains("Stunning") && shown.contains("localhost:3000") && shown.contains(&secret), "{shown}");
    let rotated = client.heroku(&["clients:rotate", &id, "--shell"])?.good()?.stdout;
    ensure!(after(&rotated, "HEROKU_OAUTH_SECRET=")? != secret, "the secret is the old one");
    client.heroku(&["clients:destroy", &id])?.good()?;
    client.heroku(&["clients:info", &id])?.bad()?;
    Ok(())
}

pub fn keys_are_added_listed_and_removed(client: &Client) -> Result<(), Failure> {
    let folder = client.platform.scratch()?;
    let mut files = vec![];
    for (kind, comment) in [("ed25519", "laptop"), ("ecdsa", "desk"), ("rsa", "old")] {
        let file = folder.path().join(kind);
        let path = file.display().to_string();
        e2e::run(
            std::process::Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-C", comment, "-f", &path]),
        )?
        .good()?;
        files.push(format!("{path}.pub"));
    }
    for file in &files {
        client.heroku(&["keys:add", file])?.good()?;
    }
    let again = client.heroku(&["keys:add", &files[0]])?.bad()?;
    ensure!(again.both().contains("already been taken"), "{}", again.both());
    let listed = client.heroku(&["keys", "--json"])?.good()?.stdout;
    let told = e2e::run(std::process::Command::new("ssh-keygen").args(["-l", "-E", "md5", "-f", &files[0]]))?.good()?;
    let fingerprint = told.stdout.split("MD5:").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("none");
    ensure!(listed.contains(fingerprint), "{fingerprint} is not in {listed}");
    let keys: serde_json::Value = serde_json::from_str(&listed)?;
    for identity in [keys[0]["id"].as_str().ok_or("a key without an id")?, fingerprint] {
        client.read(&format!("/account/keys/{identity}"))?;
    }
    client.heroku(&["keys:remove", "desk"])?.good()?;
    ensure!(!client.heroku(&["keys"])?.good()?.stdout.contains("desk"), "still there");
    client.heroku(&["keys:clear"])?.good()?;
    ensure!(client.heroku(&["keys"])?.good()?.both().contains("no SSH keys"), "not clear");
    fs::write(folder.path().join("no.pub"), "no key")?;
    client.heroku(&["keys:add", &folder.path().join("no.pub").display().to_string()])?.bad()?;
    Ok(())
}

/// Secrets of every kind go in through the front door; none of them is in a file of the store, nor in the log.
pub fn no_secret_is_written_down(client: &Client) -> Result<(), Failure> {
    let user = user(client, "dorothy")?;
    let token = client.platform.slipway(&["users", "token", &user.email])?.good()?.stdout.trim().to_owned();
    let mut browser = Browser::new(client.platform.witness().address());
    browser.open("/login/two-factor")?;
    browser.send(&[("email", &user.email), ("password", "canary-wrong-password")])?;
    browser.send(&[("email", &user.email), ("password", &user.password)])?;
    browser.open("/login/two-factor")?;
    let spelled = browser.page.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next());
    let secret = spelled.ok_or_else(|| format!("no secret: {}", browser.page))?.replace(' ', "");
    browser.send(&[("code", &code(&secret)?), ("password", &user.password)])?;
    let recovery = browser.page.split("<li><code>").nth(1).and_then(|rest| rest.split('<').next()).ok_or("no code")?;
    let recovery = recovery.replace(' ', "");
    let made = as_user(client, &token, &["clients:create", "Canary", "https://canary.example/"])?.good()?.stdout;
    let client_secret = after(&made, "HEROKU_OAUTH_SECRET=")?;
    let app = client.repository("hello")?.create()?;
    client.heroku(&["config:set", "--app", &app, "CANARY=canary-config-var-4711"])?.good()?;
    as_user(client, "HRKU-canary-unknown-token-canary-unknown", &["auth:whoami"])?.bad()?;

    let data = client.platform.data();
    let mut files: Vec<_> = ["store/slipway.db", "store/slipway.db-wal"].map(|name| data.join(name)).into();
    files.extend(files_under(&data.join("logs"))?);
    let mut haystacks: Vec<(String, Vec<u8>)> = vec![("the log".to_owned(), client.platform.log()?.into_bytes())];
    for file in files {
        haystacks.push((file.display().to_string(), fs::read(&file)?));
    }
    let canaries = [
        ("password", user.password.as_str()),
        ("wrong password", "canary-wrong-password"),
        ("token", &token),
        ("unknown token", "HRKU-canary-unknown-token"),
        ("second factor's secret", &secret),
        ("recovery code", &recovery),
        ("client's secret", &client_secret),
        ("config var", "canary-config-var-4711"),
    ];
    let email = haystacks.iter().any(|(_, bytes)| holds(bytes, &user.email));
    ensure!(email, "the search does not even find the email");
    for (place, bytes) in &haystacks {
        for (what, canary) in canaries {
            ensure!(!holds(bytes, canary), "a {what} is in {place}");
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn files_under(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let mut files = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_under(&path)?) } else { files.push(path) }
    }
    Ok(files)
}
