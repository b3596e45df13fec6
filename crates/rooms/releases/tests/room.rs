//! The room with the real store and job runner, over an engine that is simulated on its real socket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must stop")]

// One simulator for both rooms that start instances: two would drift apart.
#[path = "../../dynos/tests/simulated/mod.rs"]
mod simulated;

use std::collections::BTreeMap;
use std::time::Duration;

use blobs::{Blobs, Outputs};
use loglines::LogSink;
use releases::{Config, Error, KIND, Releases};
use simulated::Simulated;
use store::Store;
use store::apps::App;
use store::releases::Release;
use store::slugs::Slug;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vocabulary::{
    AccountId, ConfigVarName, DynoId, ProcessTypes, ReleaseId, ReleaseStatus, Secret, SlugId, Stack, Timestamp,
};
use work::{Jobs, Wakers};

const LONG: Duration = Duration::from_secs(20);

struct Case {
    store: Store,
    releases: Releases,
    wakers: Wakers,
    engine: Simulated,
    outputs: Outputs,
    lines: loglines::Queue,
    said: Vec<String>,
    account: AccountId,
    app: App,
    logs: LogSink,
    config: Config,
    jobs: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Case {
    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let (store, _) = store::scratch().await;
        let folder = tempfile::tempdir().unwrap();
        let (logs, lines) = LogSink::new();
        let engine = Simulated::new(folder.path());
        let wakers = Wakers::default();
        let outputs = Outputs::open(&folder.path().join("outputs")).unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let parts = (store.clone(), wakers.clone(), logs.clone(), outputs.clone());
        let releases = Releases::new(parts.0, parts.1, parts.2, parts.3, blobs, engine.client(), config.clone());
        let mut write = store.write().await.unwrap();
        let owner = store::accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
        let app = store::apps::create(&mut write, &"sushi".parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
        write.commit().await.unwrap();
        let mut write = store.write().await.unwrap();
        releases.initial(&mut write, &app, owner.id).await.unwrap();
        write.commit().await.unwrap();
        let (said, account, jobs) = (vec![], owner.id, None);
        let mut case =
            Self { store, releases, wakers, engine, outputs, lines, said, account, app, logs, config, jobs, folder };
        case.run_jobs();
        case
    }

    fn run_jobs(&mut self) {
        let jobs = Jobs::new(self.store.clone(), self.wakers.jobs.clone(), 4).on(KIND, self.releases.job());
        self.jobs = Some(tokio::spawn(async move { jobs.run().await.unwrap() }));
    }

    /// Ends the job runner and the room with all they had under way, and starts new ones.
    async fn restart(&mut self) {
        let jobs = self.jobs.take().unwrap();
        jobs.abort();
        drop(jobs.await);
        self.outputs = Outputs::open(&self.folder.path().join("outputs")).unwrap();
        let blobs = Blobs::open(&self.folder.path().join("blobs")).unwrap();
        let (store, wakers, logs) = (self.store.clone(), self.wakers.clone(), self.logs.clone());
        let (outputs, engine) = (self.outputs.clone(), self.engine.client());
        self.releases = Releases::new(store, wakers, logs, outputs, blobs, engine, self.config.clone());
        self.run_jobs();
    }

    fn slug(&self, types: &[(&str, &str)]) -> Slug {
        let types = types.iter().map(|(name, command)| (name.parse().unwrap(), (*command).to_owned())).collect();
        Slug {
            id: SlugId::new(),
            app_id: self.app.id,
            stack: Stack::Heroku24,
            commit: None,
            commit_description: None,
            buildpack_provided_description: Some("Node.js".to_owned()),
            process_types: ProcessTypes(types),
            layers: vec![],
            size: 11,
            created_at: Timestamp::now(),
        }
    }

    async fn deploy(&self, types: &[(&str, &str)]) -> Release {
        let slug = self.slug(types);
        self.releases.deploy(&self.app, &slug, &BTreeMap::new(), self.account, "Deploy 1a2b3c4d").await.unwrap()
    }

    async fn set(&self, changes: &[(&str, Option<&str>)]) -> Result<usize, Error> {
        let changes = changes.iter().map(|(name, value)| (name.parse().unwrap(), value.map(Secret::new))).collect();
        Ok(self.releases.set_config(&self.app, &changes, self.account).await?.len())
    }

    async fn newest(&self) -> Release {
        store::releases::list(&self.store, self.app.id).await.unwrap().pop().unwrap()
    }

    async fn current(&self) -> ReleaseId {
        store::releases::current(&self.store, self.app.id).await.unwrap().unwrap().id
    }

    async fn ended(&self, release: &Release) -> ReleaseStatus {
        tokio::time::timeout(LONG, self.releases.ended(release.id)).await.unwrap().unwrap()
    }

    async fn output(&self, release: &Release) -> String {
        let mut reader = self.outputs.read(&release.id.to_string()).unwrap();
        let mut text = vec![];
        while let Some(piece) = tokio::time::timeout(LONG, reader.next()).await.unwrap().unwrap() {
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text).unwrap()
    }

    /// The instance of a release phase, once it runs.
    async fn running(&self) -> (String, DynoId) {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(one) = self.engine.running().pop() {
                return one;
            }
            assert!(Instant::now() < deadline, "no release phase runs");
            tokio::task::yield_now().await;
        }
    }

