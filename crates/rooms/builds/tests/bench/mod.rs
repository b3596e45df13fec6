//! A platform's rooms around a build: the real store, jobs and releases, and the simulated engine.

use blobs::{Blobs, Outputs};
use builds::{Builds, Config, New};
use loglines::{LogSink, Queue};
use releases::Releases;
use store::Store;
use store::accounts::Account;
use store::apps::App;
use store::builds::Build;
use vocabulary::{BuildId, Digest, DynoName, DynoSize, DynoState, ProcessType, Secret, Stack, Timestamp};
use work::{Jobs, Wakers};

use crate::sim::Sim;

#[allow(dead_code, reason = "not every test file uses every part of the bench")]
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) wakers: Wakers,
    pub(crate) outputs: Outputs,
    pub(crate) blobs: Blobs,
    pub(crate) builds: Builds,
    pub(crate) releases: Releases,
    pub(crate) app: App,
    pub(crate) account: Account,
    pub(crate) log: Queue,
    pub(crate) sim: Sim,
    pub(crate) folder: tempfile::TempDir,
}

#[allow(dead_code, reason = "not every test file uses every part of the bench")]
impl Bench {
    pub(crate) async fn new(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sim = Sim::begin(folder.path(), None);
        Self::around(config, folder, sim).await
    }

    pub(crate) async fn around(config: Config, folder: tempfile::TempDir, sim: Sim) -> Self {
        let (store, _) = store::scratch().await;
        let wakers = Wakers::default();
        let (logs, log) = LogSink::new();
        let place = |name: &str| folder.path().join(name);
        let outputs = Outputs::open(&place("outputs")).unwrap();
        let blobs = Blobs::open(&place("blobs")).unwrap();
        let engine = sim.engine();
        let releases = Releases::new(
            store.clone(),
            wakers.clone(),
            logs.clone(),
            outputs.clone(),
            blobs.clone(),
            engine.clone(),
            releases::Config::default(),
        );
        let (account, app) = account_and_app(&store, &releases).await;
        let builds = Builds::new(
            store.clone(),
            wakers.clone(),
            logs,
            outputs.clone(),
            blobs.clone(),
            engine,
            releases.clone(),
            config,
        )
        .unwrap();
        Self { store, wakers, outputs, blobs, builds, releases, app, account, log, sim, folder }
    }

    pub(crate) fn source(&self) -> Digest {
        let mut draft = self.blobs.draft().unwrap();
        draft.write(b"source").unwrap();
        // Nothing sweeps here, so that the pin is not needed.
        (*draft.finish().unwrap().0).clone()
    }

    pub(crate) async fn start(&self) -> Build {
        let new = New {
            id: BuildId::new(),
            source: self.source(),
            strip_top_folder: false,
            source_version: Some("1234abcd5678ef901234abcd5678ef901234abcd"),
            source_version_description: None,
            buildpacks: None,
            account: self.account.id,
        };
        self.builds.start(&self.app, &new).await.unwrap()
    }

    pub(crate) fn run_jobs(&self) -> tokio::task::JoinHandle<()> {
        let jobs = Jobs::new(self.store.clone(), self.wakers.jobs.clone(), 4).on(builds::JOB, self.builds.job());
        tokio::spawn(async move { jobs.run().await.unwrap() })
    }

    /// Records what the reconciler of dynos would: a first web dyno of every release, in this state.
    pub(crate) fn boot(&self, state: DynoState) -> tokio::task::JoinHandle<()> {
        let (store, wakers, app) = (self.store.clone(), self.wakers.clone(), self.app.id);
        tokio::spawn(async move {
            let mut changes = wakers.changes.watch();
            let mut last = None;
            loop {
                let current = store::releases::current(&store, app).await.unwrap();
                if let Some(release) = current.filter(|one| one.slug_id.is_some() && Some(one.id) != last) {
                    last = Some(release.id);
                    let dyno = store::dynos::Dyno {
                        id: vocabulary::DynoId::new(),
                        app_id: app,
                        name: DynoName::new(ProcessType::web(), 1),
                        release_id: release.id,
                        size: DynoSize::Standard1X,
                        command: "x".to_owned(),
                        state,
                        address: None,
                        restart_asked: false,
                        one_off: None,
                        created_at: Timestamp::now(),
                        updated_at: Timestamp::now(),
                    };
                    let mut write = store.write().await.unwrap();
                    store::dynos::create(&mut write, &dyno).await.unwrap();
                    write.commit().await.unwrap();
                    wakers.changes.tell();
                }
                changes.changed().await.unwrap();
            }
        })
    }

    /// The whole output of a build, and its row at the end.
    pub(crate) async fn watch(&self, build: &Build) -> (String, Build) {
        let mut reader = self.outputs.read(&build.id.to_string()).unwrap();
        let mut text = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            text.extend_from_slice(&piece);
        }
        (String::from_utf8(text).unwrap(), self.builds.ended(build.id).await.unwrap())
    }

    pub(crate) async fn build(&self) -> (String, Build) {
        let build = self.start().await;
        self.watch(&build).await
    }
}

async fn account_and_app(store: &Store, releases: &Releases) -> (Account, App) {
    let mut write = store.write().await.unwrap();
    let account = store::accounts::create(&mut write, "me@example.com", &Secret::new("x")).await.unwrap();
    let app = store::apps::create(&mut write, &"app".parse().unwrap(), account.id, Stack::Heroku24).await.unwrap();
    releases.initial(&mut write, &app, account.id).await.unwrap();
    write.commit().await.unwrap();
    (account, app)
}

/// The lines of a log so far.
#[allow(dead_code, reason = "not every test file reads the log")]
pub(crate) fn lines(queue: &mut Queue) -> Vec<String> {
    let mut lines = Vec::new();
    while let Ok(line) = queue.lines.try_recv() {
        lines.push(format!("{}[{}]: {}", line.source, line.dyno, line.text));
    }
    lines
}
