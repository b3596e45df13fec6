//! The power is cut while apps are made, config vars set and code pushed: what was acknowledged is there when it comes
//! back, and what was not is there whole or not at all (D1a).
//!
//! The data folder is on a disk of its own, an ext4 whose kernel is told to let nothing reach the disk from a moment on,
//! its journal included. Then every process is killed, the disk unmounted and mounted again, as by a machine that starts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::{Client, Disk, Failure, Platform, Repository, ensure, until};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Cuts of a short run.
const CUTS: u32 = 10;
/// The longest time from the beginning of the work to a cut, in ms.
const WITHIN: u64 = 4000;
/// How long the machine is left running behind the cut: nothing may be acknowledged in it.
const BEHIND: Duration = Duration::from_millis(300);

/// What was acknowledged.
#[derive(Debug, Default)]
struct Told {
    /// Apps that were made.
    apps: Vec<String>,
    /// The last value of the config var.
    var: u32,
    /// Branches that were pushed without a build, and their commits.
    branches: BTreeMap<String, String>,
    /// The last commit that was deployed.
    deployed: String,
    /// Writes in all.
    writes: u32,
}

pub fn nothing_acknowledged_is_lost(soak: u32) -> Result<(), Failure> {
    let mut disk = Disk::new()?;
    let mut platform = Platform::start_on(&[], |data| disk.mount(data))?;
    // The first cut is that of a machine that has just come up: its keys and its name are new.
    again(&mut platform, &mut disk, false)?;
    let mut told = Told::default();
    let home = Client::new(&platform)?;
    let repository = home.repository_of_app("versions")?;
    let app = repository.create()?;
    repository.push()?.good()?;
    told.deployed = head(&repository)?;
    made(&home, "counter")?;
    let folder = repository.keep()?;
    drop(home);
    let mut random = u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos());
    for cut in 1..=CUTS * soak {
        // Knuth's generator (MMIX): nothing here needs more.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = Duration::from_millis((random >> 33) % WITHIN);
        let mut run = || -> Result<(), Failure> {
            {
                let client = Client::new(&platform)?;
                work_until_cut(&client, &client.kept(&folder), &disk, cut, after, &mut told)?;
            }
            again(&mut platform, &mut disk, cut % 2 == 0)?;
            let client = Client::new(&platform)?;
            holds(&client, &client.kept(&folder), &app, &mut told)
        };
        run().map_err(|failure| format!("cut {cut}, after {after:?}: {failure}"))?;
        println!(
            "  cut {cut} after {:>4} ms: {} writes acknowledged so far, all there",
            after.as_millis(),
            told.writes
        );
    }
    platform.end()?;
    disk.unmount()
}

/// Cuts off, starts again.
fn again(platform: &mut Platform, disk: &mut Disk, without_images: bool) -> Result<(), Failure> {
    disk.cut()?;
    thread::sleep(BEHIND);
    platform.power_off()?;
    until("nothing has a file of the disk open", || Ok(disk.unmount().is_ok()))?;
    disk.mount(&platform.data())?;
    if without_images {
        // A host's images are copies: the blobs must be enough to run what ran.
        for image in fs::read_dir(platform.data().join("images"))? {
            fs::remove_file(image?.path())?;
        }
    }
    platform.up_again()
}

fn work_until_cut(
    client: &Client,
    repository: &Repository,
    disk: &Disk,
    cut: u32,
    after: Duration,
    told: &mut Told,
) -> Result<(), Failure> {
    let (stop, all) = (AtomicBool::new(false), Mutex::new(std::mem::take(told)));
    let goes_on = || !stop.load(Ordering::SeqCst);
    let outcome = thread::scope(|scope| -> Result<(), Failure> {
        scope.spawn(|| make_apps(client, cut, &all, goes_on));
        scope.spawn(|| set_var(client, &all, goes_on));
        let pushes = scope.spawn(|| push(repository, cut, &all, goes_on).map_err(|failure| failure.to_string()));
        thread::sleep(after);
        let outcome = disk.cut();
        thread::sleep(BEHIND);
        stop.store(true, Ordering::SeqCst);
        // What is under way ends with the processes that serve it.
        client.platform.kill_all_processes()?;
        pushes.join().map_err(|_| "the pusher panicked")??;
        outcome
    });
    *told = all.into_inner().map_err(|_| "a worker panicked")?;
    outcome
}

fn note(all: &Mutex<Told>, write: impl FnOnce(&mut Told)) {
    if let Ok(mut told) = all.lock() {
        told.writes += 1;
        write(&mut told);
    }
}

fn made(client: &Client, name: &str) -> Result<bool, Failure> {
    Ok(client.api("POST", "/apps", &format!("{{\"name\": \"{name}\"}}"))?.status == 201)
}

