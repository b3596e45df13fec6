//! How fast the API answers reads, and what an idle platform takes of its machine.
//!
//! A platform of its own. First one app and nobody who asks: memory and processor time of each process over a minute.
//! Then a hundred apps and twenty clients, each on a connection of its own, who read one thing after the other.

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use bench::{Figures, Process, processes};
use e2e::{Client, Connection, Failure, Platform, ensure};

const APPS: usize = 100;
const CLIENTS: usize = 20;
/// Of each kind by each client. With what it takes to make the apps this stays below an hour's limit of one account.
const ROUNDS: usize = 40;
/// Before idleness is measured: what a deploy left to do.
const REST: Duration = Duration::from_secs(15);
const IDLE: Duration = Duration::from_mins(1);
/// The budget of one read (p99), and of the whole idle platform.
const READ: Duration = Duration::from_millis(20);
const MEMORY_KIB: u64 = 150 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let platform = Platform::start()?;
    let client = Client::new(&platform)?;
    let (_repository, app) = client.deploy("hello")?;
    idle(&platform)?;
    for number in 1..APPS {
        let body = format!("{{\"name\": \"bench-{number}\"}}");
        let made = client.api("POST", "/apps", &body)?;
        ensure!(made.status == 201, "no app {number}: {} {}", made.status, made.text());
    }
    reads(&client, &app)?;
    platform.end()
}

fn idle(platform: &Platform) -> Result<(), Failure> {
    thread::sleep(REST);
    let (install, data) = (platform.install()?, platform.data().display().to_string());
    let look = || processes(&[&install, &data]);
    let before = look()?;
    thread::sleep(IDLE);
    let after = look()?;
    println!("idle, one app, nobody asks:\n");
    println!("  {:<24} {:>10} {:>10} {:>16}", "process", "PSS MiB", "RSS MiB", "CPU ms a minute");
    for process in &after {
        let begun = before.iter().find(|known| known.pid == process.pid).map(|known| known.cpu);
        let used = process.cpu.saturating_sub(begun.unwrap_or_default()).as_millis();
        println!("  {:<24} {:>10} {:>10} {used:>16}", process.name, mib(process.pss_kib), mib(process.rss_kib));
    }
    let whole: u64 = after.iter().map(|process: &Process| process.pss_kib).sum();
    println!(
        "  {:<24} {:>10}   {}\n",
        "all",
        mib(whole),
        verdict(whole <= MEMORY_KIB, &format!("{} MiB", MEMORY_KIB >> 10))
    );
    Ok(())
}

fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}

fn verdict(met: bool, budget: &str) -> String {
    format!("budget {budget}: {}", if met { "met" } else { "MISSED" })
}

/// All clients at once; each asks for each kind in turn, so that whatever disturbs the machine disturbs all alike.
fn reads(client: &Client<'_>, app: &str) -> Result<(), Failure> {
    let token = format!("Bearer {}", client.export("HEROKU_API_KEY")?);
    let headers = [("Authorization", token.as_str()), ("Accept", "application/vnd.heroku+json; version=3")];
    let (address, barrier) = (client.address(), Barrier::new(CLIENTS));
    let one = |number: usize| -> Result<Vec<(usize, Duration)>, String> {
        let mut connection = Connection::open(address, "localhost").map_err(|error| error.to_string())?;
        let mut told = vec![];
        barrier.wait();
        for round in 0..ROUNDS {
            for (kind, path) in paths(app, number * ROUNDS + round).iter().enumerate() {
                let begun = Instant::now();
                let answer = connection.get_with(path, &headers).map_err(|error| format!("{path}: {error}"))?;
                told.push((kind, begun.elapsed()));
                if ![200, 206].contains(&answer.status) {
                    return Err(format!("{path}: {} {}", answer.status, answer.text()));
                }
            }
        }
        Ok(told)
    };
    let begun = Instant::now();
    let told: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || one(number))).collect();
        clients.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let took = begun.elapsed();
    let mut kinds = vec![Figures::default(); paths(app, 0).len()];
    for (kind, time) in told
        .into_iter()
        .map(|one| one.map_err(|_| "a client panicked".to_owned())?)
        .collect::<Result<Vec<_>, String>>()?
        .concat()
    {
        kinds[kind].add(time);
    }
    print(&kinds, took);
    Ok(())
}

/// What is read, of one app after the other; processes has only the one that was deployed.
fn paths(deployed: &str, turn: usize) -> [String; 5] {
    let number = turn % APPS;
    let app = if number == 0 { deployed.to_owned() } else { format!("bench-{number}") };
    [
        "/apps".to_owned(),
        format!("/apps/{app}"),
        format!("/apps/{deployed}/formation"),
        format!("/apps/{app}/releases"),
        format!("/apps/{app}/config-vars"),
    ]
}

fn print(kinds: &[Figures], took: Duration) {
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    let asked: usize = kinds.iter().map(Figures::runs).sum();
    println!("{APPS} apps, {CLIENTS} clients, {asked} reads in {:.1} s:\n", took.as_secs_f64());
    println!("  {:<28} {:>8} {:>8} {:>8}   (ms)", "GET", "p50", "p99", "max");
    for (path, kind) in paths("{app}", 0).iter().zip(kinds) {
        let p99 = kind.percentile(99);
        let told = verdict(p99 <= READ, &format!("{} ms", READ.as_millis()));
        println!("  {path:<28} {:>8} {:>8} {:>8}   {told}", ms(kind.median()), ms(p99), ms(kind.percentile(100)));
    }
}
