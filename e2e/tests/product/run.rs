//! `heroku run`: as good as a shell on the dyno.

use std::fs;
use std::process::Stdio;

use e2e::{Client, Failure, Output, Repository, Terminal, ensure};
use sha2::{Digest, Sha256};

use super::commands::until;

/// How much goes through a pipe: more than any buffer on the way holds.
const LARGE: usize = 10_000_000;

pub fn a_command_runs_in_a_terminal(client: &Client) -> Result<(), Failure> {
    let (repository, _) = client.deploy("hello")?;
    repository.heroku(&["config:set", "COLOUR=blue"])?.good()?;
    let output = type_at(&repository, "run -- 'stty size; tty; echo $COLOUR $DYNO; ls --color=auto -d /tmp'")?.end()?;
    let shown = output.good()?.stdout;
    for wanted in ["37 101", "/dev/pts/0", "blue run.", "\u{1b}[0m", "up, run."] {
        ensure!(shown.contains(wanted), "{wanted:?} is missing: {shown:?}");
    }
    let mut shell = type_at(&repository, "run bash")?;
    shell.wait_for("$ ")?;
    shell.enter("echo $((6 * 7)) > answer; cat answer")?;
    shell.wait_for("42\r")?;
    shell.enter("exit")?;
    shell.end()?.good()?;
    editor(&repository)?;
    let mut sleeper = type_at(&repository, "run -x -- 'echo asleep; sleep 600'")?;
    sleeper.wait_for("asleep\r")?;
    sleeper.press("\u{3}")?;
    let woken = sleeper.end()?;
    ensure!(woken.status.code() == Some(130), "Ctrl-C: {} {}", woken.status, woken.both());
    Ok(())
}

/// An editor draws its screen, takes keys and goes.
fn editor(repository: &Repository) -> Result<(), Failure> {
    let mut editor = type_at(repository, "run -- 'nano note; echo kept: $(cat note)'")?;
    editor.wait_for("GNU nano")?;
    editor.press("written by hand\u{18}y\r")?;
    let shown = editor.end()?.good()?.stdout;
    ensure!(shown.contains("kept: written by hand"), "the editor kept nothing: {shown:?}");
    Ok(())
}

pub fn a_command_tells_how_it_ended(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.write("Procfile", "web: node index.js\ngreet: echo hello\n")?;
    repository.commit("a process type that greets")?;
    let app = repository.create()?;
    repository.push()?.good()?;
    let status = |line: &str| Ok::<_, Failure>(repository.heroku(&["run", "-x", "--", line])?.status.code());
    for (line, expected) in [("exit 3", 3), ("true", 0), ("false", 1), ("kill -TERM $$", 143), ("no-such-program", 127)]
    {
        let ended = status(line)?;
        ensure!(ended == Some(expected), "{line}: {ended:?}");
    }
    let through = type_at(&repository, "run -x 'exit 3'")?.end()?;
    ensure!(through.status.code() == Some(3), "in a terminal: {} {}", through.status, through.both());
    let plain = repository.heroku(&["run", "-x", "--", "printf 'a b'"])?.good()?;
    ensure!(plain.stdout == "a b", "the output is {:?}", plain.stdout);
    let env =
        repository.heroku(&["run", "-e", "ONE=1;TWO=a b", "-s", "standard-2x", "--", "echo $ONE $TWO"])?.good()?;
    ensure!(env.stdout == "1 a b\n", "the output is {:?}", env.stdout);
    // A process type stands for its command, which takes arguments.
    let greeting = repository.heroku(&["run", "-x", "--", "greet", "--all", "of", "you"])?.good()?.stdout;
    ensure!(greeting == "hello --all of you\n", "the greeting is {greeting:?}");
    let unknown = client.heroku(&["run", "--app", "no-such-app", "true"])?.bad()?;
    ensure!(unknown.both().contains("Couldn't find that app"), "{}", unknown.both());
    let empty = client.repository("hello")?;
    empty.create()?;
    let nothing = empty.heroku(&["run", "true"])?.bad()?;
    ensure!(nothing.both().contains("no code"), "{}", nothing.both());
    let lines = repository.heroku(&["logs", "--num", "500", "--app", &app])?.good()?.stdout;
    for wanted in ["Starting process with command `exit 3` by user", "Awaiting client", "Process exited with status 3"]
    {
        ensure!(lines.contains(wanted), "{wanted:?} is missing: {lines}");
    }
    Ok(())
}

pub fn pipes_carry_everything(client: &Client) -> Result<(), Failure> {
    let (repository, _) = client.deploy("hello")?;
    let text: Vec<u8> = (0..LARGE).map(|place| b"0123456789abcdef\n"[place % 17]).collect();
    for options in [&["--no-tty"][..], &[]] {
        let arguments = [&["run"][..], options, &["--", "cat"]].concat();
        let through = piped(&repository, &arguments, &text)?.good()?.stdout.into_bytes();
        ensure!(through.len() == text.len(), "{} bytes of {} came back", through.len(), text.len());
        ensure!(Sha256::digest(&through) == Sha256::digest(&text), "the bytes that came back are others");
    }
    let counted =
        piped(&repository, &["run", "--no-tty", "--", "wc -c; echo one >&2; echo two; echo three >&2"], b"x\ny")?;
    ensure!(counted.good()?.stdout == "3\none\ntwo\nthree\n", "the order is lost");
    Ok(())
}

