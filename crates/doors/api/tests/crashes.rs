//! Crash safety of the API (D1): every endpoint that changes something, killed before its commit and after it.
//!
//! A request is handled by a process of its own, this program once more, over a copy of a furnished world. Killed before
//! the commit it leaves what was; killed behind it, before the answer, it leaves what an answered request leaves; and
//! what it left is sound, opens again, and is read through the API. Which endpoints there are the router's own table
//! says: one without a case fails, and so does one that reads and writes all the same.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that says what it saw")]

mod crash {
    pub(crate) mod cases;
    pub(crate) mod dump;
    pub(crate) mod furnished;
}
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use axum::body::Body;
use crashpoints::Point;
use http::Method;
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;
use vocabulary::Secret;

use crash::cases::{CASES, Case, RECORD_NOTHING, Who, forgotten};
use crash::dump::{Line, dump, without_novelties};
use crash::furnished::Furnished;
use support::entries::endpoints;
use support::{reopened, request};

/// The word that has this program handle a request.
const CHILD: &str = "handle-one-request";
/// What must be readable through the API whatever happened.
const READS: [&str; 8] = [
    "/apps",
    "/account/keys",
    "/oauth/authorizations",
    "/oauth/clients",
    "/teams",
    "/apps/maguro",
    "/apps/maguro/releases",
    "/teams/acme/members",
];

/// A request for the process that handles it.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    folder: String,
    /// Where points are noted and armed.
    points: String,
    requests: Vec<(String, String, Option<String>, String)>,
    /// Said with each of them.
    password: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if word == CHILD {
        handle(&serde_json::from_reader(std::io::stdin()).unwrap()).await;
        return ExitCode::SUCCESS;
    }
    let forgotten = forgotten();
    assert!(forgotten.is_empty(), "endpoints without a case: {forgotten:#?}");
    let begun = Instant::now();
    let furnished = Box::pin(Furnished::new()).await;
    nothing_is_recorded(&furnished);
    let (mut killed, mut points) = (0, 0);
    for case in CASES.iter().filter(|case| case.path.contains(&word)) {
        points += crashes(&furnished, case).await;
        killed += 1;
    }
    let took = begun.elapsed().as_secs_f64();
    println!("{killed} endpoints were killed at {points} points, and none left a third state ({took:.1} s)");
    if points > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// In the process that may die: one answer's status a line.
async fn handle(order: &Order) {
    let router = reopened(Path::new(&order.folder)).await;
    crashpoints::watch(Path::new(&order.points));
    for (method, path, token, body) in &order.requests {
        let token = token.as_ref().map(Secret::new);
        let request = request(method.parse().unwrap(), path, token.as_ref());
        let request =
            order.password.iter().fold(request, |request, password| request.header("Heroku-Password", password));
        let request = request.body(Body::from(body.clone())).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        println!("{}", answer.status().as_u16());
    }
}

/// Kills an endpoint at each of its points; answers how many there are.
async fn crashes(furnished: &Furnished, case: &Case) -> usize {
    let whole = Run::of(furnished, case, None);
    let what = format!("{} {}", case.method, case.path);
    assert_eq!(whole.statuses, [case.status], "{what}");
    let mut at = BTreeMap::<&str, usize>::new();
    for line in whole.reached.lines() {
        *at.entry(line.split(' ').next().unwrap()).or_default() += 1;
    }
    let (before, after) = (dump(whole.before.path()).await, dump(whole.after.path()).await);
    assert_ne!(before, after, "{what} changed nothing");
    // With more than one write there would be a third state between them.
    let commits = at.get(Point::StoreCommitted.name()).copied();
    assert_eq!(commits, Some(1), "{what} writes {at:?}");
    let after = without_novelties(&after, &before);
    for point in at.keys() {
        let cut = Run::of(furnished, case, Some(point));
        assert_eq!(cut.status.signal(), Some(9), "{what} did not die at {point}");
        let left = dump(cut.after.path()).await;
        if *point == Point::StoreCommitting.name() {
            same(&before, &left, &format!("{what}, killed at {point}"));
        } else {
            same(&after, &without_novelties(&left, &before), &format!("{what}, killed at {point}"));
        }
        reads(furnished, cut.after.path(), &what).await;
    }
    at.len()
}

