//! `git push` with the real git on both sides: the door, the hook, the jobs and the store are real, the engine runs git
//! as it is told and builds by a script. This program is also the hook that git calls.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops; clippy knows only `#[test]` functions")]

#[path = "../../../rooms/builds/tests/bench/mod.rs"]
mod bench;
mod client;
mod server;
#[path = "../../../rooms/builds/tests/sim/mod.rs"]
mod sim;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use client::Work;
use inside_contract::{BuildReport, Compiled};
use server::Door;
use sim::{DONE, Inside};
use vocabulary::{BuildStatus, DynoState, TeamRole};

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    if word == "pre-receive" {
        return git::pre_receive_main();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    macro_rules! tests {
        ($($name:ident),* $(,)?) => {$(
            if word.is_empty() || word.starts_with('-') || stringify!($name).contains(&word) {
                runtime.block_on($name());
                std::io::stderr().write_all(concat!("test ", stringify!($name), " ... ok\n").as_bytes()).unwrap();
            }
        )*};
    }
    tests![
        a_push_to_main_is_built_as_it_was_committed,
        a_build_that_fails_declines_the_push,
        other_branches_are_taken_without_a_build_and_may_be_deleted,
        main_and_master_at_once_are_refused,
        strangers_see_nothing,
        whoever_is_let_in_reaches_as_far_as_they_may,
        a_permission_that_ends_while_the_pack_arrives_builds_nothing,
        what_was_pushed_can_be_cloned,
        ten_thousand_files_arrive,
        a_client_that_goes_away_leaves_its_build_running,
        a_push_cut_off_by_a_restart_moves_its_branch_once_it_is_built,
        an_account_with_too_many_requests_is_told_to_wait,
        a_broken_push_builds_nothing_and_leaves_nothing,
        a_submodule_is_left_out_with_a_word,
    ];
    ExitCode::SUCCESS
}

fn compiles(inside: &mut Inside) -> engine::Exit {
    inside.say("-----> Building on the Heroku-24 stack");
    inside.write_slug("app");
    inside.report(&BuildReport::Compiled(Compiled {
        language: "Node.js".to_owned(),
        buildpacks: vec![],
        detected: vec![],
        process_types: BTreeMap::from([("web".to_owned(), "node x".to_owned())]),
        config_vars: BTreeMap::new(),
        runtimes: vec![],
        cache_written: false,
    }));
    DONE
}

/// The next build says that it has begun, and goes on when it is told to.
fn held_build(
    door: &Door,
    then: fn(&mut Inside) -> engine::Exit,
) -> (tokio::sync::oneshot::Receiver<()>, std::sync::mpsc::Sender<()>) {
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (leave, stay) = std::sync::mpsc::channel();
    door.bench.sim.next(move |inside| {
        begun.send(()).unwrap();
        stay.recv().unwrap();
        then(inside)
    });
    (has_begun, leave)
}

/// What is in a source: `MODE PATH` or `MODE PATH -> TARGET`, with the size of files.
fn listed(source: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(source);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let mode = entry.header().mode().unwrap();
        let path = entry.path().unwrap().display().to_string();
        match entry.link_name().unwrap() {
            Some(target) => format!("{mode:o} {path} -> {}", target.display()),
            None => format!("{mode:o} {path} {}", entry.size()),
        }
    });
    entries.collect()
}

