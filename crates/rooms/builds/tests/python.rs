//! Where a build gets Python and its installers: from the catalogue, an index, or the stack; the engine is simulated.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops; clippy knows only `#[test]` functions")]

mod bench;
mod sim;

use std::collections::BTreeMap;
use std::io::Write as _;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bench::Bench;
use builds::Config;
use inside_contract::{BuildReport, Compiled, Runtime, RuntimeWish};
use sha2::{Digest as _, Sha256};
use sim::{DONE, Inside};
use vocabulary::{BuildStatus, DynoState};

/// Serves an index with a wheel of pip, and builds of Python that are none.
async fn serve() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let wheel = wheel(&[("pip/__main__.py", "main"), ("pip-26.3.dist-info/METADATA", "about")]);
    let sha256: String = data_encoding::HEXLOWER.encode(&Sha256::digest(&wheel));
    let file = serde_json::json!({
        "filename": "pip-26.3-py3-none-any.whl", "url": "../../files/pip.whl", "hashes": { "sha256": sha256 },
    });
    let page = serde_json::json!({ "files": [file] }).to_string();
    let router = Router::new()
        .route("/simple/pip/", get(move || async move { page }))
        .route("/files/pip.whl", get(move || async move { wheel }))
        .route("/python/{release}/{file}", get(|| async { "no Python at all" }))
        .route("/away/{release}/{file}", get(|| async { StatusCode::NOT_FOUND }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn wheel(files: &[(&str, &str)]) -> Vec<u8> {
    let mut wheel = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        wheel.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        wheel.write_all(text.as_bytes()).unwrap();
    }
    wheel.finish().unwrap().into_inner()
}

async fn with_sources(python: &str) -> Bench {
    let url = serve().await;
    let sources = [("pypi", format!("{url}/simple")), ("python", format!("{url}/{python}"))];
    let sources = BTreeMap::from(sources.map(|(name, url)| (name.to_owned(), url)));
    Bench::new(Config { sources, ..Config::default() }).await
}

fn needs(python: &str) -> impl FnOnce(&mut Inside) -> engine::Exit + Send + use<> {
    let wish =
        |name: &str, requirement: &str| RuntimeWish { name: name.to_owned(), requirement: requirement.to_owned() };
    let wishes = vec![wish("python", python), wish("pip", "")];
    move |inside| {
        inside.report(&BuildReport::NeedsRuntimes { runtimes: wishes });
        DONE
    }
}

/// The runner as it packs the stack's own Python.
fn of_the_stack(inside: &mut Inside) -> engine::Exit {
    assert!(inside.source.is_empty() && inside.request.config_vars.is_empty(), "nothing of a tenant is in it");
    inside.write_slug("python");
    inside.report.write_all(br#"{"name": "python", "version": "3.13.5"}"#).unwrap();
    DONE
}

fn compiles(inside: &mut Inside) -> engine::Exit {
    inside.write_slug("app");
    inside.report(&BuildReport::Compiled(Compiled {
        language: "Python".to_owned(),
        buildpacks: vec!["heroku/python".to_owned()],
        detected: Vec::new(),
        process_types: BTreeMap::new(),
        config_vars: BTreeMap::new(),
        runtimes: inside.request.runtimes.clone(),
        cache_written: false,
    }));
    DONE
}

#[tokio::test]
async fn what_cannot_be_fetched_is_the_stack_s_own_and_packed_once() {
    let bench = with_sources("away").await;
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
    bench.sim.next(needs("3.13"));
    bench.sim.next(of_the_stack);
    bench.sim.next(compiles);
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Succeeded, "{output}");
    let runtime = |name: &str, version: &str| Runtime { name: name.to_owned(), version: version.to_owned() };
    let mounted = vec![runtime("python", "3.13.5"), runtime("pip", "26.3")];
    assert_eq!(bench.sim.started().last().unwrap().1.as_ref().unwrap().runtimes, mounted);
    let prefixes: Vec<String> = bench.sim.packed().into_iter().map(|(prefix, _)| prefix).collect();
    assert!(prefixes.contains(&"/app/.heroku/python".to_owned()), "{prefixes:?}");
    // Asked for by nothing of the last release, so that it is looked for again, and found.
    bench.sim.next(needs(""));
    bench.sim.next(compiles);
    assert_eq!(bench.build().await.1.status, BuildStatus::Succeeded);
    assert_eq!(bench.sim.left(), 0);
}

#[tokio::test]
async fn pip_lies_in_its_layer_as_it_is_started() {
    let bench = with_sources("away").await;
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
    bench.sim.next(needs("3.13"));
    bench.sim.next(of_the_stack);
    bench.sim.next(compiles);
    assert_eq!(bench.build().await.1.status, BuildStatus::Succeeded);
    let packed = bench.sim.packed();
    let (_, tar) = packed.iter().find(|(prefix, _)| prefix == "/app/.heroku/pip").unwrap();
    let mut names = Vec::new();
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        names.push(format!("{:o} {}", entry.header().mode().unwrap(), entry.path().unwrap().display()));
    }
    assert_eq!(names, ["644 lib/pip/__main__.py", "644 lib/pip-26.3.dist-info/METADATA", "755 bin/pip"]);
}

#[tokio::test]
async fn a_python_that_is_not_what_was_announced_is_refused() {
    let bench = with_sources("python").await;
    let _jobs = bench.run_jobs();
    bench.sim.next(needs("3.13"));
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Failed);
    assert!(output.contains("does not have the digest the package source announced"), "{output}");
}

#[tokio::test]
async fn a_python_that_is_not_there_names_those_that_are() {
    let bench = with_sources("away").await;
    let _jobs = bench.run_jobs();
    for (asked, said) in [
        ("3.12.99", "Python 3.12.99 is not available; the nearest available versions are 3.12."),
        ("3.12", "Python 3.12 could not be fetched (could not fetch "),
    ] {
        bench.sim.next(needs(asked));
        if asked == "3.12.99" {
            bench.sim.next(of_the_stack);
        }
        let (output, build) = bench.build().await;
        assert_eq!(build.status, BuildStatus::Failed);
        assert!(output.contains(said), "{output}");
    }
    assert_eq!(bench.sim.left(), 0);
}