/// What is in one and not in the other fails the test.
fn same(expected: &[Line], found: &[Line], what: &str) {
    let lost: Vec<&Line> = expected.iter().filter(|line| !found.contains(line)).collect();
    let grown: Vec<&Line> = found.iter().filter(|line| !expected.contains(line)).collect();
    assert!(lost.is_empty() && grown.is_empty(), "{what}: lost {lost:#?}, has {grown:#?}");
    assert_eq!(expected.len(), found.len(), "{what}");
}

/// After the restart the API answers.
async fn reads(furnished: &Furnished, folder: &Path, what: &str) {
    let router = reopened(folder).await;
    for path in READS {
        let asked = request(Method::GET, path, furnished.token(Who::Owner)).body(Body::empty()).unwrap();
        let status = router.clone().oneshot(asked).await.unwrap().status();
        // Some cases end what is read here.
        assert!(status.is_success() || status == 404 || status == 403, "{path} after {what}: {status}");
    }
}

/// Reading endpoints, and those that say so of themselves, reach no point.
fn nothing_is_recorded(furnished: &Furnished) {
    let reading =
        endpoints().filter(|endpoint| endpoint.method == Method::GET && !endpoint.path.starts_with("/streams"));
    let mut all: Vec<(String, String)> = reading.map(|endpoint| ("GET".to_owned(), endpoint.path.to_owned())).collect();
    // A program inside a dyno waits for an engine, which is not here.
    let others = RECORD_NOTHING.iter().filter(|(_, path, _)| !path.ends_with("/dynos/{dyno}"));
    all.extend(others.map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())));
    let token = furnished.token(Who::Owner).map(|token| token.reveal().to_owned());
    let requests = all.iter().map(|(method, path)| {
        let body = if method == "GET" { "" } else { "{}" };
        (method.clone(), furnished.filled(path).replace(['{', '}'], ""), token.clone(), body.to_owned())
    });
    let run = Run::start(furnished, requests.collect(), None, None);
    assert_eq!(run.statuses.len(), all.len(), "a reading endpoint did not answer");
    assert!(run.reached.is_empty(), "an endpoint that is said to record nothing writes:\n{}", run.reached);
}

/// A process that handled requests, and what it left.
struct Run {
    status: ExitStatus,
    statuses: Vec<u16>,
    reached: String,
    before: tempfile::TempDir,
    after: tempfile::TempDir,
}

impl Run {
    fn of(furnished: &Furnished, case: &Case, armed: Option<&str>) -> Self {
        let token = furnished.token(case.who).map(|token| token.reveal().to_owned());
        let (path, body) = (furnished.filled(case.path), furnished.filled(case.body));
        let password = furnished.password(case.who).map(|password| password.reveal().to_owned());
        Self::start(furnished, vec![(case.method.to_owned(), path, token, body)], password, armed)
    }

    fn start(
        furnished: &Furnished,
        requests: Vec<(String, String, Option<String>, String)>,
        password: Option<String>,
        armed: Option<&str>,
    ) -> Self {
        let [before, after, points] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        furnished.copy(before.path());
        furnished.copy(after.path());
        if let Some(point) = armed {
            fs::write(points.path().join("armed"), format!("{point} 1")).unwrap();
        }
        let text = |folder: &tempfile::TempDir| folder.path().to_str().unwrap().to_owned();
        let order = Order { folder: text(&after), points: text(&points), requests, password };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(CHILD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&serde_json::to_vec(&order).unwrap()).unwrap();
        let output = child.wait_with_output().unwrap();
        let statuses = String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        let reached = fs::read_to_string(points.path().join("reached")).unwrap_or_default();
        Self { status: output.status, statuses, reached, before, after }
    }
}
