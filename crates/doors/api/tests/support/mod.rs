//! The API over real rooms and a real store, in process. No engine answers: what needs one is recorded and waits.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without its fixture must stop")]

pub(crate) mod entries;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use loglines::LogSink;
use schema_check::Schema;
use serde_json::Value;
use store::Store;
use store::authorizations::New;
use tower::ServiceExt as _;
use vocabulary::{AppId, ProcessTypes, Secret, SlugId, Stack, Timestamp};

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::published);

/// The API with two users.
pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) platform: api::Platform,
    pub(crate) store: Store,
    pub(crate) sink: LogSink,
    pub(crate) owner: User,
    pub(crate) other: User,
    /// Repositories that were removed.
    pub(crate) removed: Arc<Mutex<Vec<AppId>>>,
    pub(crate) folder: tempfile::TempDir,
}

/// Somebody who can sign in.
pub(crate) struct User {
    pub(crate) email: &'static str,
    pub(crate) password: Secret,
    pub(crate) token: Secret,
}

/// An answer, checked against the schema.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let store = Box::pin(store::scratch()).await.0;
        Box::pin(Self::over(store, tempfile::tempdir().unwrap())).await
    }

    /// The same with its record in a file of its own ([`Api::file`]), whatever other tests keep theirs in.
    pub(crate) async fn in_a_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Box::pin(store(folder.path())).await;
        Box::pin(Self::over(store, folder)).await
    }

    async fn over(store: Store, folder: tempfile::TempDir) -> Self {
        let removed = Arc::new(Mutex::new(vec![]));
        let (sink, queue) = LogSink::new();
        let platform = platform(&store, folder.path(), sink.clone(), Arc::clone(&removed));
        tokio::spawn(platform.logs.clone().run(queue));
        let owner = user(&store, "owner@example.com").await;
        let other = user(&store, "other@example.com").await;
        Self { router: api::router(platform.clone()), platform, store, sink, owner, other, removed, folder }
    }

    /// The file of the record, for [`Api::in_a_file`].
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("slipway.db")
    }

    /// The API as it is after a restart of control: what it counts in memory is forgotten.
    pub(crate) fn fresh_limits(&mut self) {
        self.router = api::router(self.platform.clone());
    }

    /// A request of the owner's with a JSON body, or with none if it is null.
    pub(crate) async fn owner(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(request(method, path, Some(&self.owner.token)), body).await
    }

    /// As [`Api::owner`], by GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.owner(Method::GET, path, Value::Null).await
    }

    /// A request as it stands.
    pub(crate) async fn send(&self, request: http::request::Builder, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send_raw(request.body(body).unwrap()).await
    }

    pub(crate) async fn send_raw(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        assert!(parts.headers.contains_key("request-id"), "{method} {path}");
        check(&method, &path, parts.status, &parts.headers, &json);
        Answer { status: parts.status, headers: parts.headers, json, text }
    }

    /// A request of somebody's with a JSON body, or with none if it is null.
    pub(crate) async fn with(&self, token: &Secret, method: Method, path: &str, body: Value) -> Answer {
        self.send(request(method, path, Some(token)), body).await
    }

    /// Somebody new, with a token and without a password.
    pub(crate) async fn somebody(&self, email: &str) -> Secret {
        let mut write = self.store.write().await.unwrap();
        store::accounts::create(&mut write, email, &Secret::new("none")).await.unwrap();
        write.commit().await.unwrap();
        self.token(email, "global", None).await
    }

    /// A token of somebody's that reaches this far, until then.
    pub(crate) async fn token(&self, email: &str, scope: &str, expires_at: Option<Timestamp>) -> Secret {
        let account_id = store::accounts::by_email(&self.store, email).await.unwrap().unwrap().id;
        let token = Secret::new(format!("HRKU-{scope}-{}", uuid::Uuid::new_v4()));
        let scope = [scope.to_owned()];
        let (description, is_default) = ("a test's", false);
        let new = New { account_id, token: &token, description, scope: &scope, is_default, expires_at };
        let mut write = self.store.write().await.unwrap();
        store::authorizations::create(&mut write, &new).await.unwrap();
        write.commit().await.unwrap();
        token
    }

    /// A new app of the owner's.
    pub(crate) async fn app(&self, name: &str) -> Value {
        let made = self.owner(Method::POST, "/apps", serde_json::json!({ "name": name })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.json
    }

    /// A release of an app, with a slug of these process types.
    #[expect(clippy::disallowed_methods, reason = "a test is no door")]
    pub(crate) async fn deploy(&self, name: &str, procfile: &str) {
        let app = store::apps::by_name(&self.store, &name.parse().unwrap()).await.unwrap().unwrap();
        let slug = store::slugs::Slug {
            id: SlugId::new(),
            app_id: app.id,
            stack: Stack::default(),
            commit: Some("1234567".to_owned()),
            commit_description: None,
            buildpack_provided_description: Some("Node.js".to_owned()),
            process_types: ProcessTypes::from_procfile(procfile.as_bytes()).unwrap(),
            layers: vec![],
            size: 1234,
            created_at: Timestamp::now(),
        };
        let releases = &self.platform.releases;
        releases.deploy(&app, &slug, &BTreeMap::default(), app.owner_id, "Deploy 1234567").await.unwrap();
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn id(&self) -> &str {
        self.json["id"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }
}

/// The store in a folder, made there if there is none.
pub(crate) async fn store(folder: &Path) -> Store {
    let key = store::seal::SealKey::load_or_create(&folder.join("seal.key")).unwrap();
    Store::open(&folder.join("slipway.db"), key).await.unwrap()
}

/// The API over what an earlier one left in a folder, as after a restart.
pub(crate) async fn reopened(folder: &Path) -> Router {
    let (sink, _nobody_reads) = LogSink::new();
    api::router(platform(&store(folder).await, folder, sink, Arc::default()))
}

/// A request with a token or without.
pub(crate) fn request(method: Method, path: &str, token: Option<&Secret>) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("host", "api.example:5080");
    match token {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {}", token.reveal())),
        None => request,
    }
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The path of an address.
pub(crate) fn path(url: &Value) -> String {
    let url = url.as_str().unwrap();
    url.strip_prefix("http://api.example:5080").unwrap_or_else(|| panic!("{url}")).to_owned()
}

fn check(method: &Method, path: &str, status: StatusCode, headers: &HeaderMap, json: &Value) {
    let is_json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let fits = is_json || is_page || status.as_u16() < 400 || method == Method::HEAD;
    assert!(fits, "{method} {path}: an error that is neither JSON nor a page");
    let empty = status == StatusCode::NOT_MODIFIED || status == StatusCode::NO_CONTENT;
    if is_json && !empty && method != Method::HEAD {
        SCHEMA.check(method.as_str(), path, status.as_u16(), json).unwrap();
    }
}

async fn user(store: &Store, email: &'static str) -> User {
    let mut kept = None;
    let keep = |password: &Secret, token: &Secret| {
        kept = Some((password.clone(), token.clone()));
        Ok(())
    };
    api::create_administrator(store, email, keep).await.unwrap();
    let (password, token) = kept.unwrap();
    User { email, password, token }
}

fn platform(store: &Store, folder: &Path, sink: LogSink, removed: Arc<Mutex<Vec<AppId>>>) -> api::Platform {
    let wakers = work::Wakers::default();
    let outputs = blobs::Outputs::open(&folder.join("outputs")).unwrap();
    let blobs = blobs::Blobs::open(&folder.join("blobs")).unwrap();
    let (engine, _connection) = engine::Engine::new(folder.join("engine.sock"), 1);
    let releases = releases::Releases::new(
        store.clone(),
        wakers.clone(),
        sink.clone(),
        outputs.clone(),
        blobs.clone(),
        engine.clone(),
        releases::Config::default(),
    );
    let dynos = dynos::Dynos::new(
        store.clone(),
        wakers.clone(),
        sink.clone(),
        engine.clone(),
        routes_table::Departures::default(),
        blobs.clone(),
        dynos::Config::default(),
    );
    let builds = builds::Builds::new(
        store.clone(),
        wakers.clone(),
        sink,
        outputs.clone(),
        blobs.clone(),
        engine,
        releases.clone(),
        builds::Config::default(),
    );
    let remove = move |app| {
        removed.lock().unwrap().push(app);
        async { Ok(()) }
    };
    api::Platform {
        store: store.clone(),
        wakers,
        releases,
        dynos,
        builds: builds.unwrap(),
        logs: logs::Logs::new(folder.join("logs"), None),
        outputs,
        blobs,
        repositories: api::Repositories::new(|_| async { Ok(()) }, remove),
        stacks: api::Stacks::new(|| async { Ok(vec!["debian-13".to_owned(), "ours-1".to_owned()]) }),
        hosts: api::Hosts { app_scheme: "http", domain: "apps.example".to_owned(), app_port: Some(5080), git: None },
        outbound: outbound::Rules::default(),
    }
}
