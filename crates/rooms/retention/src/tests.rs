//! Passes over the real store and real blobs, beside an engine that keeps the contract and runs nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blobs::{Blobs, Outputs, Pin};
use engine::{Discarded, Engine, FromEngine, InstanceStatus, Reply, Request, ToEngine};
use store::Store;
use store::apps::{App, ConfigVars};
use store::layers::Layer;
use store::releases::Release;
use store::slugs::Slug;
use tokio::net::UnixListener;
use vocabulary::{AppId, BuildId, Digest, ProcessTypes, ReleaseStatus, Secret, SlugId, Stack, Timestamp};
use work::Waker;

use crate::pass::{Freed, Tidied};
use crate::{Config, Retention};

fn node(version: &str) -> store::layers::RuntimeKey<'_> {
    store::layers::RuntimeKey { name: "node", version, stack_image: None }
}

#[derive(Debug, Default)]
struct Host {
    images: BTreeSet<Digest>,
    in_use: BTreeSet<Digest>,
    repositories: BTreeSet<AppId>,
    tidied: Vec<AppId>,
    instances: Vec<InstanceStatus>,
}

/// Answers what this room asks.
async fn serve(listener: UnixListener, host: Arc<Mutex<Host>>) {
    let (stream, _) = listener.accept().await.unwrap();
    let wire::Connection { mut sender, mut receiver, .. } = wire::Connection::new(stream).unwrap();
    while let Ok(Some((ToEngine { sequence, request }, _))) = receiver.receive::<ToEngine>().await {
        let reply = Ok(answer(&mut host.lock().unwrap(), request));
        sender.send(&FromEngine::Reply { sequence, reply }, &[]).await.unwrap();
    }
}

fn answer(host: &mut Host, request: Request) -> Reply {
    match request {
        Request::Layers { after } => Reply::Layers(
            host.images.iter().filter(|one| after.as_ref().is_none_or(|after| *one > after)).cloned().collect(),
        ),
        Request::Discard { layers } => {
            let (stay, go): (Vec<_>, Vec<_>) = layers.into_iter().partition(|layer| host.in_use.contains(layer));
            let images = go.iter().filter(|layer| host.images.remove(layer)).count() as u64;
            Reply::Discarded(Discarded { images, bytes: images, in_use: stay.len() as u64 })
        }
        Request::List => Reply::Instances(host.instances.clone()),
        Request::Remove { id } => {
            host.instances.retain(|instance| instance.spec.id != id);
            Reply::Done
        }
        Request::Repositories => Reply::Repositories(host.repositories.iter().copied().collect()),
        Request::RemoveRepository { app } => {
            host.repositories.remove(&app);
            Reply::Done
        }
        Request::TidyRepository { app } => {
            host.tidied.push(app);
            Reply::Done
        }
        _ => Reply::Done,
    }
}

struct Case {
    store: Store,
    blobs: Blobs,
    outputs: Outputs,
    host: Arc<Mutex<Host>>,
    room: Retention,
    tidied: Tidied,
    app: App,
    _folder: tempfile::TempDir,
}

impl Case {
    /// The newest two releases keep their slugs, one of them as an image; nothing is kept for its age.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = store::scratch().await;
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let outputs = Outputs::open(&folder.path().join("outputs")).unwrap();
        let socket = folder.path().join("engine.sock");
        let host = Arc::<Mutex<Host>>::default();
        tokio::spawn(serve(UnixListener::bind(&socket).unwrap(), Arc::clone(&host)));
        let (engine, connection) = Engine::new(socket, 1);
        tokio::spawn(connection);
        let config = Config { releases: 2, age: Duration::ZERO, warm: 1, ..Config::default() };
        let (parts, waker) = ((store.clone(), blobs.clone(), outputs.clone()), Waker::default());
        let room = Retention::new(parts.0, waker, parts.1, parts.2, engine, config);
        let mut write = store.write().await.unwrap();
        let owner = store::accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
        let app = store::apps::create(&mut write, &"sushi".parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
        write.commit().await.unwrap();
        host.lock().unwrap().repositories.insert(app.id);
        Self { store, blobs, outputs, host, room, tidied: Tidied::default(), app, _folder: folder }
    }

    async fn pass(&mut self) -> Freed {
        self.room.pass(&mut self.tidied).await.unwrap()
    }

    fn blob(&self, text: &str) -> Pin {
        let mut draft = self.blobs.draft().unwrap();
        draft.write(text.as_bytes()).unwrap();
        draft.finish().unwrap().0
    }

    /// A layer as a build makes it: packed on the host, kept as a blob, recorded.
    async fn layer(&self, text: &str) -> (Layer, [Pin; 2]) {
        let digest = digest(text);
        self.host.lock().unwrap().images.insert(digest.clone());
        let (layer, blob) = (self.blobs.pin(&digest), self.blob(text));
        let row = Layer { digest, blob: (*blob).clone(), blob_bytes: 1, tar_bytes: 1 };
        let mut write = self.store.write().await.unwrap();
        store::layers::create(&mut write, &row).await.unwrap();
        write.commit().await.unwrap();
        (row, [layer, blob])
    }

