//! Who may call what (A1): every endpoint of the router, by its owner, another user, nobody, and an expired token.

#![allow(clippy::unwrap_used, reason = "a test without its fixture must stop")]

mod support;

use api::{Access, Endpoint};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::authorizations::New;
use support::{Api, request};
use vocabulary::{Secret, Timestamp};

/// What another user gets from an endpoint that names the owner's thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stranger {
    /// 403: the app is there, and not theirs.
    Forbidden,
    /// 404: the thing does not exist for them.
    NotFound,
    /// Their own answer, in which nothing of the owner's is.
    Own,
    /// No token is asked for.
    Anyone,
}

/// Answers with what is the caller's own, or the same for everyone who has a token.
const OWN: [&str; 20] = [
    "/account",
    "/account/features",
    "/account/keys",
    "/account/rate-limits",
    "/addon-attachments",
    "/addons",
    "/apps",
    "/dyno-sizes",
    "/dyno-sizes/{size}",
    "/favorites",
    "/oauth/authorizations",
    "/oauth/clients",
    "/oauth/sessions",
    "/pipelines",
    "/regions",
    "/regions/{region}",
    "/sources",
    "/stacks",
    "/stacks/{stack}",
    "/teams",
];
/// What they name does not exist for a stranger.
const NOT_FOUND: [&str; 9] = [
    "/account/features/{feature}",
    "/account/keys/{key}",
    "/oauth/authorizations/{authorization}",
    "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
    "/oauth/clients/{client}",
    "/oauth/clients/{client}/actions/rotate-credentials",
    "/oauth/sessions/{session}",
    "/users/{user}",
    "/users/{user}/apps",
];
/// Nothing worth hiding, or an address that is a secret itself.
const ANYONE: [&str; 23] = [
    "/api/v4/current-status",
    "/auth",
    "/auth/browser/{login}",
    "/auth/cli/{login}",
    "/buildpacks",
    "/buildpacks/{name}",
    "/buildpacks/{name}/readme",
    "/buildpacks/{name}/revisions",
    "/login",
    "/login/code",
    "/login/out",
    "/login/style.css",
    "/login/two-factor",
    "/login/two-factor/off",
    "/login/two-factor/on",
    "/oauth/authorize",
    "/oauth/token",
    "/oauth/tokens",
    "/schema",
    "/streams/builds/{token}",
    "/streams/logs/{token}",
    "/streams/releases/{token}",
    "/streams/sources/{token}",
];

/// Every endpoint has a place here, or [`every_endpoint_is_in_the_table`] fails.
fn stranger(endpoint: &Endpoint) -> Option<Stranger> {
    let lists = [(OWN.as_slice(), Stranger::Own), (&NOT_FOUND, Stranger::NotFound), (&ANYONE, Stranger::Anyone)];
    let listed = lists.iter().find(|(paths, _)| paths.contains(&endpoint.path)).map(|(_, stranger)| *stranger);
    listed.or_else(|| endpoint.path.starts_with("/apps/{app}").then_some(Stranger::Forbidden))
}

fn concrete(api: &Api, endpoint: &Endpoint, authorization: &str) -> String {
    let named = [
        ("{app}", "sushi"),
        ("{user}", api.owner.email),
        ("{authorization}", authorization),
        ("{type}", "web"),
        ("{release}", "1"),
        ("{region}", "us"),
        ("{stack}", "heroku-24"),
        ("{size}", "basic"),
        ("{domain}", "sushi.apps.example"),
        ("{collaborator}", api.owner.email),
        ("{name}", "heroku%2Fnodejs"),
    ];
    let path = named.iter().fold(endpoint.path.to_owned(), |path, (from, to)| path.replace(from, to));
    ["{feature}", "{session}", "{client}", "{key}", "{login}", "{slug}", "{build}", "{dyno}", "{token}"]
        .iter()
        .fold(path, |path, from| path.replace(from, "nothing"))
}

async fn api() -> (Api, String) {
    let api = Api::start().await;
    api.app("sushi").await;
    api.deploy("sushi", "web: node index.js\n").await;
    let authorizations = api.get("/oauth/authorizations").await;
    let id = authorizations.json[0]["id"].as_str().unwrap().to_owned();
    (api, id)
}

async fn expired(api: &Api) -> Secret {
    let token = Secret::new("HRKU-expired-expired-expired-expired-expired");
    let account = store::accounts::by_email(&api.store, api.owner.email).await.unwrap().unwrap();
    let mut write = api.store.write().await.unwrap();
    let new = New {
        account_id: account.id,
        token: &token,
        description: "expired",
        scope: &["global".to_owned()],
        is_default: false,
        expires_at: Some(Timestamp::from_micros(Timestamp::now().micros() - 1)),
    };
    store::authorizations::create(&mut write, &new).await.unwrap();
    write.commit().await.unwrap();
    token
}

