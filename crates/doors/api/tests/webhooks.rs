//! Webhooks: made, changed, listed, and what is refused.

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Api};

async fn add(api: &Api, body: Value) -> Answer {
    api.owner(Method::POST, "/apps/sushi/webhooks", body).await
}

fn wanted() -> Value {
    json!({"include": ["api:release", "api:domain"], "level": "sync", "url": "https://example.com/hooks"})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = wanted();
    body[field] = value;
    body
}

#[tokio::test]
async fn one_is_made_shown_changed_and_removed() {
    let api = Api::start().await;
    api.app("sushi").await;
    let made = add(&api, wanted()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let secret = made.header("heroku-webhook-secret").unwrap();
    assert!(secret.len() == 60 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    assert!(!made.text.contains(secret));
    assert_eq!(made.json["include"], json!(["api:domain", "api:release"]));
    assert_eq!(made.json["app"]["name"], "sushi");
    let path = format!("/apps/sushi/webhooks/{}", made.id());
    let shown = api.get(&path).await;
    assert_eq!((&shown.json, shown.header("heroku-webhook-secret")), (&made.json, None));
    assert_eq!(api.get("/apps/sushi/webhooks").await.json, json!([made.json]));
    let changed = api.owner(Method::PATCH, &path, json!({"level": "notify", "include": ["dyno"]})).await;
    assert_eq!((&changed.json["level"], &changed.json["include"]), (&json!("notify"), &json!(["dyno"])));
    assert_eq!((&changed.json["url"], changed.header("heroku-webhook-secret")), (&made.json["url"], None));
    let renewed = api.owner(Method::PATCH, &path, json!({"secret": "mine", "authorization": "Bearer a"})).await;
    assert_eq!(renewed.header("heroku-webhook-secret"), Some("mine"));
    assert_eq!(api.owner(Method::DELETE, &path, Value::Null).await.id(), made.id());
    assert_eq!(api.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let api = Api::start().await;
    api.app("sushi").await;
    for (field, value) in [
        ("include", json!([])),
        ("include", json!(["api:everything"])),
        ("include", json!("api:release")),
        ("level", json!("often")),
        ("url", json!("http://example.com/")),
        ("url", json!("ftp://example.com/")),
        ("url", json!("https://user:secret@example.com/")),
        ("url", json!("https://127.0.0.1/")),
        ("url", json!("https://0x7f.1/")),
        ("url", json!("https://localhost/")),
        ("url", json!("https://169.254.169.254/latest/meta-data")),
        ("url", json!("https://[::ffff:10.0.0.1]/")),
        ("url", json!("example.com")),
        ("secret", json!("two\nlines")),
        ("authorization", json!("Bearer \u{e9}")),
        ("authorization", json!("a".repeat(2049))),
    ] {
        let refused = add(&api, with(field, value.clone())).await;
        assert_eq!(
            (refused.status, refused.id()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid_params"),
            "{field}: {value}"
        );
        assert!(refused.message().contains(field) || value == json!("api:release"), "{}", refused.message());
    }
    let made = add(&api, wanted()).await;
    let path = format!("/apps/sushi/webhooks/{}", made.id());
    let near = api.owner(Method::PATCH, &path, json!({"url": "https://10.0.0.1/"})).await;
    assert_eq!(near.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_app_has_ten() {
    let api = Api::start().await;
    api.app("sushi").await;
    for _ in 0..10 {
        assert_eq!(add(&api, wanted()).await.status, StatusCode::CREATED);
    }
    let more = add(&api, wanted()).await;
    assert_eq!((more.status, more.message()), (StatusCode::UNPROCESSABLE_ENTITY, "An app has at most 10 webhooks."));
}

/// Everything a webhook can ask for.
const ALL: [&str; 11] = [
    "api:addon",
    "api:addon-attachment",
    "api:app",
    "api:build",
    "api:collaborator",
    "api:domain",
    "api:dyno",
    "api:formation",
    "api:release",
    "api:sni-endpoint",
    "dyno",
];

#[tokio::test]
async fn the_apps_of_one_owner_have_a_hundred() {
    let api = Api::start().await;
    for number in 0..11 {
        api.app(&format!("sushi-{number}")).await;
    }
    let add = async |number: usize| api.owner(Method::POST, &format!("/apps/sushi-{number}/webhooks"), wanted()).await;
    for number in 0..100 {
        assert_eq!(add(number / 10).await.status, StatusCode::CREATED);
    }
    let more = add(10).await;
    assert_eq!((more.status, more.id()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_params"));
    assert_eq!(more.message(), "All apps of one account or team have at most 100 webhooks together.");
}

#[tokio::test]
async fn what_happens_is_listed_as_the_api_shows_it() {
    let api = Api::start().await;
    api.app("sushi").await;
    add(&api, with("include", json!(ALL))).await;
    let domain =
        api.owner(Method::POST, "/apps/sushi/domains", json!({"hostname": "www.example.com", "sni_endpoint": null}));
    let domain = domain.await.json;
    api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": "other@example.com"})).await;
    api.deploy("sushi", "web: node index.js\n").await;
    api.owner(Method::PATCH, "/apps/sushi/formation/web", json!({"quantity": 2})).await;
    api.owner(Method::PATCH, "/apps/sushi", json!({"name": "maki"})).await;
    let events = api.get("/apps/maki/webhook-events").await.json;
    let told = |include: &str| {
        let found = events.as_array().unwrap().iter().filter(|event| event["include"] == include);
        found.map(|event| event["payload"].clone()).collect::<Vec<_>>()
    };
    let made = told("api:domain").remove(0);
    assert_eq!((&made["action"], &made["data"]), (&json!("create"), &domain));
    assert_eq!(made["actor"]["email"], "owner@example.com");
    assert_eq!(told("api:collaborator").remove(0)["data"]["user"]["email"], "other@example.com");
    let release = told("api:release").remove(0);
    assert_eq!(
        (&release["data"]["description"], &release["data"]["current"]),
        (&json!("Deploy 1234567"), &json!(true))
    );
    let scaled = told("api:formation").pop().unwrap();
    assert_eq!((&scaled["data"]["quantity"], &scaled["previous_data"]["quantity"]), (&json!(2), &json!(1)));
    assert_eq!(scaled["data"]["command"], "node index.js");
    let renamed = told("api:app").pop().unwrap();
    assert_eq!((&renamed["data"]["name"], &renamed["previous_data"]["name"]), (&json!("maki"), &json!("sushi")));
    assert!(renamed["previous_data"]["git_url"].as_str().unwrap().ends_with("/sushi.git"));
    assert_eq!(renamed["data"]["owner"], api.get("/apps/maki").await.json["owner"]);
}

#[tokio::test]
async fn deliveries_are_listed_by_how_they_stand() {
    let api = Api::start().await;
    api.app("maki").await;
    api.owner(Method::POST, "/apps/maki/webhooks", with("include", json!(ALL))).await;
    for quantity in [1, 2, 3] {
        api.owner(Method::PATCH, "/apps/maki", json!({"maintenance": quantity % 2 == 1})).await;
    }
    let events = api.get("/apps/maki/webhook-events").await.json;
    let deliveries = api.get("/apps/maki/webhook-deliveries").await.json;
    assert_eq!((deliveries.as_array().unwrap().len(), events.as_array().unwrap().len()), (3, 3));
    let first = &deliveries[0];
    assert_eq!(
        (&first["status"], &first["last_attempt"], &first["num_attempts"]),
        (&json!("pending"), &Value::Null, &json!(0))
    );
    let one = api.get(&format!("/apps/maki/webhook-deliveries/{}", first["id"].as_str().unwrap())).await;
    assert_eq!(&one.json, first);
    let event = api.get(&format!("/apps/maki/webhook-events/{}", first["event"]["id"].as_str().unwrap())).await;
    assert_eq!(event.json, events[0]);
    assert_eq!(api.get("/apps/maki/webhook-events/no-id").await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.get("/apps/maki/webhook-deliveries?eq%5Bstatus%5D=failed").await.json, json!([]));
    assert_eq!(api.get("/apps/maki/webhook-deliveries?eq[status]=pending").await.json, deliveries);
    assert_eq!(api.get("/apps/maki/webhook-deliveries?eq[status]=x").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// The part of a list that a `Range` asks for.
async fn part(api: &Api, path: &str, range: &str) -> Answer {
    let request = support::request(Method::GET, path, Some(&api.owner.token)).header("range", range);
    api.send(request, Value::Null).await
}

#[tokio::test]
async fn events_and_deliveries_come_in_parts() {
    let api = Api::start().await;
    api.app("sushi").await;
    add(&api, with("include", json!(["api:app"]))).await;
    for on in [true, false, true, false, true] {
        api.owner(Method::PATCH, "/apps/sushi", json!({"maintenance": on})).await;
    }
    for path in ["/apps/sushi/webhook-events", "/apps/sushi/webhook-deliveries"] {
        let all = api.get(path).await.json.as_array().unwrap().clone();
        for key in ["seq", "id"] {
            for order in ["asc", "desc"] {
                let whole = part(&api, path, &format!("{key} ..; order={order}")).await.json;
                let (mut found, mut range) = (vec![], format!("{key} ..; max=2,order={order}"));
                loop {
                    let answer = part(&api, path, &range).await;
                    found.extend(answer.json.as_array().unwrap().clone());
                    let Some(next) = answer.header("next-range") else { break };
                    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
                    range = next.to_owned();
                }
                assert_eq!((found.len(), &json!(found)), (all.len(), &whole), "{path} {key} {order}");
            }
        }
        let newest = part(&api, path, "seq ..; order=desc,max=1000").await;
        assert_eq!(newest.json.as_array().unwrap().last(), all.first());
        for wrong in ["seq x..", "colour .."] {
            assert_eq!(part(&api, path, wrong).await.status, StatusCode::RANGE_NOT_SATISFIABLE, "{wrong}");
        }
    }
}

#[tokio::test]
async fn another_apps_are_not_found() {
    let api = Api::start().await;
    api.app("sushi").await;
    api.app("maki").await;
    let made = add(&api, wanted()).await;
    api.owner(Method::POST, "/apps/sushi/domains", json!({"hostname": "www.example.com", "sni_endpoint": null})).await;
    let delivery = api.get("/apps/sushi/webhook-deliveries").await.json[0].clone();
    for path in [
        format!("webhooks/{}", made.id()),
        format!("webhook-deliveries/{}", delivery["id"].as_str().unwrap()),
        format!("webhook-events/{}", delivery["event"]["id"].as_str().unwrap()),
    ] {
        assert_eq!(api.get(&format!("/apps/sushi/{path}")).await.status, StatusCode::OK, "{path}");
        assert_eq!(api.get(&format!("/apps/maki/{path}")).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