    async fn deploy(&self, layers: &[&str]) -> Release {
        let mut rows = Vec::new();
        for text in layers {
            rows.push(self.layer(text).await);
        }
        let slug = Slug {
            id: SlugId::new(),
            app_id: self.app.id,
            stack: Stack::Heroku24,
            commit: None,
            commit_description: None,
            buildpack_provided_description: None,
            process_types: ProcessTypes::default(),
            layers: rows.iter().map(|(row, _)| row.digest.clone()).collect(),
            size: 1,
            created_at: Timestamp::now(),
        };
        let mut write = self.store.write().await.unwrap();
        store::slugs::create(&mut write, &slug).await.unwrap();
        let new = store::releases::New {
            app_id: self.app.id,
            slug_id: Some(slug.id),
            config: &ConfigVars::new(),
            status: ReleaseStatus::Succeeded,
            description: "Deploy",
            account_id: self.app.owner_id,
        };
        let release = store::releases::create(&mut write, &new).await.unwrap();
        write.commit().await.unwrap();
        release
    }

    async fn build(&self, source: &Pin) -> BuildId {
        let id = BuildId::new();
        let new = store::builds::New {
            id,
            app_id: self.app.id,
            account_id: self.app.owner_id,
            stack: Stack::Heroku24,
            source,
            strip_top_folder: false,
            source_version: None,
            source_version_description: None,
            buildpacks: &[],
        };
        let mut write = self.store.write().await.unwrap();
        store::builds::create(&mut write, &new).await.unwrap();
        write.commit().await.unwrap();
        id
    }

    async fn fail(&self, build: BuildId) {
        let mut write = self.store.write().await.unwrap();
        store::builds::fail(&mut write, build, "on purpose").await.unwrap();
        write.commit().await.unwrap();
    }

    async fn status(&self, release: &Release) -> ReleaseStatus {
        store::releases::get(&self.store, release.id).await.unwrap().unwrap().status
    }

