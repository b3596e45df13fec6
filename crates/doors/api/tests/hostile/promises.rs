//! What must hold of every answer.

use std::time::{Duration, Instant};

use api::{Access, Endpoint};
use axum::body::Body;
use http::header::{CONTENT_TYPE, ETAG, SET_COOKIE};
use http::response::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::SCHEMA;
use crate::requests::Attack;
use crate::world::World;

/// How long an answer may take; a password's hash takes the longest, and the machine may be busy.
const LONGEST: Duration = Duration::from_secs(20);
/// The longest message of an error in bytes: what was sent is not sent back.
const LONGEST_MESSAGE: usize = 2048;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
    took: Duration,
}

/// The answer; nothing if the request cannot be written as HTTP.
pub(crate) async fn sent(world: &World, attack: &Attack) -> Option<Answer> {
    let began = Instant::now();
    let answered = tokio::time::timeout(2 * LONGEST, whole(world, attack.request()?)).await;
    let (parts, bytes) = answered.unwrap_or_else(|_| panic!("no answer to {attack}"));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Some(Answer { status: parts.status, headers: parts.headers, text, json, took: began.elapsed() })
}

async fn whole(world: &World, request: Request<Body>) -> (Parts, Vec<u8>) {
    let (parts, body) = world.api.router.clone().oneshot(request).await.unwrap().into_parts();
    (parts, body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default())
}

pub(crate) fn of_answer(attack: &Attack, answer: &Answer) -> Vec<String> {
    let mut broken = vec![];
    let mut promise = |holds: bool, what: &str| {
        if !holds {
            broken.push(format!("{} {what}", answer.status));
        }
    };
    let status = answer.status.as_u16();
    let head = attack.method == Method::HEAD;
    let unbuilt = status == 501 && (head || answer.json["id"] == "not_implemented");
    promise(status < 500 || unbuilt, "is our mistake");
    promise(answer.took < LONGEST, "took too long");
    promise(answer.headers.contains_key("request-id"), "has no request id");
    let kind = answer.headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let kind = kind.unwrap_or_default();
    if head {
        promise(answer.text.is_empty(), "has a body");
        return broken;
    }
    if status >= 400 && kind.starts_with("text/html") {
        promise(!answer.text.contains("alert(1)>") && !answer.text.contains("<script"), "is a page with a script");
    } else if status >= 400 {
        let text = |name: &str| answer.json[name].as_str().is_some_and(|text| !text.is_empty());
        promise(kind.starts_with("application/json") && text("id") && text("message"), "is no error of the API");
        let message = answer.json["message"].as_str().unwrap_or_default();
        promise(message.len() <= LONGEST_MESSAGE, "has a message that goes on for ever");
        promise(!answer.headers.contains_key(ETAG) && !answer.headers.contains_key(SET_COOKIE), "is tagged");
    } else if kind.starts_with("application/json") && status != 304 {
        let path = attack.target.split('?').next().unwrap_or_default();
        if let Err(error) = SCHEMA.check(attack.method.as_str(), path, status, &answer.json) {
            broken.push(error);
        }
    }
    broken
}

/// What is refused has changed nothing.
pub(crate) fn of_record(answer: &Answer, changed: Option<String>) -> Option<String> {
    let refused = answer.status.as_u16() >= 400;
    changed.filter(|_| refused).map(|changed| format!("{} changed the record: {changed}", answer.status))
}

/// What was stored comes back as it was sent, and is there when it is asked for.
pub(crate) async fn of_memory(world: &World, endpoint: &Endpoint, attack: &Attack, answer: &Answer) -> Vec<String> {
    let stores = [Method::POST, Method::PATCH].contains(&attack.method) && endpoint.access != Access::Page;
    if !stores || !answer.status.is_success() || !answer.json.is_object() {
        return vec![];
    }
    let mut broken = vec![];
    let path = attack.target.split('?').next().unwrap_or_default();
    // A program that is started inside a dyno is not what the answer is about.
    let is_known =
        endpoint.path != "/apps/{app}/dynos/{dyno}" && !SCHEMA.bodies(attack.method.as_str(), path).is_empty();
    let sent: Value = serde_json::from_slice(&attack.body).unwrap_or_default();
    for (name, value) in sent.as_object().into_iter().flatten().filter(|_| is_known) {
        let kept = answer.json.get(name);
        if SPELT_ALIKE.contains(&name.as_str())
            && value.as_str().is_some_and(|text| !text.is_empty())
            && kept.is_some_and(Value::is_string)
            && kept != Some(value)
        {
            broken.push(format!("{name} was sent as {value} and is now {}", kept.unwrap_or(&Value::Null)));
        }
    }
    let again = match (endpoint.path, attack.method.clone()) {
        ("/apps/{app}/config-vars", _) => Some(attack.target.clone()),
        (path, Method::PATCH) if path.ends_with('}') && path != "/apps/{app}/formation/{type}" => {
            Some(attack.target.clone())
        }
        ("/apps" | "/oauth/clients" | "/account/keys" | "/apps/{app}/domains", Method::POST) => {
            let id = answer.json["id"].as_str().unwrap_or_default();
            attack.target.split('?').next().map(|path| format!("{}/{id}", path.trim_end_matches('/')))
        }
        _ => None,
    };
    if let Some(path) = again {
        let path = path.split('?').next().unwrap_or_default();
        let read = world.api.get(path).await;
        let (read, told) = (steady(read.json), steady(answer.json.clone()));
        // Who gave an app away, or their own permission, may not see it any longer.
        if read["id"] != "forbidden" && read["id"] != "not_found" && read != told {
            broken.push(format!("{path} was answered as {told} and is {read}"));
        }
    }
    broken
}

/// Members that are a text of the caller's.
const SPELT_ALIKE: &[&str] = &["name", "description", "redirect_uri", "command", "public_key"];

/// Without what may differ from one reading to the next; an app's address depends on the host that was asked.
fn steady(mut json: Value) -> Value {
    for name in ["updated_at", "access_token", "refresh_token", "git_url"] {
        json.as_object_mut().and_then(|members| members.remove(name));
    }
    json
}