    fn lines(&mut self) -> Vec<String> {
        while let Ok(line) = self.lines.lines.try_recv() {
            self.said.push(format!("{}[{}]: {}", line.source, line.dyno, line.text));
        }
        self.said.clone()
    }

    async fn no_jobs(&self) {
        let deadline = Instant::now() + LONG;
        while store::jobs::count(&self.store).await.unwrap() > 0 {
            assert!(Instant::now() < deadline, "a job is left");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn every_change_is_a_release_with_its_words() {
    let mut case = Case::new().await;
    let deployed = case.deploy(&[("web", "listen")]).await;
    assert_eq!(case.set(&[("FOO", Some("1")), ("BAR", Some("2"))]).await.unwrap(), 2);
    assert_eq!(case.set(&[("FOO", Some("1"))]).await.unwrap(), 2);
    assert_eq!(case.set(&[("FOO", None), ("NONE", None)]).await.unwrap(), 1);
    let back = case.releases.rollback(&case.app, &deployed, case.account).await.unwrap();
    let releases = store::releases::list(&case.store, case.app.id).await.unwrap();
    let words: Vec<String> =
        releases.iter().map(|release| format!("{} {}", release.version, release.description)).collect();
    assert_eq!(
        words,
        [
            "v1 Initial release",
            "v2 Enable Logplex",
            "v3 Deploy 1a2b3c4d",
            "v4 Set BAR, FOO config vars",
            "v5 Remove FOO config vars",
            "v6 Rollback to v3"
        ]
    );
    assert_eq!(back.slug_id, deployed.slug_id);
    assert!(store::apps::config_vars(&case.store, case.app.id).await.unwrap().is_empty());
    let expected: Vec<String> = releases
        .iter()
        .flat_map(|release| {
            let (version, words) = (release.version, &release.description);
            [
                format!("app[api]: {words} by user ada@example.com"),
                format!("app[api]: Release {version} created by user ada@example.com"),
            ]
        })
        .collect();
    assert_eq!(case.lines(), expected);
    let app = store::apps::get(&case.store, case.app.id).await.unwrap().unwrap();
    assert_eq!((app.slug_size, app.buildpack_provided_description.as_deref()), (Some(11), Some("Node.js")));
}

#[tokio::test]
async fn a_deploy_makes_formation_rows_and_default_config_vars_where_there_are_none() {
    let case = Case::new().await;
    case.set(&[("MINE", Some("1"))]).await.unwrap();
    let slug = case.slug(&[("web", "listen"), ("worker", "work"), ("release", "say done")]);
    let defaults: BTreeMap<ConfigVarName, Secret> =
        ["MINE", "THEIRS"].map(|name| (name.parse().unwrap(), Secret::new("default"))).into();
    let release = case.releases.deploy(&case.app, &slug, &defaults, case.account, "Deploy").await.unwrap();
    let formation = store::formation::list(&case.store, case.app.id).await.unwrap();
    let rows: Vec<String> =
        formation.iter().map(|row| format!("{}@{}:{}", row.process_type, row.quantity, row.size)).collect();
    assert_eq!(rows, ["release@0:Standard-1X", "web@1:Standard-1X", "worker@0:Standard-1X"]);
    let config = store::releases::config_vars(&case.store, release.id).await.unwrap();
    let values: Vec<(&str, &str)> = config.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    assert_eq!(values, [("MINE", "1"), ("THEIRS", "default")]);
    assert_eq!(store::apps::config_vars(&case.store, case.app.id).await.unwrap(), config);
}

#[tokio::test]
async fn config_vars_keep_their_limits() {
    let case = Case::new().await;
    let large = "x".repeat(64 * 1024 - 3);
    assert_eq!(case.set(&[("BIG", Some(&large))]).await.unwrap(), 1);
    let error = case.set(&[("B", Some("1"))]).await.unwrap_err();
    assert_eq!(error.to_string(), "Config vars cannot exceed 64 KB in total (these have 65538 bytes).");
    assert!(matches!(case.set(&[("BIG", None), ("NUL", Some("a\0b"))]).await, Err(Error::Invalid(_))));
    assert_eq!(case.newest().await.version.number(), 3);
}

#[tokio::test]
async fn a_release_phase_that_passes_makes_its_release_current() {
    let mut case = Case::new().await;
    let before = case.current().await;
    case.set(&[("GREETING", Some("hello"))]).await.unwrap();
    let release = case.deploy(&[("web", "listen"), ("release", "work")]).await;
    assert_eq!(release.status, ReleaseStatus::Pending);
    let (name, id) = case.running().await;
    assert_ne!(case.current().await, release.id);
    assert_ne!(case.current().await, before);
    let env = case.engine.env(id);
    assert_eq!((env["GREETING"].as_str(), env["DYNO"].as_str()), ("hello", name.as_str()));
    assert!(!env.contains_key("PORT"));
    case.engine.say(id, "migrated");
    case.engine.end(id, engine::Exit { status: 0, out_of_memory: false });
    assert_eq!(case.ended(&release).await, ReleaseStatus::Succeeded);
    assert_eq!(case.current().await, release.id);
    assert_eq!(case.output(&release).await, "working\nmigrated\n");
    case.no_jobs().await;
    assert_eq!(case.engine.count(), 0);
    let said = case.lines();
    let of_phase: Vec<&String> = said.iter().filter(|line| line.contains(&name)).collect();
    assert_eq!(
        of_phase,
        [
            &format!("heroku[{name}]: Starting process with command `work`"),
            &format!("heroku[{name}]: State changed from starting to up"),
            &format!("app[{name}]: working"),
            &format!("app[{name}]: migrated"),
            &format!("heroku[{name}]: Process exited with status 0"),
            &format!("heroku[{name}]: State changed from up to complete"),
        ]
    );
}

#[tokio::test]
async fn a_release_phase_that_fails_leaves_the_release_before_it() {
    let mut case = Case::new().await;
    let good = case.deploy(&[("web", "listen")]).await;
    let bad = case.deploy(&[("web", "listen"), ("release", "exit 3")]).await;
    assert_eq!(case.ended(&bad).await, ReleaseStatus::Failed);
    assert_eq!(case.current().await, good.id);
    case.no_jobs().await;
    let failed = "app[api]: Release v4 failed: the release command exited with status 3".to_owned();
    assert!(case.lines().contains(&failed));
    let refused = case.releases.rollback(&case.app, &bad, case.account).await.unwrap_err();
    assert_eq!(refused.to_string(), "Cannot roll back to v4: that release did not succeed.");
    // A change of config vars after it goes on from the slug that works.
    case.set(&[("FOO", Some("1"))]).await.unwrap();
    assert_eq!(case.newest().await.slug_id, good.slug_id);
    assert_eq!(case.current().await, case.newest().await.id);
}

#[tokio::test]
async fn releases_become_current_in_the_order_of_their_versions() {
    let case = Case::new().await;
    let first = case.deploy(&[("release", "work")]).await;
    let (_, id) = case.running().await;
    let second = case.deploy(&[("web", "listen")]).await;
    assert_eq!(second.status, ReleaseStatus::Pending);
    case.engine.end(id, engine::Exit { status: 0, out_of_memory: false });
    assert_eq!(case.ended(&first).await, ReleaseStatus::Succeeded);
    assert_eq!(case.ended(&second).await, ReleaseStatus::Succeeded);
    assert_eq!(case.current().await, second.id);
    assert_eq!(case.output(&second).await, "");
}

#[tokio::test]
async fn config_vars_and_rollbacks_run_the_release_phase_too() {
    let case = Case::new().await;
    let first = case.deploy(&[("release", "say done")]).await;
    assert_eq!(case.ended(&first).await, ReleaseStatus::Succeeded);
    case.set(&[("FOO", Some("1"))]).await.unwrap();
    let second = case.newest().await;
    assert_eq!(case.ended(&second).await, ReleaseStatus::Succeeded);
    assert_eq!(case.output(&second).await, "done\n");
    let first = store::releases::get(&case.store, first.id).await.unwrap().unwrap();
    let third = case.releases.rollback(&case.app, &first, case.account).await.unwrap();
    assert_eq!(case.ended(&third).await, ReleaseStatus::Succeeded);
    assert_eq!(case.engine.requests().iter().filter(|text| text.starts_with("start")).count(), 3);
}

#[tokio::test]
async fn a_slug_released_again_runs_its_release_phase_with_the_config_vars_of_now() {
    let case = Case::new().await;
    let first = case.deploy(&[("release", "exit 3")]).await;
    assert_eq!(case.ended(&first).await, ReleaseStatus::Failed);
    case.set(&[("FOO", Some("1"))]).await.unwrap();
    let slug = store::slugs::get(&case.store, first.slug_id.unwrap()).await.unwrap().unwrap();
    let again = case.releases.of_slug(&case.app, &slug, Some("Retry of v3"), case.account).await.unwrap();
    assert_eq!((again.slug_id, again.description.as_str()), (first.slug_id, "Retry of v3"));
    assert_eq!(case.ended(&again).await, ReleaseStatus::Failed);
    let config = store::releases::config_vars(&case.store, again.id).await.unwrap();
    assert_eq!(config.keys().map(ConfigVarName::as_str).collect::<Vec<_>>(), ["FOO"]);
    let mut write = case.store.write().await.unwrap();
    store::slugs::delete(&mut write, slug.id).await.unwrap();
    write.commit().await.unwrap();
    assert!(case.releases.of_slug(&case.app, &slug, None, case.account).await.is_err());
}

#[tokio::test]
async fn a_release_phase_that_takes_too_long_is_ended_and_fails() {
    let config =
        Config { phase_limit: Duration::from_millis(50), grace: Duration::from_millis(50), ..Config::default() };
    let case = Case::with(config).await;
    let release = case.deploy(&[("release", "work")]).await;
    assert_eq!(case.ended(&release).await, ReleaseStatus::Failed);
    case.no_jobs().await;
    assert_eq!(case.engine.count(), 0);
}

#[tokio::test]
async fn a_release_phase_is_followed_on_after_a_restart() {
    let mut case = Case::new().await;
    let release = case.deploy(&[("release", "work")]).await;
    let (_, id) = case.running().await;
    let deadline = Instant::now() + LONG;
    while !case.lines().iter().any(|line| line.ends_with(": working")) {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    case.restart().await;
    case.engine.say(id, "migrated");
    case.engine.end(id, engine::Exit { status: 0, out_of_memory: false });
    assert_eq!(case.ended(&release).await, ReleaseStatus::Succeeded);
    assert_eq!(case.output(&release).await, "working\nmigrated\n");
    assert_eq!(case.engine.requests().iter().filter(|text| text.starts_with("start")).count(), 1);
}

#[tokio::test]
async fn a_release_phase_whose_instance_is_gone_runs_once_more_and_then_fails() {
    let mut case = Case::new().await;
    let release = case.deploy(&[("release", "work")]).await;
    case.running().await;
    case.engine.lose_everything();
    case.running().await;
    case.engine.lose_everything();
    assert_eq!(case.ended(&release).await, ReleaseStatus::Failed);
    assert_eq!(case.engine.requests().iter().filter(|text| text.starts_with("start")).count(), 2);
    case.no_jobs().await;
    let reason = "app[api]: Release v3 failed: the release command was cut off by the end of the platform".to_owned();
    assert!(case.lines().contains(&reason));
}

#[tokio::test]
async fn an_app_deleted_in_its_release_phase_leaves_no_job_and_no_instance() {
    let case = Case::new().await;
    case.deploy(&[("release", "work")]).await;
    case.running().await;
    let mut write = case.store.write().await.unwrap();
    store::apps::delete(&mut write, case.app.id).await.unwrap();
    write.commit().await.unwrap();
    case.wakers.changes.tell();
    case.no_jobs().await;
    assert_eq!(case.engine.count(), 0);
    let gone = case.set(&[("FOO", Some("1"))]).await.unwrap_err();
    assert!(matches!(gone, Error::Gone));
}

#[tokio::test]
async fn nothing_goes_back_to_an_expired_release() {
    let case = Case::new().await;
    let first = case.deploy(&[("web", "one")]).await;
    case.deploy(&[("web", "two")]).await;
    let mut write = case.store.write().await.unwrap();
    store::slugs::delete(&mut write, first.slug_id.unwrap()).await.unwrap();
    store::releases::expire(&mut write, first.slug_id.unwrap()).await.unwrap();
    write.commit().await.unwrap();
    let expired = store::releases::get(&case.store, first.id).await.unwrap().unwrap();
    assert_eq!(expired.status, ReleaseStatus::Expired);
    // Both: one who reads now, and one who read before.
    for to in [&expired, &first] {
        let refused = case.releases.rollback(&case.app, to, case.account).await.unwrap_err();
        assert!(refused.to_string().contains("that release is expired"), "{refused}");
    }
    assert_eq!(case.newest().await.version.number(), 4);
}
