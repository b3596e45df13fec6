//! The room over the real store and the real client, with receivers on sockets of this machine.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use outbound::{Outbound, Rules};
use serde_json::Value;
use sha2::Sha256;
use shapes::Hosts;
use store::Store;
use store::apps::App;
use store::deliveries::Delivery;
use store::part::Part;
use store::webhooks::New;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use vocabulary::{DeliveryStatus, Secret, Stack, WebhookInclude, WebhookLevel};

use crate::{Config, Webhooks};

/// What a receiver was told.
#[derive(Debug, Clone)]
struct Told {
    headers: HeaderMap,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How a receiver answers, first to last; after that with 204.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16),
    Redirect,
    Never,
}

#[derive(Debug, Clone, Default)]
struct Receiver {
    told: Arc<Mutex<Vec<Told>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Receiver {
    fn answers(&self, answers: &[Answer]) {
        *self.answers.lock().unwrap() = answers.iter().rev().copied().collect();
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> axum::response::Response {
    receiver.told.lock().unwrap().push(Told { headers, body });
    let answer = receiver.answers.lock().unwrap().pop().unwrap_or(Answer::Status(204));
    match answer {
        Answer::Status(code) => StatusCode::from_u16(code).unwrap().into_response(),
        Answer::Redirect => Redirect::temporary("/elsewhere").into_response(),
        Answer::Never => std::future::pending().await,
    }
}

struct Case {
    store: Store,
    app: App,
    receiver: Receiver,
    at: SocketAddr,
    server: JoinHandle<()>,
    room: Option<JoinHandle<()>>,
}

impl Case {
    /// A receiver the operator opened, and a webhook that leads to it.
    async fn new(level: WebhookLevel) -> Self {
        let mut case = Self::without_webhook().await;
        case.webhook(level, &format!("http://{}/hooks?a=b", case.at)).await;
        case.start(true);
        case
    }

    async fn without_webhook() -> Self {
        let (store, _) = store::scratch().await;
        let mut write = store.write().await.unwrap();
        let owner = store::accounts::create(&mut write, "ada@example.com", &Secret::new("hash")).await.unwrap();
        let app = store::apps::create(&mut write, &"sushi".parse().unwrap(), owner.id, Stack::Heroku24).await.unwrap();
        write.commit().await.unwrap();
        let (receiver, listener) = (Receiver::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let at = listener.local_addr().unwrap();
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { store, app, receiver, at, server, room: None }
    }

    async fn webhook(&self, level: WebhookLevel, url: &str) {
        let include = BTreeSet::from([WebhookInclude::App, WebhookInclude::Domain]);
        let new = New {
            app_id: self.app.id,
            url,
            include: &include,
            level,
            secret: &Secret::new("a secret"),
            authorization: Some(&Secret::new("Bearer canary")),
        };
        let mut write = self.store.write().await.unwrap();
        store::webhooks::create(&mut write, &new).await.unwrap();
        write.commit().await.unwrap();
    }

    fn start(&mut self, opened: bool) {
        let allow = opened.then(|| format!("127.0.0.1:{}", self.at.port()).parse().unwrap());
        let outbound = Outbound::new(Rules::new(allow.into_iter().collect()), None).unwrap();
        let hosts = Hosts { app_scheme: "http", domain: "apps.example".to_owned(), app_port: Some(5080), git: None };
        let config = Config { first_pause: Duration::from_millis(5), ..Config::default() };
        self.room = Some(tokio::spawn(Webhooks::new(self.store.clone(), outbound, hosts, config).run()));
    }

    async fn maintenance(&self, on: bool) {
        let mut write = self.store.write().await.unwrap();
        store::apps::set_maintenance(&mut write, self.app.id, on).await.unwrap();
        write.commit().await.unwrap();
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        store::deliveries::list(&self.store, self.app.id, None, &Part::first(100)).await.unwrap()
    }

    /// The deliveries once they stand so.
    async fn until(&self, wanted: &[DeliveryStatus]) -> Vec<Delivery> {
        loop {
            let deliveries = self.deliveries().await;
            if deliveries.iter().map(|one| one.status).eq(wanted.iter().copied()) {
                return deliveries;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_told(&self, times: usize) -> Vec<Told> {
        while self.receiver.told().len() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.receiver.told()
    }

    /// Kills the room in the middle of whatever it does.
    async fn kill(&mut self) {
        let room = self.room.take().unwrap();
        room.abort();
        assert!(room.await.unwrap_err().is_cancelled());
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        self.server.abort();
        if let Some(room) = &self.room {
            room.abort();
        }
    }
}

#[tokio::test]
async fn what_happens_is_told_and_signed() {
    let case = Case::new(WebhookLevel::Sync).await;
    case.maintenance(true).await;
    let deliveries = case.until(&[DeliveryStatus::Succeeded]).await;
    let told = case.receiver.told();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a secret").unwrap();
    mac.update(told.body.as_bytes());
    assert_eq!(told.headers["heroku-webhook-hmac-sha256"], STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(told.headers["authorization"], "Bearer canary");
    assert_eq!(told.headers["content-type"], "application/json");
    let (json, delivery) = (told.json(), deliveries.first().unwrap());
    assert_eq!((&json["resource"], &json["action"]), (&"app".into(), &"update".into()));
    assert_eq!(json["data"]["name"], "sushi");
    assert_eq!((&json["data"]["maintenance"], &json["previous_data"]["maintenance"]), (&true.into(), &false.into()));
    assert!(json["previous_data"].get("name").is_none());
    assert_eq!(json["actor"]["email"], "ada@example.com");
    assert_eq!(json["version"], "application/vnd.heroku+json; version=3");
    let metadata = &json["webhook_metadata"];
    assert_eq!(metadata["event"]["include"], "api:app");
    assert_eq!(metadata["event"]["id"], json["id"]);
    assert_eq!(metadata["delivery"]["id"], delivery.id.to_string());
    assert_eq!(metadata["attempt"]["id"], delivery.last_attempt.as_ref().unwrap().id.to_string());
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_in_order() {
    let case = Case::new(WebhookLevel::Sync).await;
    case.receiver.answers(&[Answer::Status(500), Answer::Redirect, Answer::Status(200)]);
    case.maintenance(true).await;
    case.maintenance(false).await;
    let deliveries = case.until(&[DeliveryStatus::Succeeded; 2]).await;
    assert_eq!(deliveries.iter().map(|one| one.attempts).collect::<Vec<_>>(), [3, 1]);
    let told = case.receiver.told();
    let modes: Vec<_> = told.iter().map(|one| one.json()["data"]["maintenance"].as_bool().unwrap()).collect();
    assert_eq!(modes, [true, true, true, false]);
    let ids = |name: &str| {
        let first = told.iter().take(3);
        first.map(|one| one.json()["webhook_metadata"][name]["id"].to_string()).collect::<BTreeSet<_>>().len()
    };
    assert_eq!([ids("event"), ids("delivery"), ids("attempt")], [1, 1, 3]);
}

#[tokio::test]
async fn what_fails_holds_up_no_other_thing() {
    let case = Case::new(WebhookLevel::Sync).await;
    case.receiver.answers(&[Answer::Status(500); 4]);
    case.maintenance(true).await;
    case.until_told(1).await;
    let mut write = case.store.write().await.unwrap();
    store::domains::create(&mut write, case.app.id, &"www.example.com".parse().unwrap(), "target").await.unwrap();
    write.commit().await.unwrap();
    case.until(&[DeliveryStatus::Succeeded; 2]).await;
    let told = case.receiver.told();
    let first_domain = told.iter().position(|one| one.json()["resource"] == "domain").unwrap();
    assert!(first_domain + 1 < told.len(), "the app's event was told to its end before the domain's began");
}

#[tokio::test]
async fn notify_is_one_attempt() {
    let case = Case::new(WebhookLevel::Notify).await;
    case.receiver.answers(&[Answer::Status(503)]);
    case.maintenance(true).await;
    case.maintenance(false).await;
    let deliveries = case.until(&[DeliveryStatus::Failed, DeliveryStatus::Succeeded]).await;
    let first = deliveries.first().unwrap();
    assert_eq!((first.attempts, first.last_attempt.as_ref().unwrap().code), (1, Some(503)));
    assert_eq!(first.next_attempt_at, None);
}

#[tokio::test]
async fn a_restart_repeats_sync_and_not_notify() {
    for (level, end, times) in
        [(WebhookLevel::Sync, DeliveryStatus::Succeeded, 2), (WebhookLevel::Notify, DeliveryStatus::Failed, 1)]
    {
        let mut case = Case::new(level).await;
        case.receiver.answers(&[Answer::Never]);
        case.maintenance(true).await;
        case.until_told(1).await;
        case.kill().await;
        assert_eq!(case.deliveries().await.first().unwrap().status, DeliveryStatus::Scheduled);
        case.start(true);
        case.until(&[end]).await;
        assert_eq!(case.receiver.told().len(), times, "{level}");
    }
}

#[tokio::test]
async fn what_happened_while_nobody_delivered_is_told() {
    let mut case = Case::new(WebhookLevel::Sync).await;
    case.kill().await;
    case.maintenance(true).await;
    case.start(true);
    case.until(&[DeliveryStatus::Succeeded]).await;
}

#[tokio::test]
async fn nothing_near_is_connected_to() {
    let mut case = Case::without_webhook().await;
    let port = case.at.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]", "localhost"] {
        for scheme in ["http", "https"] {
            case.webhook(WebhookLevel::Notify, &format!("{scheme}://{host}:{port}/")).await;
        }
    }
    case.start(false);
    case.maintenance(true).await;
    let deliveries = case.until(&[DeliveryStatus::Failed; 12]).await;
    for delivery in deliveries {
        let attempt = delivery.last_attempt.unwrap();
        assert_eq!((attempt.code, attempt.error.as_deref()), (None, Some("AddressRefused")));
    }
    assert!(case.receiver.told().is_empty());
}

#[tokio::test]
async fn the_end_of_an_app_is_told_and_then_forgotten() {
    let case = Case::new(WebhookLevel::Sync).await;
    let mut write = case.store.write().await.unwrap();
    store::apps::delete(&mut write, case.app.id).await.unwrap();
    write.commit().await.unwrap();
    let told = case.until_told(1).await;
    assert_eq!(told.first().unwrap().json()["action"], "destroy");
    assert_eq!(told.first().unwrap().json()["data"]["name"], "sushi");
}
