//! Where a build gets Python and its installers: from the catalogue, an index, or the stack; the engine is simulated.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops; clippy knows only `#[test]` functions")]

mod bench;
mod sim;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bench::Bench;
use builds::Config;
use inside_contract::{BuildReport, Compiled, Runtime, RuntimeWish};
use sha2::{Digest as _, Sha256};
use sim::{DONE, Inside};
use vocabulary::{BuildStatus, Digest, DynoState};

/// The builds of Python a source was asked for, by the names of their files.
type Asked = Arc<Mutex<Vec<String>>>;

/// Serves an index with a wheel of pip, and builds of Python that are none.
async fn serve(asked: Asked) -> String {
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
        .route("/away/{release}/{file}", get(|| async { StatusCode::NOT_FOUND }))
        .route("/behind/{release}/{file}", get(behind).with_state(asked.clone()))
        .route("/down/{release}/{file}", get(down).with_state(asked));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A mirror without the newest 3.13 and the newest 3.12.
async fn behind(State(asked): State<Asked>, UrlPath((_, file)): UrlPath<(String, String)>) -> Response {
    asked.lock().unwrap().push(file.clone());
    let newest = ["cpython-3.13.18", "cpython-3.12.16"];
    if newest.iter().any(|name| file.starts_with(name)) { StatusCode::NOT_FOUND } else { StatusCode::OK }
        .into_response()
}

async fn down(State(asked): State<Asked>, UrlPath((_, file)): UrlPath<(String, String)>) -> StatusCode {
    asked.lock().unwrap().push(file);
    StatusCode::SERVICE_UNAVAILABLE
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
    with_counted_sources(python).await.0
}

async fn with_counted_sources(python: &str) -> (Bench, Asked) {
    let asked = Asked::default();
    let url = serve(asked.clone()).await;
    let sources = [("pypi", format!("{url}/simple")), ("python", format!("{url}/{python}"))];
    let sources = BTreeMap::from(sources.map(|(name, url)| (name.to_owned(), url)));
    (Bench::new(Config { sources, ..Config::default() }).await, asked)
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

/// The same of another image: the same version, other bytes.
fn of_the_renewed_stack(inside: &mut Inside) -> engine::Exit {
    inside.write_slug("python for other libraries");
    inside.report.write_all(br#"{"name": "python", "version": "3.13.5"}"#).unwrap();
    DONE
}

/// The runtimes each instance was started with.
fn mounts(bench: &Bench) -> Vec<Vec<String>> {
    let names = |request: &Option<inside_contract::BuildRequest>| {
        request.iter().flat_map(|request| &request.runtimes).map(|runtime| runtime.name.clone()).collect()
    };
    bench.sim.started().iter().map(|(_, request)| names(request)).collect()
}

/// The layers of the app's current slug.
async fn layers(bench: &Bench) -> Vec<Digest> {
    let release = store::releases::current(&bench.store, bench.app.id).await.unwrap().unwrap();
    store::slugs::get(&bench.store, release.slug_id.unwrap()).await.unwrap().unwrap().layers
}

#[tokio::test]
async fn the_python_of_a_stack_is_of_the_image_it_was_made_of() {
    let bench = with_sources("away").await;
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
    bench.sim.next(needs("3.13"));
    bench.sim.next(of_the_stack);
    bench.sim.next(compiles);
    assert_eq!(bench.build().await.1.status, BuildStatus::Succeeded);
    let first = layers(&bench).await;

    bench.sim.renew_stack(1);
    bench.sim.next(needs("3.13"));
    bench.sim.next(of_the_renewed_stack);
    bench.sim.next(compiles);
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Succeeded, "{output}");
    assert_eq!(mounts(&bench)[3], ["pip"], "the older image's Python is not mounted over the new image");
    let second = layers(&bench).await;
    assert_ne!(first[0], second[0], "the slug has the Python it was built with");

    bench.sim.renew_stack(0);
    bench.sim.next(needs("3.13"));
    bench.sim.next(compiles);
    assert_eq!(bench.build().await.1.status, BuildStatus::Succeeded);
    assert_eq!(layers(&bench).await[0], first[0], "an image's Python is made once");
    bench.sim.next(compiles);
    assert_eq!(bench.build().await.1.status, BuildStatus::Succeeded);
    assert_eq!(mounts(&bench).last().unwrap(), &["python", "pip"], "and mounted at once while the image stays");
}

#[tokio::test]
async fn a_runtime_whose_bytes_are_lost_is_made_again() {
    let bench = with_sources("away").await;
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
    bench.sim.next(needs("3.13"));
    bench.sim.next(of_the_stack);
    bench.sim.next(compiles);
    assert_eq!(bench.build().await.1.status, BuildStatus::Succeeded);
    let python = store::layers::get(&bench.store, &layers(&bench).await[0]).await.unwrap().unwrap();
    bench.sim.lose_layers();
    bench.blobs.sweep().delete_others(&[bench.source()].into(), 100).unwrap();
    assert!(bench.blobs.get(&python.blob).is_err());

    for script in [Box::new(needs("3.13")) as sim::Script, Box::new(needs("3.13")), Box::new(of_the_stack)] {
        bench.sim.next(script);
    }
    bench.sim.next(compiles);
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Succeeded, "{output}");
    assert!(bench.blobs.get(&python.blob).is_ok());
}

#[tokio::test]
async fn what_a_source_does_not_have_is_no_reason_not_to_ask_it_for_another() {
    let (bench, asked) = with_counted_sources("behind").await;
    let _jobs = bench.run_jobs();
    let files =
        || asked.lock().unwrap().iter().map(|file| file.split('%').next().unwrap().to_owned()).collect::<Vec<_>>();
    bench.sim.next(needs("3.13.18"));
    bench.sim.next(of_the_stack);
    let (output, _) = bench.build().await;
    assert!(output.contains("Python 3.13.18 could not be fetched"), "{output}");
    assert!(output.contains("it answered 404 Not Found"), "{output}");
    // Another version: asked for, and the next older one as well.
    bench.sim.next(needs("3.12"));
    let (output, _) = bench.build().await;
    assert!(output.contains("does not have the digest the package source announced"), "{output}");
    let seen = ["cpython-3.13.18+20", "cpython-3.12.16+20", "cpython-3.12.15+20"];
    let asked_for = files();
    assert!(
        asked_for.len() == 3 && asked_for.iter().zip(seen).all(|(file, name)| file.starts_with(name)),
        "{asked_for:?}"
    );
    // What is not there is not asked for again at once.
    bench.sim.next(needs("3.13.18"));
    assert!(bench.build().await.0.contains("Python 3.13.18 could not be fetched"));
    assert_eq!(files().len(), 3);
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_not_asked_for_anything_for_a_while() {
    let (bench, asked) = with_counted_sources("down").await;
    let _jobs = bench.run_jobs();
    bench.sim.next(needs("3.12"));
    bench.sim.next(of_the_stack);
    let (output, _) = bench.build().await;
    assert!(output.contains("it answered 503 Service Unavailable"), "{output}");
    let before = asked.lock().unwrap().clone();
    assert!(before.iter().all(|file| file.starts_with("cpython-3.12.16")), "no older one is tried: {before:?}");
    bench.sim.next(needs("3.11"));
    assert!(bench.build().await.0.contains("it answered 503 Service Unavailable"));
    assert_eq!(asked.lock().unwrap().len(), before.len());
}