    /// Which of these texts are there as blobs, and which as images.
    fn there(&self, texts: &[&'static str]) -> (Vec<&'static str>, Vec<&'static str>) {
        let images = &self.host.lock().unwrap().images;
        let is_blob = |text: &&&str| self.blobs.get(&digest_of_blob(text)).is_ok();
        let blobs = texts.iter().filter(is_blob).copied().collect();
        (blobs, texts.iter().filter(|text| images.contains(&digest(text))).copied().collect())
    }
}

/// The digest of the layer of a text; its blob has another.
fn digest(text: &str) -> Digest {
    let mut bytes = [7; 32];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    Digest::from_bytes(&bytes)
}

fn digest_of_blob(text: &str) -> Digest {
    let folder = tempfile::tempdir().unwrap();
    let mut draft = Blobs::open(folder.path()).unwrap().draft().unwrap();
    draft.write(text.as_bytes()).unwrap();
    let (pin, _) = draft.finish().unwrap();
    (*pin).clone()
}

#[tokio::test]
async fn old_slugs_go_with_what_only_they_have_and_their_releases_expire() {
    let mut case = Case::new().await;
    let releases = [
        case.deploy(&["node", "one"]).await,
        case.deploy(&["node", "two"]).await,
        case.deploy(&["node", "three"]).await,
    ];
    let freed = case.pass().await;
    assert!(freed.is_all());
    assert_eq!(case.there(&["node", "one", "two", "three"]), (vec!["node", "two", "three"], vec!["node", "three"]));
    let mut statuses = Vec::new();
    for release in &releases {
        statuses.push(case.status(release).await);
    }
    assert_eq!(statuses, [ReleaseStatus::Expired, ReleaseStatus::Succeeded, ReleaseStatus::Succeeded]);
    // A second pass finds nothing.
    case.pass().await;
    assert_eq!(case.there(&["node", "one", "two", "three"]), (vec!["node", "two", "three"], vec!["node", "three"]));
}

#[tokio::test]
async fn a_build_under_way_loses_nothing_at_any_step() {
    let mut case = Case::new().await;
    let source = case.blob("source");
    case.pass().await;
    let build = case.build(&source).await;
    drop(source);
    case.pass().await;
    assert_eq!(case.there(&["source"]).0, ["source"]);
    let (_, pins) = case.layer("fresh").await;
    case.pass().await;
    assert_eq!(case.there(&["fresh"]), (vec!["fresh"], vec!["fresh"]), "recorded, and no slug has it yet");
    case.deploy(&["fresh"]).await;
    drop(pins);
    case.fail(build).await;
    case.pass().await;
    assert_eq!(case.there(&["fresh", "source"]), (vec!["fresh"], vec!["fresh"]), "the build ended, the source is gone");
}

#[tokio::test]
async fn what_a_crash_left_is_found() {
    let mut case = Case::new().await;
    // Rows were forgotten, files were not deleted; and a layer was packed that was never recorded.
    drop(case.blob("left"));
    case.host.lock().unwrap().images.insert(digest("packed"));
    let (_, pins) = case.layer("recorded").await;
    drop(pins);
    case.pass().await;
    assert_eq!(case.there(&["left", "packed", "recorded"]), (vec![], vec![]));
}

#[tokio::test]
async fn one_blob_of_two_references_goes_with_the_second() {
    let mut case = Case::new().await;
    let source = case.blob("same");
    let builds = [case.build(&source).await, case.build(&source).await];
    drop(source);
    case.fail(builds[0]).await;
    case.pass().await;
    assert_eq!(case.there(&["same"]).0, ["same"]);
    case.fail(builds[1]).await;
    case.pass().await;
    assert!(case.there(&["same"]).0.is_empty());
}

#[tokio::test]
async fn an_app_that_is_deleted_takes_everything_along_but_shared_runtimes() {
    let mut case = Case::new().await;
    case.deploy(&["node", "app"]).await;
    let (cache, pins) = case.layer("cache").await;
    let mut write = case.store.write().await.unwrap();
    store::layers::set_build_cache(&mut write, case.app.id, Stack::Heroku24, &cache.digest).await.unwrap();
    store::layers::set_runtime(&mut write, &node("24.0.0"), &digest("node")).await.unwrap();
    write.commit().await.unwrap();
    drop(pins);
    let build = case.build(&case.blob("source")).await;
    case.outputs.write(&build.to_string()).unwrap().end();
    case.pass().await;
    let all = ["node", "app", "cache", "source"];
    assert_eq!(case.there(&all), (all.to_vec(), vec!["node", "app", "cache"]));
    assert_eq!(case.outputs.names().unwrap().len(), 1);

    let mut write = case.store.write().await.unwrap();
    store::apps::delete(&mut write, case.app.id).await.unwrap();
    write.commit().await.unwrap();
    case.host.lock().unwrap().in_use.insert(digest("app"));
    assert!(!case.pass().await.is_all(), "an instance still stands on its image");
    assert_eq!(case.there(&all), (vec!["node"], vec!["node", "app"]));
    assert!(case.outputs.names().unwrap().is_empty());
    assert!(case.host.lock().unwrap().repositories.is_empty());
    case.host.lock().unwrap().in_use.clear();
    assert!(case.pass().await.is_all());
    assert_eq!(case.there(&all), (vec!["node"], vec!["node"]));
}

#[tokio::test]
async fn the_newest_outputs_stay_and_those_under_way() {
    let mut case = Case::new().await;
    let mut builds = Vec::new();
    for _ in 0..4 {
        let build = case.build(&case.blob("source")).await;
        case.outputs.write(&build.to_string()).unwrap().end();
        builds.push(build);
    }
    for build in &builds[1..] {
        case.fail(*build).await;
    }
    case.pass().await;
    let mut names = case.outputs.names().unwrap();
    names.sort();
    let mut kept = [builds[0], builds[2], builds[3]].map(|build| build.to_string());
    kept.sort();
    assert_eq!(names, kept, "the oldest has not ended, the second is neither new nor pending");
}

#[tokio::test]
async fn a_pass_keeps_its_budget_and_the_next_goes_on() {
    let mut case = Case::new().await;
    case.room.config.budget = 2;
    for text in ["a", "b", "c"] {
        drop(case.blob(text));
    }
    assert!(!case.pass().await.is_all());
    assert_eq!(case.there(&["a", "b", "c"]).0.len(), 1);
    assert!(case.pass().await.is_all());
    assert!(case.there(&["a", "b", "c"]).0.is_empty());
}

#[tokio::test]
async fn a_repository_is_looked_at_once_in_a_while() {
    let mut case = Case::new().await;
    case.pass().await;
    case.pass().await;
    assert_eq!(case.host.lock().unwrap().tidied, [case.app.id]);
}

#[tokio::test]
async fn an_upload_keeps_its_source_for_an_hour_though_nobody_holds_it() {
    let mut case = Case::new().await;
    let digest = (*case.blob("a source")).clone();
    let mut write = case.store.write().await.unwrap();
    let now = Timestamp::now().micros();
    let owner = case.app.owner_id;
    let upload = |id: &str, created_at| store::uploads::Upload {
        id: id.to_owned(),
        account_id: owner,
        blob: digest.clone(),
        bytes: 8,
        created_at: Timestamp::from_micros(created_at),
    };
    let room = store::uploads::Room { uploads: 2, bytes: 16 };
    store::uploads::place(&mut write, &upload("new", now), room).await.unwrap();
    write.commit().await.unwrap();
    case.pass().await;
    assert!(case.blobs.get(&digest).is_ok());
    let mut write = case.store.write().await.unwrap();
    store::uploads::place(&mut write, &upload("new", now - 3_600_000_000), room).await.unwrap();
    write.commit().await.unwrap();
    case.pass().await;
    assert!(case.blobs.get(&digest).is_err());
    assert!(store::uploads::blobs(&case.store).await.unwrap().is_empty());
}
