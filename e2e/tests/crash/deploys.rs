//! A deploy whose processes die at each of its steps moves the app from release n to n+1, or leaves n (D2).

use std::thread;
use std::time::{Duration, Instant};

use crashpoints::Point;
use e2e::{Client, CrashPoints, Failure, Load, Platform, Repository, ensure};
use serde_json::Value;

/// How long after the crash everything must have come to rest, on a machine that does a deploy in a third of it.
const REST: Duration = Duration::from_secs(10);
/// On one that is slower, so many undisturbed deploys.
const DEPLOYS: u32 = 3;
/// How long a push may take to reach a point.
const PATIENCE: Duration = Duration::from_mins(1);
/// Requests a second to the app, throughout.
const RATE: u32 = 40;
/// What the death of a router may cost: the request of each connection that it held (H12).
const HELD_BY_A_ROUTER: usize = 8;
/// So few releases are kept that each push also ends with a collection.
const FLAGS: [&str; 4] = ["--keep-releases", "2", "--keep-days", "0"];

/// Points that belong to no deploy: the way up and an upgrade have scenarios of their own, and every write is cut in the API's own test
/// (`doors/api/tests/crashes.rs`).
fn is_of_a_deploy(point: Point) -> bool {
    !["supervisor.", "upgrade.", "store."].iter().any(|part| point.name().starts_with(part))
}

struct Stage<'a> {
    client: &'a Client<'a>,
    points: &'a CrashPoints,
    repository: Repository<'a>,
    app: String,
    /// The version that is served, and the commit it was made of.
    served: u32,
    commit: String,
    /// The version that was pushed last.
    pushed: u32,
    /// How long it may take to come to rest.
    rest: Duration,
}

/// Kills at each point once, in the order of the table.
pub fn a_crash_at_any_step_leaves_n_or_n_plus_1(soak: u32) -> Result<(), Failure> {
    let points = CrashPoints::new()?;
    let folder = points.folder().to_string_lossy().into_owned();
    let platform = Platform::start_with(&[&["--crash-points", folder.as_str()], &FLAGS[..]].concat())?;
    let client = Client::new(&platform)?;
    let repository = client.repository_of_app("versions")?;
    let app = repository.create()?;
    repository.push()?.good()?;
    client.get_until(&app, "/", |response| response.text() == "version=1\n")?;
    let commit = head(&repository)?;
    let mut stage =
        Stage { client: &client, points: &points, repository, app, served: 1, commit, pushed: 1, rest: REST };
    let quiet = stage.undisturbed()?;
    stage.rest = REST.max(quiet * DEPLOYS);
    println!("  an undisturbed deploy is at rest after {:.1} s", quiet.as_secs_f64());
    let only = std::env::var("SLIPWAY_POINT").unwrap_or_default();
    let (mut slowest, mut killed) = (Duration::ZERO, 0);
    for nth in 1..=soak {
        for point in Point::ALL.iter().filter(|point| is_of_a_deploy(**point) && point.name().contains(&only)) {
            // Later deaths of one point, where a deploy has them, are for a longer run.
            if nth > 1 && stage.count_of(point.name())? < nth {
                continue;
            }
            let (rest, outcome) = stage
                .crash(point.name(), nth)
                .map_err(|failure| format!("killed at {} ({nth}): {failure}\n{}", point.name(), platform.log_tail()))?;
            println!("  {:<26} {outcome}, at rest after {:.1} s", point.name(), rest.as_secs_f64());
            (slowest, killed) = (slowest.max(rest), killed + 1);
        }
    }
    println!("  killed at {killed} points; the slowest came to rest after {:.1} s", slowest.as_secs_f64());
    nothing_is_left_over(&stage)?;
    drop(stage);
    drop(client);
    platform.end()
}