pub fn a_detached_dyno_is_seen_and_stopped(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    let started = repository.heroku(&["run:detached", "--", "echo from afar; sleep 600"])?.good()?;
    let name = name_in(&started)?;
    until("its output is in the log", || {
        Ok(repository.heroku(&["logs", "--dyno-name", &name])?.good()?.stdout.contains("from afar"))
    })?;
    let listed = repository.heroku(&["ps"])?.good()?.stdout;
    ensure!(listed.contains(&format!("{name} (Standard-1X): up")), "ps said: {listed}");
    ensure!(listed.contains("echo from afar; sleep 600"), "ps said: {listed}");
    // Neither a restart of the formation nor one of the platform's own processes touches it.
    repository.heroku(&["ps:restart"])?.good()?;
    client.platform.kill("control")?;
    client.platform.kill("engine")?;
    until("it is still there", || {
        Ok(repository.heroku(&["ps"])?.stdout.contains(&format!("{name} (Standard-1X): up")))
    })?;
    repository.heroku(&["ps:wait", "--with-run"])?.good()?;
    repository.heroku(&["ps:stop", "--dyno-name", &name])?.good()?;
    until("it is gone", || Ok(!repository.heroku(&["ps"])?.good()?.stdout.contains(&name)))?;
    let lines = repository.heroku(&["logs", "--dyno-name", &name])?.good()?.stdout;
    for wanted in ["Stopping all processes with SIGTERM", "exited with status 143", "State changed from up to complete"]
    {
        ensure!(lines.contains(wanted), "{wanted:?} is missing: {lines}");
    }
    // One that ends by itself leaves its last line, however short it lived.
    let brief = name_in(&repository.heroku(&["run:detached", "echo brief"])?.good()?)?;
    until("its line is in the log", || {
        Ok(repository.heroku(&["logs", "--dyno-name", &brief])?.good()?.stdout.contains("app[run."))
    })?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    repository.heroku(&["ps:kill", "--dyno-name", "web.1"])?.good()?;
    Ok(())
}

pub fn a_session_outlives_control(client: &Client) -> Result<(), Failure> {
    let (repository, _) = client.deploy("hello")?;
    let mut shell = type_at(&repository, "run bash")?;
    shell.wait_for("$ ")?;
    client.platform.kill("control")?;
    client.platform.kill("engine")?;
    shell.enter("echo still $((40 + 2))")?;
    shell.wait_for("still 42")?;
    until("control is back and knows it", || Ok(repository.heroku(&["ps"])?.stdout.contains(": bash")))?;
    shell.enter("exit")?;
    shell.end()?.good()?;
    until("it is gone", || Ok(!repository.heroku(&["ps"])?.good()?.stdout.contains(": bash")))
}

pub fn a_program_runs_inside_a_dyno(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    let look =
        "echo $DYNO; id -u; grep -c . /proc/1/comm; touch /etc/mine; grep -E '^(CapEff|Seccomp):' /proc/self/status";
    let inside = repository.heroku(&["run:inside", "web.1", "--", look])?.good()?.stdout;
    for wanted in ["web.1\n", "1000\n", "Read-only file system", "CapEff:\t0000000000000000", "Seccomp:\t2"] {
        ensure!(inside.contains(wanted), "{wanted:?} is missing: {inside}");
    }
    let mut shell = type_at(&repository, "run:inside web.1 bash")?;
    shell.wait_for("$ ")?;
    shell.enter("cat /proc/*/comm | sort | uniq; exit")?;
    let shown = shell.end()?.good()?.stdout;
    ensure!(shown.contains("node"), "the app is not beside it: {shown:?}");
    let status = repository.heroku(&["run:inside", "-x", "web.1", "--", "exit 5"])?.status.code();
    ensure!(status == Some(5), "the status is {status:?}");
    repository.heroku(&["run:inside", "web.9", "true"])?.bad()?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    Ok(())
}

/// The official command with input from a file.
fn piped(repository: &Repository, arguments: &[&str], input: &[u8]) -> Result<Output, Failure> {
    let file = repository.folder().join("input");
    fs::write(&file, input)?;
    let mut command = repository.command();
    let output = command.args(arguments).stdin(Stdio::from(fs::File::open(file)?)).output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok(Output { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// The official command in a terminal.
fn type_at<'a>(repository: &'a Repository, line: &str) -> Result<Terminal<'a>, Failure> {
    repository.at_terminal(&format!("heroku {line}"))
}

pub fn name_in(output: &Output) -> Result<String, Failure> {
    let text = output.both();
    let name =
        text.split(|letter: char| letter.is_whitespace()).find(|word| word.starts_with("run.") && word.len() == 8);
    Ok(name.ok_or_else(|| format!("no dyno's name: {text}"))?.to_owned())
}