async fn a_push_to_main_is_built_as_it_was_committed() {
    let door = Door::open().await;
    let work = door.work();
    work.write("index.js", "hello\n");
    work.write("bin/run", "#!/bin/sh\n");
    work.write(".gitattributes", "hidden export-ignore\nindex.js export-subst\n");
    work.write("hidden", "seen");
    work.write(&format!("long/{}/file", "d".repeat(150)), "x");
    work.run(&["update-index", "--add", "--chmod=+x", "bin/run"]).await;
    std::os::unix::fs::symlink("index.js", work.path("link")).unwrap();
    let commit = work.commit("Say hello").await;
    let (sender, receiver) = std::sync::mpsc::channel();
    door.bench.sim.next(move |inside| {
        sender.send((inside.source.clone(), inside.request.clone())).unwrap();
        compiles(inside)
    });
    let _boot = door.bench.boot(DynoState::Up);
    let push = work.push("main").await;
    assert!(push.taken, "{}", push.text);
    let told: Vec<&str> =
        push.text.lines().filter_map(|line| line.strip_prefix("remote: ")).map(str::trim_end).collect();
    assert_eq!(
        told,
        [
            "Compressing source files... done.",
            "Building source:",
            "",
            "-----> Building on the Heroku-24 stack",
            "       Done: 2K",
            "-----> Launching...",
            "       Released v3",
            "       http://app.localhost:5080/ deployed to Slipway",
            "",
            "Verifying deploy... done.",
        ],
        "{}",
        push.text
    );
    let (source, request) = receiver.recv().unwrap();
    let mut files = listed(&source);
    files.sort();
    assert_eq!(
        files,
        [
            "644 .gitattributes 43".to_owned(),
            "644 hidden 4".to_owned(),
            "644 index.js 6".to_owned(),
            format!("644 long/{}/file 1", "d".repeat(150)),
            "755 bin/run 10".to_owned(),
            "777 link -> index.js".to_owned(),
        ]
    );
    assert_eq!(request.source_version.as_deref(), Some(commit.as_str()));
    let builds = store::builds::list(&door.bench.store, door.bench.app.id).await.unwrap();
    assert_eq!(builds.first().unwrap().source_version_description.as_deref(), Some("Say hello"));
    assert!(work.push("main").await.text.contains("Everything up-to-date"));
}

async fn a_build_that_fails_declines_the_push() {
    let door = Door::open().await;
    let work = door.work();
    work.write("package.json", "{");
    work.commit("Break it").await;
    door.bench.sim.next(|inside| {
        let failed = BuildReport::Failed { language: Some("Node.js".to_owned()), message: "no".to_owned() };
        inside.report(&failed);
        DONE
    });
    let push = work.push("main").await;
    assert!(!push.taken);
    for line in [
        "remote:  !     Push rejected, failed to compile Node.js app.",
        "remote:  !     Push failed",
        "remote: !\tPush rejected to app.",
        " ! [remote rejected] main -> main (pre-receive hook declined)",
    ] {
        assert!(push.text.lines().any(|told| told.trim_end() == line), "{line}\n{}", push.text);
    }
    door.bench.sim.next(compiles);
    let _boot = door.bench.boot(DynoState::Up);
    let again = work.push("main").await;
    assert!(again.taken, "a declined commit can be pushed again: {}", again.text);
}

async fn other_branches_are_taken_without_a_build_and_may_be_deleted() {
    let door = Door::open().await;
    let work = door.work();
    work.write("a", "a");
    work.commit("One").await;
    let push = work.push("main:feature").await;
    assert!(push.taken && push.text.contains("remote: Pushed to non-main branch, skipping build."), "{}", push.text);
    let delete = work.push(":feature").await;
    assert!(delete.taken, "{}", delete.text);
    assert!(door.bench.sim.started().is_empty());
}

async fn main_and_master_at_once_are_refused() {
    let door = Door::open().await;
    let work = door.work();
    work.write("a", "a");
    work.commit("One").await;
    work.run(&["branch", "master"]).await;
    let push = work.git(&["push", &work.url, "main", "master"]).await;
    assert!(!push.taken && push.text.contains("Push either main or master"), "{}", push.text);
    assert!(door.bench.sim.started().is_empty());
}

async fn strangers_see_nothing() {
    let door = Door::open().await;
    let work = door.work();
    for (url, expected) in [
        (door.url("wrong-token-wrong-token-wrong-token", "app"), "Authentication failed"),
        (door.url(server::STRANGER, "app"), "not found"),
        (door.url(server::STRANGER, "none"), "not found"),
        (door.url(server::TOKEN, "..%2fapp"), "not found"),
        (door.url(server::TOKEN, "APP"), "not found"),
    ] {
        let answer = work.git(&["ls-remote", &url]).await;
        assert!(!answer.taken && answer.text.contains(expected), "{url}: {}", answer.text);
    }
    assert!(work.git(&["ls-remote", &door.url(server::TOKEN, "app")]).await.taken);
}

