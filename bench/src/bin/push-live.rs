//! How long it takes from `git push` to the first answer of the new release, and where the time goes.
//!
//! A platform of its own, the app `examples/hello`, everything warm: each run changes the file `VERSION`, commits,
//! pushes, and asks the app every 5 ms on one connection until it answers with the new version.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bench::{Figures, Moment, milliseconds, moments};
use e2e::{Client, Connection, Failure, Platform, Repository};

const WARM_UPS: u32 = 2;
const RUNS: u32 = 10;
/// How often the app is asked.
const ASK: Duration = Duration::from_millis(5);
/// Between runs, so that the old dyno's end is not part of the next.
const REST: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
/// After how long a push is given up.
const LIMIT: Duration = Duration::from_mins(1);

/// One push.
struct Run {
    live: Duration,
    exit: Duration,
    /// What the log told, counted from the push's begin.
    steps: Vec<Moment>,
}

/// All pushes.
#[derive(Default)]
struct Told {
    live: Figures,
    exit: Figures,
    steps: BTreeMap<String, Figures>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let platform = Platform::start_with(&["--log", "info,timing=debug"])?;
    let client = Client::new(&platform)?;
    let (repository, app) = client.deploy("hello")?;
    let stored = stored(&client, &repository)?;
    let mut told = Told::default();
    for number in 0..WARM_UPS + RUNS {
        let run = run(&client, &repository, &app, &format!("bench-{number}"), &stored)?;
        if number >= WARM_UPS {
            told.take(run);
        }
    }
    told.print();
    let helped = run(&client, &repository, &app, "bench-helper", &[])?;
    let (live, exit) = (milliseconds(helped.live), milliseconds(helped.exit));
    println!("with the official command as credential helper, once: live {live} ms, exit {exit} ms");
    Ok(())
}

/// Git's settings for a credential in git's own store, and no other helper.
fn stored(client: &Client<'_>, repository: &Repository<'_>) -> Result<Vec<String>, Failure> {
    let remote = repository.git(&["remote", "get-url", "heroku"])?.good()?.stdout;
    let (scheme, rest) = remote.trim().split_once("://").ok_or("a remote without a scheme")?;
    let host = rest.split('/').next().unwrap_or_default();
    let file = repository.folder().join(".git/stored-credentials");
    fs::write(&file, format!("{scheme}://heroku:{}@{host}\n", client.export("HEROKU_API_KEY")?))?;
    let store = format!("credential.helper=store --file={}", file.display());
    Ok(["-c", "credential.helper=", "-c", &store].map(str::to_owned).to_vec())
}

fn run(
    client: &Client<'_>,
    repository: &Repository<'_>,
    app: &str,
    version: &str,
    settings: &[String],
) -> Result<Run, Failure> {
    thread::sleep(REST);
    repository.write("VERSION", &format!("{version}\n"))?;
    repository.commit(version)?;
    let before = client.platform.log()?.len();
    let mut connection = Connection::open(client.address(), &format!("{app}.localhost"))?;
    let mut arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    arguments.extend(["push", "heroku", "main"]);
    let (begun, clock) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
    let (live, exit) = thread::scope(|scope| {
        let live = scope.spawn(|| until_live(&mut connection, version, begun).map_err(|failure| failure.to_string()));
        let exit = repository.git(&arguments).and_then(e2e::Output::good).map(|_| begun.elapsed());
        (live.join(), exit)
    });
    let live = live.map_err(|_| "the asking thread panicked")??;
    let log = client.platform.log()?;
    let today = Duration::from_nanos(u64::try_from(clock.as_nanos() % DAY.as_nanos())?);
    let steps = moments(log.get(before..).unwrap_or_default());
    let steps = steps.into_iter().map(|moment| Moment { at: since(today, moment.at), ..moment }).collect();
    Ok(Run { live, exit: exit?, steps })
}

/// A push around midnight takes no day.
fn since(begun: Duration, at: Duration) -> Duration {
    at.checked_sub(begun).unwrap_or_else(|| (at + DAY).saturating_sub(begun))
}

fn until_live(connection: &mut Connection, version: &str, begun: Instant) -> Result<Duration, Failure> {
    let wanted = format!("\"version\": \"{version}\"");
    while begun.elapsed() < LIMIT {
        let answer = connection.get("/")?;
        if answer.text().contains(&wanted) {
            return Ok(begun.elapsed());
        }
        if answer.status != 200 {
            return Err(format!("the app answered {}: {}", answer.status, answer.text()).into());
        }
        thread::sleep(ASK);
    }
    Err(format!("{version} was never live").into())
}

impl Told {
    fn take(&mut self, run: Run) {
        self.live.add(run.live);
        self.exit.add(run.exit);
        // The tables that matter are those after the new dyno; a step that comes twice counts once.
        let listens = run.steps.iter().find(|moment| moment.step == "dyno listens").map(|moment| moment.at);
        let mut first: BTreeMap<String, Duration> = BTreeMap::new();
        for Moment { step, at } in run.steps {
            if !step.starts_with("routes") || listens.is_some_and(|listens| at >= listens) {
                first.entry(step).or_insert(at);
            }
        }
        for (step, at) in first {
            self.steps.entry(step).or_default().add(at);
        }
    }

    fn print(&self) {
        println!("push to live: {}", self.live);
        println!("push to exit: {}", self.exit);
        println!("\n  since push   since the step before   (medians, ms)");
        let mut steps: Vec<_> = self.steps.iter().map(|(step, figures)| (figures.median(), step)).collect();
        steps.sort();
        let mut before = Duration::ZERO;
        for (at, step) in steps {
            println!("  {:>10}   {:>+21}   {step}", milliseconds(at), milliseconds(at.saturating_sub(before)));
            before = at;
        }
        println!();
    }
}