#[test]
fn every_endpoint_is_in_the_table() {
    let missing: Vec<_> = api::endpoints().into_iter().filter(|endpoint| stranger(endpoint).is_none()).collect();
    assert!(missing.is_empty(), "endpoints nobody said who may call: {missing:?}");
    for endpoint in api::endpoints() {
        let open = matches!(endpoint.access, Access::Open | Access::Page);
        assert_eq!(open, stranger(&endpoint) == Some(Stranger::Anyone), "{endpoint:?}");
    }
}

#[tokio::test]
async fn without_a_good_token_nothing_is_answered() {
    let (api, authorization) = api().await;
    let expired = expired(&api).await;
    let wrong = Secret::new("HRKU-wrong");
    for endpoint in
        api::endpoints().iter().filter(|endpoint| matches!(endpoint.access, Access::Token | Access::TokenOrPassword))
    {
        let path = concrete(&api, endpoint, &authorization);
        for token in [None, Some(&wrong), Some(&expired)] {
            let answer = api.send(request(endpoint.method.clone(), &path, token), Value::Null).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{endpoint:?}");
            assert_eq!(answer.id(), "unauthorized");
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
}

#[tokio::test]
async fn another_user_finds_nothing_of_the_owners() {
    let (api, authorization) = api().await;
    let ends = |endpoint: &Endpoint| endpoint.method == Method::DELETE && endpoint.path == "/account";
    for endpoint in api::endpoints().into_iter().filter(|endpoint| !ends(endpoint)) {
        let path = concrete(&api, &endpoint, &authorization);
        let request = request(endpoint.method.clone(), &path, Some(&api.other.token));
        let answer = api.send(request, json!({"name": null, "updates": []})).await;
        match stranger(&endpoint).unwrap() {
            Stranger::Forbidden => assert_eq!(answer.status, StatusCode::FORBIDDEN, "{endpoint:?} {}", answer.text),
            Stranger::NotFound => assert_eq!(answer.status, StatusCode::NOT_FOUND, "{endpoint:?} {}", answer.text),
            // A body that fits every endpoint is not to be had.
            Stranger::Own if answer.status == StatusCode::UNPROCESSABLE_ENTITY => {}
            Stranger::Own => assert!(answer.status.is_success(), "{endpoint:?} {}", answer.text),
            Stranger::Anyone => {}
        }
        assert!(!answer.text.contains(api.owner.email), "{endpoint:?} {}", answer.text);
    }
    assert_eq!(api.get("/apps/sushi").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_owner_is_let_in_everywhere() {
    let (api, authorization) = api().await;
    let ends =
        |endpoint: &Endpoint| endpoint.method == Method::DELETE && ["/account", "/apps/{app}"].contains(&endpoint.path);
    for endpoint in api::endpoints().iter().filter(|endpoint| !ends(endpoint)) {
        let path = concrete(&api, endpoint, &authorization);
        let reads = [Method::GET, Method::PATCH].contains(&endpoint.method);
        if endpoint.path.starts_with("/oauth/authorizations/{authorization}") && !reads {
            continue; // The key all the others are called with.
        }
        let answer = api.owner(endpoint.method.clone(), &path, Value::Null).await;
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::METHOD_NOT_ALLOWED];
        assert!(!refused.contains(&answer.status), "{endpoint:?} {}", answer.text);
        assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{endpoint:?} {}", answer.text);
    }
}

#[tokio::test]
async fn a_scope_ends_where_it_says() {
    let (api, _) = api().await;
    let asked = json!({"scope": ["read"], "description": "reader", "expires_in": 60});
    let made = api.owner(Method::POST, "/oauth/authorizations", asked).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let token = Secret::new(made.json["access_token"]["token"].as_str().unwrap());
    let status =
        async |method: Method, path: &str| api.send(request(method, path, Some(&token)), Value::Null).await.status;
    assert_eq!(status(Method::GET, "/apps/sushi").await, StatusCode::OK);
    assert_eq!(status(Method::HEAD, "/apps/sushi").await, StatusCode::OK);
    assert_eq!(status(Method::PATCH, "/apps/sushi").await, StatusCode::FORBIDDEN);
    assert_eq!(status(Method::GET, "/apps/sushi/config-vars").await, StatusCode::FORBIDDEN);
    assert_eq!(status(Method::GET, "/oauth/authorizations").await, StatusCode::FORBIDDEN);
}