async fn whoever_is_let_in_reaches_as_far_as_they_may() {
    let door = Door::open().await;
    let work = door.work();
    work.write("a", "a");
    work.commit("One").await;
    let (app, owner) = (&door.bench.app, &door.bench.account);
    let other = store::accounts::by_email(&door.bench.store, "other@example.com").await.unwrap().unwrap();
    let mut write = door.bench.store.write().await.unwrap();
    let team = store::teams::create(&mut write, &"acme".parse().unwrap()).await.unwrap();
    store::team_members::set(&mut write, team.id, other.id, TeamRole::Member).await.unwrap();
    assert!(store::apps::give(&mut write, app.id, (app.owner_id, None), owner.id, Some(team.id)).await.unwrap());
    write.commit().await.unwrap();
    let url = door.url(server::STRANGER, "app");
    for (given, told) in [("view", "403"), ("view,operate,manage", "403"), ("view,deploy", "")] {
        let mut write = door.bench.store.write().await.unwrap();
        store::collaborators::set(&mut write, app.id, other.id, given.parse().unwrap()).await.unwrap();
        write.commit().await.unwrap();
        let fetch = work.git(&["ls-remote", &url]).await;
        let push = work.git(&["push", &url, "main:feature"]).await;
        assert!(fetch.taken == told.is_empty() && fetch.text.contains(told), "{given}: {}", fetch.text);
        assert!(push.taken == told.is_empty() && push.text.contains(told), "{given}: {}", push.text);
    }
}

