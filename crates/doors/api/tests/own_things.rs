//! What is an account's own: the apps it marked, and what it was told.

#![allow(clippy::unwrap_used, reason = "a test without its fixture must stop")]

mod support;

use http::{Method, StatusCode};
use loglines::{LogLine, Source};
use serde_json::{Value, json};
use store::releases;
use support::Api;
use vocabulary::{ReleaseEvent, ReleaseStatus, Secret, Timestamp};

const BEN: &str = "ben@example.com";

async fn marked(api: &Api, token: &Secret) -> Vec<String> {
    let listed = api.with(token, Method::GET, "/favorites?type=app", Value::Null).await;
    assert_eq!(listed.status, StatusCode::OK);
    listed.json.as_array().unwrap().iter().map(|one| one["resource_name"].as_str().unwrap().to_owned()).collect()
}

async fn told(api: &Api, token: &Secret) -> Vec<Value> {
    let listed = api.with(token, Method::GET, "/user/notifications", Value::Null).await;
    assert_eq!(listed.status, StatusCode::OK);
    listed.json.as_array().unwrap().clone()
}

#[tokio::test]
async fn favorites_are_marked_listed_and_taken_away() {
    let api = Api::start().await;
    let (owner, app) = (&api.owner.token, api.app("sushi").await);
    let body = json!({"type": "app", "resource_id": "sushi"});
    let made = api.owner(Method::POST, "/favorites", body.clone()).await;
    assert_eq!((made.status, &made.json["resource_id"]), (StatusCode::CREATED, &app["id"]));
    let again = api.owner(Method::POST, "/favorites", body).await;
    assert_eq!((again.status, again.id()), (StatusCode::CREATED, made.id()), "what was sent twice is there once");
    api.owner(Method::PATCH, "/apps/sushi", json!({"name": "maki"})).await;
    assert_eq!(marked(&api, owner).await, ["maki"], "a favorite goes with the app");
    let gone = api.owner(Method::DELETE, &format!("/favorites/{}", made.id()), Value::Null).await;
    assert_eq!(gone.status, StatusCode::OK);
    assert!(marked(&api, owner).await.is_empty());
    api.owner(Method::POST, "/favorites", json!({"type": "app", "resource_id": "maki"})).await;
    api.owner(Method::DELETE, "/apps/maki", Value::Null).await;
    assert!(marked(&api, owner).await.is_empty());
    let other = api.owner(Method::POST, "/favorites", json!({"type": "pipeline", "resource_id": "maki"})).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn nobody_marks_or_sees_marked_what_they_cannot_see() {
    let api = Api::start().await;
    let ben = api.somebody(BEN).await;
    api.app("sushi").await;
    let body = json!({"type": "app", "resource_id": "sushi"});
    let hidden = api.with(&ben, Method::POST, "/favorites", body.clone()).await;
    assert_eq!((hidden.status, hidden.id()), (StatusCode::FORBIDDEN, "forbidden"), "as of the app itself");
    api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": BEN})).await;
    let own = api.owner(Method::POST, "/favorites", body.clone()).await;
    let made = api.with(&ben, Method::POST, "/favorites", body).await;
    assert_eq!(marked(&api, &ben).await, ["sushi"]);
    let theirs = format!("/favorites/{}", own.id());
    assert_eq!(api.with(&ben, Method::DELETE, &theirs, Value::Null).await.status, StatusCode::NOT_FOUND);
    api.owner(Method::DELETE, &format!("/apps/sushi/collaborators/{BEN}"), Value::Null).await;
    assert!(marked(&api, &ben).await.is_empty());
    let lost = format!("/favorites/{}", made.id());
    assert_eq!(api.with(&ben, Method::DELETE, &lost, Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(marked(&api, &api.owner.token).await, ["sushi"], "the owner's is there still");
    api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": BEN})).await;
    assert_eq!(marked(&api, &ben).await, ["sushi"], "it is there again");
    let reader = api.token(BEN, "read", None).await;
    assert_eq!(marked(&api, &reader).await, ["sushi"]);
    let refused = api.with(&reader, Method::DELETE, &lost, Value::Null).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_is_let_in_or_offered_an_app_is_told_and_says_that_it_was_read() {
    let api = Api::start().await;
    let ben = api.somebody(BEN).await;
    let app = api.app("sushi").await;
    assert!(told(&api, &ben).await.is_empty());
    api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": BEN})).await;
    api.owner(Method::POST, "/account/app-transfers", json!({"app": "sushi", "recipient": BEN})).await;
    let both = told(&api, &ben).await;
    let titles: Vec<_> = both.iter().map(|one| one["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["sushi is offered to you", "You can work on sushi"], "the newest is the first");
    for one in &both {
        assert_eq!((&one["read"], &one["followup"]), (&json!(false), &json!([])));
        assert_eq!(one["target"], json!({"id": app["id"], "type": "app"}));
        assert!(one["body"].as_str().unwrap().starts_with(api.owner.email), "{one}");
    }
    let one = format!("/user/notifications/{}", both[0]["id"].as_str().unwrap());
    let stranger = api.owner(Method::PATCH, &one, json!({"read": true})).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND, "it is Ben's");
    let read = api.with(&ben, Method::PATCH, &one, json!({"read": true})).await;
    assert_eq!((read.status, &read.json["read"]), (StatusCode::OK, &json!(true)));
    assert_eq!(told(&api, &ben).await[0]["read"], json!(true));
    assert!(told(&api, &api.owner.token).await.is_empty(), "nobody is told what they did themselves");
    api.owner(Method::DELETE, "/apps/sushi", Value::Null).await;
    assert!(told(&api, &ben).await.is_empty(), "they go with the app");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test is no door")]
async fn whose_release_failed_is_told_and_the_oldest_words_are_forgotten() {
    let api = Api::start().await;
    api.app("sushi").await;
    let app = store::apps::by_name(&api.store, &"sushi".parse().unwrap()).await.unwrap().unwrap();
    for _ in 0..=store::notifications::MOST {
        let mut write = api.store.write().await.unwrap();
        let new = releases::New {
            app_id: app.id,
            slug_id: None,
            config: &store::apps::ConfigVars::new(),
            status: ReleaseStatus::Pending,
            description: "Deploy 1234567",
            account_id: app.owner_id,
        };
        let release = releases::create(&mut write, &new).await.unwrap();
        assert!(releases::end(&mut write, release.id, ReleaseEvent::Fail).await.unwrap());
        assert!(!releases::end(&mut write, release.id, ReleaseEvent::Fail).await.unwrap(), "it is told once");
        write.commit().await.unwrap();
    }
    let all = told(&api, &api.owner.token).await;
    assert_eq!(i64::try_from(all.len()).unwrap(), store::notifications::MOST);
    let newest = store::releases::list(&api.store, app.id).await.unwrap().last().unwrap().version;
    assert_eq!(all[0]["title"], format!("The release phase of sushi {newest} failed"));
}

#[tokio::test]
async fn errors_of_an_app_are_counted_by_steps() {
    let api = Api::start().await;
    let id = api.app("sushi").await["id"].as_str().unwrap().parse().unwrap();
    for (dyno, text) in
        [("router", "at=error code=H12 desc=\"x\""), ("web.1", "Error R14 (x)"), ("web.2", "Error R14 (x)")]
    {
        api.sink.send(LogLine::now(id, Source::Heroku, dyno, text));
    }
    let at = |hours: i64| Timestamp::from_micros(Timestamp::now().micros() + hours * 3_600_000_000).api();
    let window = format!("start_time={}&end_time={}&step=30m", at(-1), at(1));
    let read = async |part: &str, query: &str| {
        let path = format!("/apps/sushi/{part}/errors?{query}");
        api.owner(Method::GET, &path, Value::Null).await
    };
    let sums = async |part: &str| {
        let data = read(part, &window).await.json["data"].clone();
        let steps =
            |counts: &Value| counts.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum::<u64>();
        data.as_object().unwrap().iter().map(|(code, counts)| format!("{code}: {}", steps(counts))).collect::<Vec<_>>()
    };
    while sums("formation/web/metrics").await != ["R14: 2"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(sums("router-metrics").await, ["H12: 1"]);
    assert!(sums("formation/worker/metrics").await.is_empty());
    for bad in [
        "",
        "start_time=x&end_time=y&step=1h",
        &window.replace("30m", "1s&x=y").replace(&at(1), "2999-01-01T00:00:00Z"),
    ] {
        assert_eq!(read("router-metrics", bad).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}