fn make_apps(client: &Client, cut: u32, all: &Mutex<Told>, goes_on: impl Fn() -> bool) {
    for number in (0..20).take_while(|_| goes_on()) {
        let name = format!("app-{cut}-{number}");
        if made(client, &name).unwrap_or(false) {
            note(all, |told| told.apps.push(name));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn set_var(client: &Client, all: &Mutex<Told>, goes_on: impl Fn() -> bool) {
    let first = all.lock().map(|told| told.var).unwrap_or_default() + 1;
    // A value that was sent and not acknowledged may be there as well: each run begins behind it.
    for value in (first + 1..).take_while(|_| goes_on()) {
        let body = format!("{{\"COUNT\": \"{value}\"}}");
        let answer = client.api("PATCH", "/apps/counter/config-vars", &body);
        if answer.is_ok_and(|answer| answer.status == 200) {
            note(all, |told| told.var = value);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Branches that are not built, and now and then one that is.
fn push(repository: &Repository, cut: u32, all: &Mutex<Told>, goes_on: impl Fn() -> bool) -> Result<(), Failure> {
    for number in (0..).take_while(|_| goes_on()) {
        repository.write("VERSION", &format!("{cut}.{number}\n"))?;
        repository.commit("another version")?;
        let commit = head(repository)?;
        let deploys = number % 2 == 1;
        let branch = if deploys { "main".to_owned() } else { format!("side-{cut}-{number}") };
        let pushed = repository.git(&["push", "--force", "heroku", &format!("HEAD:refs/heads/{branch}")])?;
        if pushed.status.success() && deploys {
            note(all, |told| told.deployed = commit);
        } else if pushed.status.success() {
            note(all, |told| drop(told.branches.insert(branch, commit)));
        }
    }
    Ok(())
}

fn head(repository: &Repository) -> Result<String, Failure> {
    Ok(repository.git(&["rev-parse", "HEAD"])?.good()?.stdout.trim().to_owned())
}

/// What was acknowledged is there, what is there is whole, and what was under way comes to an end.
fn holds(client: &Client, repository: &Repository, app: &str, told: &mut Told) -> Result<(), Failure> {
    let begun = Instant::now();
    let listed = list(client, "/apps")?;
    let names: Vec<&str> = listed.iter().filter_map(|app| app["name"].as_str()).collect();
    let lost: Vec<&String> = told.apps.iter().filter(|app| !names.contains(&app.as_str())).collect();
    ensure!(lost.is_empty(), "apps are lost: {lost:?}");
    for name in names.iter().filter(|name| name.starts_with("app-")) {
        ensure!(!list(client, &format!("/apps/{name}/releases"))?.is_empty(), "half of {name} is there");
    }
    let vars: Value = serde_json::from_slice(&client.api("GET", "/apps/counter/config-vars", "")?.body)?;
    let var = vars["COUNT"].as_str().map_or(Ok(0), str::parse)?;
    ensure!((told.var..=told.var + 2).contains(&var), "the config var is {var}, acknowledged was {}", told.var);
    told.var = var;
    whole_blobs(&client.platform.data().join("blobs"))?;
    comes_to_rest(client, repository, app, told)?;
    let branches = repository.git(&["ls-remote", "heroku"])?.good()?.stdout;
    for (branch, commit) in &told.branches {
        ensure!(branches.contains(&format!("{commit}\trefs/heads/{branch}")), "{branch} is lost:\n{branches}");
    }
    // Whoever clones gets every object that a branch leads to.
    repository.git(&["fetch", "--quiet", "--refetch", "heroku"])?.good()?;
    // A branch more for each cut would make the next ones slow.
    told.branches.clear();
    tell_if_slow(begun);
    Ok(())
}

fn tell_if_slow(begun: Instant) {
    if begun.elapsed() > Duration::from_secs(15) {
        println!("  it took {:.1} s to come to rest", begun.elapsed().as_secs_f64());
    }
}

/// No build is pending, the newest release runs, and the branch is what it was made of: the last acknowledged commit,
/// or the one that was on its way.
fn comes_to_rest(client: &Client, repository: &Repository, app: &str, told: &mut Told) -> Result<(), Failure> {
    let ended = || -> Result<Option<String>, Failure> {
        let builds = list(client, &format!("/apps/{app}/builds"))?;
        if builds.iter().any(|build| build["status"] == "pending") {
            return Ok(None);
        }
        let good = builds.iter().filter(|build| build["status"] == "succeeded");
        let newest = good.max_by_key(|build| build["created_at"].as_str().unwrap_or_default());
        let commit = newest.and_then(|build| build["source_blob"]["version"].as_str()).unwrap_or_default().to_owned();
        let branch = repository.git(&["ls-remote", "heroku", "refs/heads/main"])?.good()?.stdout;
        let version = repository.git(&["show", &format!("{commit}:VERSION")])?.good()?.stdout;
        let serves = client.get(app, "/")?.text() == format!("version={version}");
        Ok((branch.starts_with(&commit) && serves).then_some(commit))
    };
    let found = Mutex::new(None);
    until("the app is at rest", || {
        let commit = ended()?;
        let done = commit.is_some();
        *found.lock().map_err(|_| "poisoned")? = commit;
        Ok(done)
    })
    .map_err(|failure| format!("{failure}\n{}", client.platform.log_tail()))?;
    let commit = found.into_inner()?.unwrap_or_default();
    let contains = repository.git(&["merge-base", "--is-ancestor", &told.deployed, &commit])?;
    ensure!(contains.status.success(), "deployed is {commit}, acknowledged was {}", told.deployed);
    told.deployed = commit;
    Ok(())
}

fn list(client: &Client, path: &str) -> Result<Vec<Value>, Failure> {
    let answer = client.api("GET", path, "")?;
    // Lists are told in pages of 1,000 at most.
    ensure!(answer.status == 200 || answer.status == 206, "{path}: {} {}", answer.status, answer.text());
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Every blob has the content it is named by.
fn whole_blobs(folder: &Path) -> Result<(), Failure> {
    for prefix in fs::read_dir(folder)? {
        let prefix = prefix?;
        if prefix.file_name() == "drafts" {
            continue;
        }
        for blob in fs::read_dir(prefix.path())? {
            let blob = blob?.path();
            let digest = Sha256::digest(fs::read(&blob)?);
            let name = data_encoding::HEXLOWER.encode(&digest);
            ensure!(blob.ends_with(&name), "{} holds {name}", blob.display());
        }
    }
    Ok(())
}