async fn a_permission_that_ends_while_the_pack_arrives_builds_nothing() {
    let door = Door::open().await;
    let push = door.recorded_push().await;
    let (first, rest) = push.split_at(push.len() / 2);
    let (first, rest) = (bytes::Bytes::copy_from_slice(first), bytes::Bytes::copy_from_slice(rest));
    let (store, owner) = (door.bench.store.clone(), door.bench.account.id);
    let pieces = futures_util::stream::unfold((0, first, rest), move |(piece, first, rest)| {
        let store = store.clone();
        async move {
            let sent = match piece {
                0 => first.clone(),
                1 => {
                    let authorization = store::authorizations::list(&store, owner).await.unwrap().pop().unwrap();
                    let mut write = store.write().await.unwrap();
                    store::authorizations::delete(&mut write, authorization.id).await.unwrap();
                    write.commit().await.unwrap();
                    rest.clone()
                }
                _ => return None,
            };
            Some((Ok::<_, std::convert::Infallible>(sent), (piece + 1, first, rest)))
        }
    });
    let (status, answer) = door.post_slowly("git-receive-pack", axum::body::Body::from_stream(pieces)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(status == 200 && answer.contains("The permission ended"), "{status}: {answer}");
    assert!(door.bench.sim.started().is_empty());
    assert_eq!(door.objects(), 0, "nothing of a refused push stays");
}

async fn what_was_pushed_can_be_cloned() {
    let door = Door::open().await;
    let work = door.work();
    for number in 0..50 {
        work.write("file", &number.to_string());
        work.commit("Change").await;
    }
    door.bench.sim.next(compiles);
    let _boot = door.bench.boot(DynoState::Up);
    assert!(work.push("main").await.taken);
    for version in ["0", "1", "2"] {
        let place = work.path(&format!("clone{version}"));
        let protocol = format!("protocol.version={version}");
        let clone = work.git(&["-c", &protocol, "clone", &work.url, place.to_str().unwrap()]).await;
        assert!(clone.taken, "{}", clone.text);
        assert_eq!(std::fs::read_to_string(place.join("file")).unwrap(), "49");
    }
    // A fetch that has much to say zips its request.
    work.write("file", "more");
    work.commit("More").await;
    let fetch = work.git(&["fetch", &work.url, "main"]).await;
    assert!(fetch.taken, "{}", fetch.text);
}

async fn ten_thousand_files_arrive() {
    let door = Door::open().await;
    let work = door.work();
    for number in 0..10_000 {
        work.write(&format!("folder{}/file{number}", number % 100), &number.to_string());
    }
    work.commit("Many").await;
    let (sender, receiver) = std::sync::mpsc::channel();
    door.bench.sim.next(move |inside| {
        sender.send(listed(&inside.source).len()).unwrap();
        compiles(inside)
    });
    let _boot = door.bench.boot(DynoState::Up);
    let push = work.push("main").await;
    assert!(push.taken, "{}", push.text);
    assert_eq!(receiver.recv().unwrap(), 10_000);
}

async fn a_client_that_goes_away_leaves_its_build_running() {
    let door = Door::open().await;
    let work = door.work();
    work.write("a", "a");
    let commit = work.commit("One").await;
    let (has_begun, leave) = held_build(&door, compiles);
    let _boot = door.bench.boot(DynoState::Up);
    let mut push = work.start(&["push", &work.url, "main"]);
    has_begun.await.unwrap();
    push.kill().await.unwrap();
    leave.send(()).unwrap();
    let builds = store::builds::list(&door.bench.store, door.bench.app.id).await.unwrap();
    let build = door.bench.builds.ended(builds.first().unwrap().id).await.unwrap();
    assert_eq!(build.status, BuildStatus::Succeeded);
    assert!(door.branch_becomes("main", &commit).await, "the branch stands where the release is");
}

async fn a_push_cut_off_by_a_restart_moves_its_branch_once_it_is_built() {
    for succeeds in [true, false] {
        let mut door = Door::open().await;
        let work = door.work();
        work.write("a", "a");
        let commit = work.commit("One").await;
        let fails = |_: &mut Inside| engine::Exit { status: 1, out_of_memory: false };
        let (has_begun, leave) = held_build(&door, if succeeds { compiles } else { fails });
        let _boot = door.bench.boot(DynoState::Up);
        let (push, ()) = tokio::join!(work.push("main"), async {
            has_begun.await.unwrap();
            door.end();
        });
        assert!(!push.taken, "{}", push.text);
        assert_eq!(door.kept(), 1);
        door.begin();
        leave.send(()).unwrap();
        let again = Work::new(door.url(server::TOKEN, "app"));
        if succeeds {
            assert!(door.branch_becomes("main", &commit).await, "the branch stands where the release is");
            assert!(again.run(&["ls-remote", &again.url]).await.contains(&commit));
        } else {
            let builds = store::builds::list(&door.bench.store, door.bench.app.id).await.unwrap();
            let build = door.bench.builds.ended(builds.first().unwrap().id).await.unwrap();
            assert_eq!(build.status, BuildStatus::Failed);
            assert!(again.run(&["ls-remote", &again.url]).await.is_empty(), "a build that failed moves nothing");
        }
        while door.kept() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

async fn an_account_with_too_many_requests_is_told_to_wait() {
    let door = Door::with(git::Config { children_of_account: 1, ..git::Config::default() }).await;
    let work = door.work();
    work.write("a", "a");
    work.commit("One").await;
    let (has_begun, leave) = held_build(&door, compiles);
    let _boot = door.bench.boot(DynoState::Up);
    let (push, ()) = tokio::join!(work.push("main"), async {
        has_begun.await.unwrap();
        let (status, text) = door.get("info/refs?service=git-upload-pack").await;
        assert_eq!(status, 429);
        assert!(String::from_utf8(text).unwrap().contains("Wait for one of them to end"));
        leave.send(()).unwrap();
    });
    assert!(push.taken, "{}", push.text);
    // The client has its answer a moment before the request has ended here.
    while door.get("info/refs?service=git-upload-pack").await.0 != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn a_broken_push_builds_nothing_and_leaves_nothing() {
    let door = Door::open().await;
    let good = door.recorded_push().await;
    let cuts = [0, 4, 40, good.len() / 2, good.len() - 20, good.len() - 1];
    for cut in cuts {
        let (status, _) = door.post("git-receive-pack", good.get(..cut).unwrap()).await;
        assert_eq!(status, 200, "cut at {cut}");
    }
    for place in (good.len() - 60)..(good.len() - 20) {
        let mut bad = good.clone();
        *bad.get_mut(place).unwrap() ^= 0xff;
        door.post("git-receive-pack", &bad).await;
    }
    assert!(door.bench.sim.started().is_empty());
    assert_eq!(door.objects(), 0, "nothing of a broken push stays");
    assert_eq!(door.get("info/refs").await.0, 403);
    assert_eq!(door.get("info/refs?service=git-shell").await.0, 403);
}

async fn a_submodule_is_left_out_with_a_word() {
    let door = Door::open().await;
    let work = door.work();
    work.write("a", "a");
    let first = work.commit("One").await;
    work.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{first},vendor/thing")]).await;
    work.run(&["commit", "--quiet", "--message", "Two"]).await;
    door.bench.sim.next(|inside| {
        assert_eq!(listed(&inside.source), ["644 a 1"]);
        compiles(inside)
    });
    let _boot = door.bench.boot(DynoState::Up);
    let push = work.push("main").await;
    assert!(push.taken && push.text.contains("The submodule \"vendor/thing\" is left out"), "{}", push.text);
}
