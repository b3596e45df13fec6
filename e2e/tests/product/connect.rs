//! `slipway connect`: a machine that reaches the platform over no loopback works as one that is the platform's own.

use std::fs::File;
use std::process::{Child, Stdio};

use e2e::{Client, Failure, ensure, run};

use super::commands::until;

pub fn a_laptop_works_as_the_platforms_own_machine(client: &Client) -> Result<(), Failure> {
    let mut laptop = client.elsewhere("lena@example.com")?;
    let url = format!("https://{}", client.platform.outer_address());
    // Without the agent there is nothing on its loopback.
    laptop.exports_from(&format!("export HEROKU_HOST='http://{}'", client.platform.address()));
    laptop.heroku(&["auth:whoami"])?.bad()?;
    let fingerprint = fingerprint(client)?;
    let _agent = Agent::start(&laptop, &[&url, "--fingerprint", &fingerprint])?;
    laptop.exports_from(&run(&mut laptop.slipway(&["connect", "env"])?)?.good()?.stdout);
    let whoami = laptop.heroku(&["auth:whoami"])?.good()?.stdout;
    ensure!(whoami.trim() == "lena@example.com", "whoami said {whoami:?}");

    let (repository, app) = laptop.deploy("hello")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    let mut shell = repository.at_terminal("heroku run bash")?;
    shell.wait_for("$ ")?;
    shell.enter("stty size; echo $((6 * 7)) from $DYNO")?;
    shell.wait_for("37 101")?;
    shell.wait_for("42 from run.")?;
    shell.enter("exit 3")?;
    shell.end()?;
    let status = repository.heroku(&["run", "-x", "--", "exit 5"])?.status.code();
    ensure!(status == Some(5), "the status is {status:?}");

    let seen = laptop.home().join("tail");
    let mut command = repository.command();
    let mut tail = command.args(["logs", "--tail"]).stdin(Stdio::null()).stdout(File::create(&seen)?).spawn()?;
    client.get(&app, "/seen-from-afar")?;
    let told = until("the tail shows a request", || Ok(std::fs::read_to_string(&seen)?.contains("/seen-from-afar")));
    tail.kill()?;
    tail.wait()?;
    told
}

pub fn another_authority_is_refused(client: &Client) -> Result<(), Failure> {
    let laptop = client.elsewhere("otto@example.com")?;
    let url = format!("https://{}", client.platform.outer_address());
    let fingerprint = fingerprint(client)?;
    // Nobody is there to be asked.
    let unknown = run(&mut laptop.slipway(&["connect", &url])?)?.bad()?;
    ensure!(unknown.stderr.contains(&fingerprint), "{}", unknown.both());
    let wrong = "ab".repeat(32);
    let refused = run(&mut laptop.slipway(&["connect", &url, "--fingerprint", &wrong])?)?.bad()?;
    ensure!(refused.stderr.contains("REFUSED") && refused.stderr.contains(&fingerprint), "{}", refused.both());
    // A person at a terminal is asked once.
    let line = format!("{} connect {url} --listen 127.0.0.1:5081", e2e::slipway_program()?.display());
    let mut asked = laptop.at_terminal(&line)?;
    asked.wait_for(&fingerprint)?;
    asked.wait_for("Type yes:")?;
    asked.enter("yes")?;
    asked.wait_for("is at http://127.0.0.1:5081")?;
    asked.press("\u{3}")?;
    // Ctrl-C ended the shell above it as well.
    ensure!(asked.end()?.status.code() == Some(130), "Ctrl-C does not end it");
    let known = laptop.home().join(".config/slipway/platforms");
    let folder = std::fs::read_dir(&known)?.next().ok_or("nothing is remembered")??.path();
    // What it would see if somebody stood in between: another authority than the one it knows.
    let public = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt")?;
    let other = public.split_inclusive("-----END CERTIFICATE-----\n").next().ok_or("this machine trusts nobody")?;
    std::fs::write(folder.join("ca.pem"), other)?;
    let changed = run(&mut laptop.slipway(&["connect", &url])?)?.bad()?;
    ensure!(changed.stderr.contains("REFUSED") && changed.stderr.contains(&fingerprint), "{}", changed.both());
    // The operator's word is worth more than what was remembered.
    drop(Agent::start(&laptop, &[&url, "--fingerprint", &fingerprint])?);
    drop(Agent::start(&laptop, &[&url])?);
    Ok(())
}

/// What the operator reads on the platform's machine.
fn fingerprint(client: &Client) -> Result<String, Failure> {
    let told = client.platform.slipway(&["doctor"])?.stdout;
    let found = told.split_once("fingerprint ").and_then(|(_, rest)| rest.split_whitespace().next());
    Ok(found.ok_or_else(|| format!("doctor tells no fingerprint: {told}"))?.to_owned())
}

/// An agent that runs until it is dropped.
struct Agent(Child);

impl Agent {
    fn start(laptop: &Client, arguments: &[&str]) -> Result<Self, Failure> {
        let log = laptop.home().join("agent.log");
        let mut command = laptop.slipway(&[&["connect"], arguments].concat())?;
        let child = command.stdin(Stdio::null()).stdout(File::create(&log)?).stderr(File::create(&log)?).spawn()?;
        let agent = Self(child);
        until("the agent listens", || Ok(std::fs::read_to_string(&log)?.contains("until Ctrl-C")))?;
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
