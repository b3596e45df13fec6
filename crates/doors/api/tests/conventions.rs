//! What holds for every endpoint: ids, versions, errors, pages, tags, limits.

mod support;

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Api, basic, request};

#[tokio::test]
async fn whatever_goes_wrong_is_json_with_id_and_message() {
    let api = Api::start().await;
    api.app("sushi").await;
    let raw =
        |body: &'static str| request(Method::POST, "/apps", Some(&api.owner.token)).body(Body::from(body)).unwrap();
    assert_eq!(api.send_raw(raw("{")).await.id(), "bad_request");
    assert_eq!(api.send_raw(raw("{\"name\": 1}")).await.id(), "invalid_params");
    let long = api.owner(Method::POST, "/apps", json!({"name": "x".repeat(2 << 20)})).await;
    assert_eq!((long.status, long.id()), (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"));
    assert_eq!(api.get("/nonsense").await.id(), "not_found");
    let unbuilt = api.owner(Method::POST, "/apps/sushi/addons", json!({"plan": "x"})).await;
    assert_eq!((unbuilt.status, unbuilt.id()), (StatusCode::NOT_IMPLEMENTED, "not_implemented"));
    assert!(unbuilt.message().contains("Add-on - Create"), "{}", unbuilt.message());
    assert_eq!(api.owner(Method::PUT, "/account", Value::Null).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(api.owner(Method::DELETE, "/regions", Value::Null).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let missing = api.get("/apps/maki").await;
    assert_eq!((missing.message(), &missing.json["resource"]), ("Couldn't find that app.", &json!("app")));
}

#[tokio::test]
async fn only_version_3_in_any_variant() {
    let api = Api::start().await;
    for (accept, status) in [
        ("application/vnd.heroku+json; version=3.sdk", StatusCode::OK),
        ("application/json", StatusCode::OK),
        ("application/vnd.heroku+json; version=2", StatusCode::NOT_ACCEPTABLE),
    ] {
        let asked = request(Method::GET, "/account", Some(&api.owner.token)).header("accept", accept);
        assert_eq!(api.send(asked, Value::Null).await.status, status, "{accept}");
    }
}

#[tokio::test]
async fn an_answer_that_is_known_is_not_sent_again_and_head_mirrors_get() {
    let api = Api::start().await;
    let first = api.get("/account").await;
    let tag = first.header("etag").unwrap();
    let again = request(Method::GET, "/account", Some(&api.owner.token)).header("if-none-match", tag);
    let again = api.send(again, Value::Null).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    let head = api.owner(Method::HEAD, "/account", Value::Null).await;
    assert_eq!((head.status, head.header("etag"), head.text.as_str()), (StatusCode::OK, Some(tag), ""));
    assert_ne!(first.header("request-id"), again.header("request-id"));
}

#[tokio::test]
async fn conditions_are_met_by_the_answer_there_is() {
    let api = Api::start().await;
    let made = api.owner(Method::POST, "/apps", json!({"name": "sushi"})).await;
    let tag = made.header("etag").unwrap();
    let conditional = async |name: &str, values: &[&str]| {
        let asked = request(Method::GET, "/apps/sushi", Some(&api.owner.token));
        let asked = values.iter().fold(asked, |asked, value| asked.header(name, *value));
        api.send(asked, Value::Null).await
    };
    let weak = format!("W/{tag}");
    for (name, values, status) in [
        // What a write answers is what the next reading finds.
        ("if-none-match", vec![tag], 304),
        ("if-none-match", vec![weak.as_str()], 304),
        ("if-none-match", vec!["\"other\"", tag], 304),
        ("if-none-match", vec!["\"other\""], 200),
        ("if-match", vec![tag], 200),
        ("if-match", vec!["\"other\"", tag], 200),
        ("if-match", vec!["*"], 200),
        ("if-match", vec!["\"other\""], 412),
        ("if-match", vec![weak.as_str()], 412),
        ("if-modified-since", vec!["Sun, 06 Nov 2050 08:49:37 GMT"], 200),
    ] {
        let answer = conditional(name, &values).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {values:?} {}", answer.text);
        assert_eq!(answer.id(), if status == 412 { "precondition_failed" } else { answer.id() });
    }
    api.owner(Method::PATCH, "/apps/sushi", json!({"maintenance": true})).await;
    assert_eq!(conditional("if-match", &[tag]).await.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_preflight_needs_no_token() {
    let api = Api::start().await;
    let preflight = api.send(request(Method::OPTIONS, "/apps", None), Value::Null).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let api = Api::start().await;
    for name in ["maki", "nigiri", "sushi"] {
        api.app(name).await;
    }
    let page = async |range: &str| {
        let asked = request(Method::GET, "/apps", Some(&api.owner.token)).header("range", range);
        api.send(asked, Value::Null).await
    };
    let names = |page: &Value| page.as_array().unwrap().iter().map(|app| app["name"].clone()).collect::<Vec<_>>();
    let first = page("name ..; max=2, order=desc").await;
    assert_eq!(
        (first.status, names(&first.json)),
        (StatusCode::PARTIAL_CONTENT, vec![json!("sushi"), json!("nigiri")])
    );
    let last = page(first.header("next-range").unwrap()).await;
    assert_eq!((last.status, names(&last.json)), (StatusCode::OK, vec![json!("maki")]));
    assert_eq!(last.header("next-range"), None);
    assert_eq!(last.header("accept-ranges"), Some("id, name, updated_at"));
    let wrong = page("colour ..").await;
    assert_eq!((wrong.status, wrong.id()), (StatusCode::RANGE_NOT_SATISFIABLE, "requested_range_not_satisfiable"));
}

#[tokio::test]
async fn requests_are_counted_and_asking_for_the_count_is_free() {
    let api = Api::start().await;
    assert_eq!(api.get("/account").await.header("ratelimit-remaining"), Some("4499"));
    assert_eq!(api.get("/account/rate-limits").await.json, json!({"remaining": 4499}));
    // Some come back while this loop takes them.
    let mut left = 4499;
    while left > 0 {
        let answer = api.get("/account/features").await;
        left = answer.header("ratelimit-remaining").unwrap().parse().unwrap();
    }
    let over = api.get("/account").await;
    assert_eq!((over.status, over.id()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit"));
}

#[tokio::test]
async fn email_and_password_make_a_token_and_nothing_else() {
    let api = Api::start().await;
    let password = api.owner.password.reveal();
    let with = |method: Method, path: &str, header: String| request(method, path, None).header("authorization", header);
    let body = json!({"description": "login", "scope": ["global"], "expires_in": 2_592_000});
    let login = with(Method::POST, "/oauth/authorizations", basic(api.owner.email, password));
    let made = api.send(login, body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let token = made.json["access_token"]["token"].as_str().unwrap().to_owned();
    for header in [basic("", &token), basic("heroku", &token), basic(api.owner.email, &token)] {
        assert_eq!(api.send(with(Method::GET, "/account", header), Value::Null).await.status, StatusCode::OK);
    }
    let wrong = with(Method::POST, "/oauth/authorizations", basic(api.owner.email, "wrong"));
    assert_eq!(api.send(wrong, body).await.status, StatusCode::UNAUTHORIZED);
    let elsewhere = with(Method::GET, "/account", basic(api.owner.email, password));
    assert_eq!(api.send(elsewhere, Value::Null).await.status, StatusCode::UNAUTHORIZED);
    let listed = api.get("/oauth/authorizations").await;
    assert!(!listed.text.contains(&token));
    let id = made.json["id"].as_str().unwrap();
    let gone = api.owner(Method::DELETE, &format!("/oauth/authorizations/{id}"), Value::Null).await;
    assert_eq!(gone.status, StatusCode::OK);
    let late = with(Method::GET, "/account", basic("", &token));
    assert_eq!(api.send(late, Value::Null).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoever_is_refused_is_heard_to_the_end() {
    let api = Api::start().await;
    api.app("sushi").await;
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = futures_util::stream::unfold(body, async |mut body| body.recv().await.map(|piece| (piece, body)));
    let request = request(Method::PATCH, "/apps/sushi/config-vars", Some(&api.other.token));
    let request = request.body(axum::body::Body::from_stream(Box::pin(body))).unwrap();
    let sent = async {
        for _ in 0..100 {
            pieces.send(Ok(vec![b' '; 1024])).await.unwrap();
        }
        drop(pieces);
    };
    let (answer, ()) = tokio::join!(api.send_raw(request), sent);
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
}

#[tokio::test]
async fn a_token_that_ends_while_its_body_comes_does_nothing() {
    let api = Api::start().await;
    api.app("sushi").await;
    let made = api.owner(Method::POST, "/oauth/authorizations", json!({"description": "slow"})).await;
    let token = vocabulary::Secret::new(made.json["access_token"]["token"].as_str().unwrap());
    let id = made.json["id"].as_str().unwrap().parse().unwrap();
    let store = api.store.clone();
    let body = axum::body::Body::from_stream(futures_util::stream::once(async move {
        let mut write = store.write().await.unwrap();
        store::authorizations::delete(&mut write, id).await.unwrap();
        write.commit().await.unwrap();
        Ok::<_, std::io::Error>(json!({"A": "1"}).to_string())
    }));
    let slow = request(Method::PATCH, "/apps/sushi/config-vars", Some(&token)).body(body).unwrap();
    assert_eq!(api.send_raw(slow).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get("/apps/sushi/config-vars").await.json, json!({}));
}