impl Stage<'_> {
    /// How often one whole deploy passes a point.
    fn count_of(&mut self, point: &str) -> Result<u32, Failure> {
        let before = self.points.reached(point);
        self.undisturbed()?;
        Ok(u32::try_from(self.points.reached(point) - before)?)
    }

    /// A whole deploy; how long it takes.
    fn undisturbed(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.next()?;
        self.repository.push()?.good()?;
        self.settled(begun)
    }

    fn next(&mut self) -> Result<(), Failure> {
        self.pushed += 1;
        self.repository.write("VERSION", &format!("{}\n", self.pushed))?;
        self.repository.commit("another version")
    }

    /// Pushes, dies at the point, and waits for rest. Answers how long that took, and what became of the push.
    fn crash(&mut self, point: &str, nth: u32) -> Result<(Duration, String), Failure> {
        let load = Load::start_at(self.client.address(), &format!("{}.localhost", self.app), RATE);
        self.next()?;
        self.points.arm(point, nth)?;
        let begun = Instant::now();
        let (pushed, died) = thread::scope(|scope| {
            let points = self.points;
            let died = scope.spawn(move || {
                while !points.fired() && begun.elapsed() < PATIENCE {
                    thread::sleep(Duration::from_millis(5));
                }
                points.fired().then(Instant::now)
            });
            (self.repository.push(), died.join())
        });
        self.points.disarm();
        let died = died.map_err(|_| "the watch panicked")?.ok_or("no deploy reaches it")?;
        let before = self.served;
        let rest = self.settled(died)?;
        let report = load.finish();
        let allowed = if point.starts_with("router.") { HELD_BY_A_ROUTER } else { 0 };
        ensure!(report.failed.len() <= allowed, "{} requests failed: {:#?}", report.failed.len(), report.failed);
        ensure!(rest <= self.rest, "it came to rest after {:.1} s", rest.as_secs_f64());
        let said = if pushed?.status.success() { "the push succeeded" } else { "the push was cut off" };
        let moved = if self.served == before { "n stays" } else { "n+1" };
        Ok((rest, format!("{moved}, {said}")))
    }

    /// Waits until the app is wholly on the release before or the one that was pushed; how long after `since`.
    fn settled(&mut self, since: Instant) -> Result<Duration, Failure> {
        loop {
            let state = self.look();
            match state {
                Ok(None) => return Ok(since.elapsed()),
                _ if since.elapsed() < self.rest * 3 => thread::sleep(Duration::from_millis(50)),
                Ok(Some(told)) => return Err(told.into()),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// What is not at rest, if anything.
    fn look(&mut self) -> Result<Option<String>, Failure> {
        let builds = self.list("builds")?;
        let releases = self.list("releases")?;
        let pending = |rows: &[Value]| rows.iter().any(|row| row["status"] == "pending");
        if pending(&builds) || pending(&releases) {
            return Ok(Some("a build or a release is pending".to_owned()));
        }
        let commit = head(&self.repository)?;
        let built = builds.iter().find(|build| build["source_blob"]["version"] == commit.as_str());
        let deployed = built.is_some_and(|build| build["status"] == "succeeded");
        let current = releases.iter().find(|release| release["current"] == true);
        let its_release = built.map(|build| build["release"]["id"].clone()).filter(|id| !id.is_null());
        let is_current = current.map(|release| release["id"].clone()) == its_release;
        if deployed && !is_current {
            return Ok(Some(format!("the build succeeded and its release is not current: {current:?}")));
        }
        let version = if deployed { self.pushed } else { self.served };
        let expected = if deployed { commit } else { self.commit.clone() };
        let answer = self.client.get(&self.app, "/")?;
        if answer.text() != format!("version={version}\n") {
            return Ok(Some(format!("it serves {} and not version {version}", answer.text().trim())));
        }
        let branch = self.repository.git(&["ls-remote", "heroku", "refs/heads/main"])?.good()?.stdout;
        if !branch.starts_with(&expected) {
            return Ok(Some(format!("the branch is {branch} and what runs is {expected}")));
        }
        let held = self.client.platform.held()?;
        if !held.fits(1) {
            return Ok(Some(format!("one dyno runs, and it holds {held:?}")));
        }
        (self.served, self.commit) = (version, expected);
        Ok(None)
    }

    fn list(&self, what: &str) -> Result<Vec<Value>, Failure> {
        let answer = self.client.api("GET", &format!("/apps/{}/{what}", self.app), "")?;
        ensure!(answer.status < 300, "{what}: {} {}", answer.status, answer.text());
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

fn head(repository: &Repository) -> Result<String, Failure> {
    Ok(repository.git(&["rev-parse", "HEAD"])?.good()?.stdout.trim().to_owned())
}

/// After all the crashes the collection has found whatever they left: the blobs and images of two slugs.
fn nothing_is_left_over(stage: &Stage) -> Result<(), Failure> {
    let data = stage.client.platform.data();
    let files = |folder: &str| walk(&data.join(folder)).len();
    e2e::until("only two slugs are kept", || Ok(files("blobs") == 2 && files("images") == 2)).map_err(|failure| {
        format!("{failure}: {:?} {:?}", walk(&data.join("blobs")), walk(&data.join("images"))).into()
    })
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] }).collect()
}

/// The supervisor dies at each step of its way up; the next `slipway up` comes up all the same.
pub fn a_supervisor_that_dies_on_its_way_up(_: u32) -> Result<(), Failure> {
    let points = CrashPoints::new()?;
    let folder = points.folder().to_string_lossy().into_owned();
    let mut platform = Platform::start_with(&["--crash-points", &folder])?;
    let app = {
        let client = Client::new(&platform)?;
        let app = client.deploy_app("versions")?;
        client.get_until(&app, "/", |response| response.status == 200)?;
        app
    };
    platform.kill_supervisor()?;
    for point in Point::ALL.iter().filter(|point| point.name().starts_with("supervisor.")) {
        points.arm(point.name(), 1)?;
        let ended = platform.up_and_die()?;
        ensure!(points.fired(), "slipway up did not reach {}: {ended}", point.name());
    }
    platform.up_again()?;
    let client = Client::new(&platform)?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    e2e::until("one dyno is all it holds", || Ok(platform.held()?.fits(1)))?;
    drop(client);
    platform.end()
}
