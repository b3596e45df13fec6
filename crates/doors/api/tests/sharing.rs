//! Sharing: collaborators, teams, transfers, from letting somebody in to throwing them out.

#![allow(clippy::unwrap_used, reason = "a test without its fixture must stop")]

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Api, path, request};
use vocabulary::Secret;

const ADA: &str = "ada@example.com";
const BEN: &str = "ben@example.com";

async fn names(api: &Api, token: &Secret, list: &str) -> Vec<String> {
    let answer = api.with(token, Method::GET, list, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{list} {}", answer.text);
    let mut names: Vec<_> =
        answer.json.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn good(api: &Api, token: &Secret, method: Method, path: &str, body: Value) -> Answer {
    let answer = api.with(token, method, path, body).await;
    assert!(answer.status.is_success(), "{path} {}", answer.text);
    answer
}

async fn status(api: &Api, token: &Secret, method: Method, path: &str, body: Value) -> u16 {
    api.with(token, method, path, body).await.status.as_u16()
}

/// The team `acme` of Ada's with its app `sushi`, and Ben, whom nobody knows yet.
async fn acme() -> (Api, Secret, Secret) {
    let api = Api::start().await;
    let (ada, ben) = (api.somebody(ADA).await, api.somebody(BEN).await);
    good(&api, &ada, Method::POST, "/teams", json!({"name": "acme"})).await;
    let made = good(&api, &ada, Method::POST, "/teams/apps", json!({"name": "sushi", "team": "acme"})).await;
    assert_eq!(made.json["owner"]["email"], "acme@herokumanager.com");
    assert_eq!((&made.json["joined"], &made.json["locked"]), (&json!(true), &json!(false)));
    (api, ada, ben)
}

async fn member(api: &Api, admin: &Secret, email: &str, role: &str) {
    let body = json!({"email": email, "role": role});
    let answer = good(api, admin, Method::PUT, "/teams/acme/members", body).await;
    assert_eq!((&answer.json["email"], &answer.json["role"]), (&json!(email), &json!(role)));
}

#[tokio::test]
async fn a_collaborator_is_let_in_works_and_is_thrown_out() {
    let api = Api::start().await;
    let ben = api.somebody(BEN).await;
    api.app("sushi").await;
    let one = "/apps/sushi/collaborators/ben@example.com";
    let made = api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": BEN})).await;
    assert_eq!((made.status, &made.json["role"]), (StatusCode::CREATED, &json!("collaborator")));
    let again = api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": BEN})).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": "x@example.com"})).await;
    assert_eq!(nobody.message(), "Nobody on this platform has the email x@example.com.");
    assert_eq!(names(&api, &ben, "/users/~/apps").await, ["sushi"]);
    let set = good(&api, &ben, Method::PATCH, "/apps/sushi/config-vars", json!({"A": "1"})).await;
    assert_eq!(set.json, json!({"A": "1"}));
    let releases = api.get("/apps/sushi/releases").await.json;
    let users: Vec<_> = releases.as_array().unwrap().iter().map(|release| &release["user"]["email"]).collect();
    assert_eq!(users, [&json!(api.owner.email), &json!(api.owner.email), &json!(BEN)]);
    assert_eq!(good(&api, &ben, Method::GET, "/apps/sushi", Value::Null).await.json["owner"]["email"], api.owner.email);
    assert_eq!(status(&api, &ben, Method::DELETE, "/apps/sushi", Value::Null).await, 403);
    assert_eq!(api.owner(Method::DELETE, one, Value::Null).await.status, StatusCode::OK);
    assert_eq!(status(&api, &ben, Method::GET, "/apps/sushi", Value::Null).await, 403);
    assert_eq!(names(&api, &ben, "/apps").await, Vec::<String>::new());
    assert_eq!(api.owner(Method::DELETE, one, Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_change_of_an_app_asks_for_its_own_permission() {
    let (api, ada, ben) = acme().await;
    let change = async |given: &str, body: Value| {
        let all = json!({"permissions": [given]});
        good(&api, &ada, Method::PATCH, "/teams/apps/sushi/collaborators/ben@example.com", all).await;
        status(&api, &ben, Method::PATCH, "/apps/sushi", body).await
    };
    good(&api, &ada, Method::POST, "/teams/apps/sushi/collaborators", json!({"user": BEN})).await;
    for (given, name, maintenance, stack) in
        [("view", 403, 403, 403), ("deploy", 403, 403, 403), ("operate", 403, 200, 200), ("manage", 200, 200, 403)]
    {
        assert_eq!(change(given, json!({"maintenance": true})).await, maintenance, "{given}");
        assert_eq!(change(given, json!({"build_stack": "heroku-22"})).await, stack, "{given}");
        if name == 403 {
            assert_eq!(change(given, json!({"name": "maki"})).await, name, "{given}");
        }
    }
    assert_eq!(change("manage", json!({"name": "maki"})).await, 200);
}

#[tokio::test]
async fn permissions_on_a_teams_app_are_given_and_changed() {
    let (api, ada, ben) = acme().await;
    let list = "/teams/apps/sushi/collaborators";
    let asked = json!({"user": BEN, "permissions": ["view", "deploy"]});
    let made = good(&api, &ada, Method::POST, list, asked).await;
    let given = |answer: &Answer| -> Vec<String> {
        let each = answer.json["permissions"].as_array().unwrap().iter();
        each.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(given(&made), ["view", "deploy"]);
    assert_eq!(status(&api, &ben, Method::POST, "/apps/sushi/log-sessions", json!({})).await, 403);
    let one = "/teams/apps/sushi/collaborators/ben@example.com";
    let changed = good(&api, &ada, Method::PATCH, one, json!({"permissions": ["operate"]})).await;
    assert_eq!(given(&changed), ["view", "operate"]);
    assert_eq!(status(&api, &ben, Method::POST, "/apps/sushi/log-sessions", json!({})).await, 201);
    assert_eq!(status(&api, &ben, Method::POST, "/apps/sushi/sources", Value::Null).await, 403);
    let unknown = api.with(&ada, Method::PATCH, one, json!({"permissions": ["fly"]})).await;
    assert_eq!(unknown.message(), "Permissions are view, deploy, operate and manage.");
    // Whoever was let into an app of a team knows the team, and not who else is in it.
    let teams = good(&api, &ben, Method::GET, "/teams", Value::Null).await;
    assert_eq!(teams.json[0]["role"], "collaborator");
    assert_eq!(status(&api, &ben, Method::GET, "/teams/acme/members", Value::Null).await, 403);
    assert_eq!(status(&api, &ben, Method::DELETE, one, Value::Null).await, 200);
    assert_eq!(status(&api, &ben, Method::GET, "/teams/acme", Value::Null).await, 404);
}

#[tokio::test]
async fn a_viewer_sees_builds_and_not_their_source() {
    let (api, ada, ben) = acme().await;
    let source = good(&api, &ada, Method::POST, "/sources", Value::Null).await.json;
    let put = path(&source["source_blob"]["put_url"]);
    api.send_raw(request(Method::PUT, &put, None).body("an archive".into()).unwrap()).await;
    let blob = json!({"source_blob": {"url": source["source_blob"]["get_url"]}});
    good(&api, &ada, Method::POST, "/apps/sushi/builds", blob).await;
    member(&api, &ada, BEN, "viewer").await;
    let seen = good(&api, &ben, Method::GET, "/apps/sushi/builds", Value::Null).await.json;
    assert_eq!(seen[0]["source_blob"]["url"], "http://api.example:5080/streams/sources/");
    assert_eq!(seen[0]["user"]["email"], ADA);
    let own = good(&api, &ada, Method::GET, "/apps/sushi/builds", Value::Null).await.json;
    let read = api.send(request(Method::GET, &path(&own[0]["source_blob"]["url"]), None), Value::Null).await;
    assert_eq!(read.text, "an archive");
}

#[tokio::test]
async fn the_address_of_a_log_is_worth_what_its_reader_may() {
    let api = Api::start().await;
    let ben = api.somebody(BEN).await;
    api.app("sushi").await;
    api.owner(Method::POST, "/apps/sushi/collaborators", json!({"user": BEN})).await;
    let session = good(&api, &ben, Method::POST, "/apps/sushi/log-sessions", json!({})).await;
    let log = path(&session.json["logplex_url"]);
    let read = async || api.send(request(Method::GET, &log, None), Value::Null).await.status;
    assert_eq!(read().await, StatusCode::OK);
    api.owner(Method::DELETE, "/apps/sushi/collaborators/ben@example.com", Value::Null).await;
    assert_eq!(read().await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn members_join_what_is_not_locked_and_leave_again() {
    let (api, ada, ben) = acme().await;
    let join = json!({"user": BEN});
    let (list, one) = ("/teams/apps/sushi/collaborators", "/apps/sushi/collaborators/ben@example.com");
    assert_eq!(status(&api, &ben, Method::POST, list, join.clone()).await, 403);
    member(&api, &ada, BEN, "member").await;
    assert_eq!(names(&api, &ben, "/apps").await, ["sushi"]);
    assert_eq!(names(&api, &ben, "/users/~/apps").await, Vec::<String>::new());
    let more = json!({"user": BEN, "permissions": ["manage"]});
    assert_eq!(status(&api, &ben, Method::POST, list, more).await, 403);
    good(&api, &ben, Method::POST, list, join.clone()).await;
    assert_eq!(names(&api, &ben, "/users/~/apps").await, ["sushi"]);
    good(&api, &ada, Method::PATCH, "/teams/apps/sushi", json!({"locked": true})).await;
    assert_eq!(status(&api, &ben, Method::GET, "/apps/sushi", Value::Null).await, 200);
    good(&api, &ben, Method::DELETE, one, Value::Null).await;
    assert_eq!(status(&api, &ben, Method::GET, "/apps/sushi", Value::Null).await, 403);
    assert_eq!(names(&api, &ben, "/apps").await, Vec::<String>::new());
    assert_eq!(names(&api, &ben, "/teams/acme/apps").await, ["sushi"]);
    assert_eq!(status(&api, &ben, Method::POST, list, join.clone()).await, 403);
    good(&api, &ada, Method::PATCH, "/teams/apps/sushi", json!({"locked": false})).await;
    good(&api, &ben, Method::POST, list, join).await;
}

#[tokio::test]
async fn a_team_never_loses_its_last_admin() {
    let (api, ada, ben) = acme().await;
    let demoted = json!({"email": ADA, "role": "member"});
    assert_eq!(status(&api, &ada, Method::PATCH, "/teams/acme/members", demoted.clone()).await, 422);
    assert_eq!(status(&api, &ada, Method::DELETE, "/teams/acme/members/ada@example.com", Value::Null).await, 422);
    member(&api, &ada, BEN, "admin").await;
    good(&api, &ada, Method::PATCH, "/teams/acme/members", demoted).await;
    let owner = json!({"email": BEN, "role": "owner"});
    assert_eq!(status(&api, &ben, Method::PATCH, "/teams/acme/members", owner).await, 422);
}

#[tokio::test]
async fn out_of_a_team_is_out_of_all_its_apps() {
    let (api, ada, ben) = acme().await;
    member(&api, &ada, BEN, "member").await;
    let made = json!({"name": "maki", "team": "acme"});
    good(&api, &ben, Method::POST, "/teams/apps", made).await;
    good(&api, &ben, Method::PATCH, "/apps/maki", json!({"name": "nigiri"})).await;
    let members = good(&api, &ada, Method::GET, "/teams/acme/members", Value::Null).await.json;
    assert_eq!(members.as_array().unwrap().len(), 2);
    assert_eq!(names(&api, &ada, "/teams/acme/members/ben@example.com/apps").await, ["nigiri"]);
    good(&api, &ben, Method::DELETE, "/teams/acme/members/ben@example.com", Value::Null).await;
    assert_eq!(status(&api, &ben, Method::GET, "/apps/nigiri", Value::Null).await, 403);
    assert_eq!(names(&api, &ben, "/apps").await, Vec::<String>::new());
    good(&api, &ada, Method::DELETE, "/apps/nigiri", Value::Null).await;
}

#[tokio::test]
async fn only_members_who_may_make_apps_of_a_team() {
    let (api, ada, ben) = acme().await;
    let asked = json!({"name": "maki", "team": "acme"});
    assert_eq!(status(&api, &ben, Method::POST, "/teams/apps", asked.clone()).await, 404);
    member(&api, &ada, BEN, "viewer").await;
    assert_eq!(status(&api, &ben, Method::POST, "/teams/apps", asked.clone()).await, 403);
    member(&api, &ada, BEN, "member").await;
    assert_eq!(status(&api, &ben, Method::POST, "/teams/apps", asked).await, 201);
    assert_eq!(status(&api, &ben, Method::POST, "/teams/apps", json!({"name": "nigiri"})).await, 422);
    assert_eq!(status(&api, &ada, Method::DELETE, "/teams/acme", Value::Null).await, 422);
}

#[tokio::test]
async fn an_app_is_offered_and_taken() {
    let api = Api::start().await;
    let (ben, ada) = (api.somebody(BEN).await, api.somebody(ADA).await);
    api.app("sushi").await;
    let all = "/account/app-transfers";
    let offered = api.owner(Method::POST, all, json!({"app": "sushi", "recipient": BEN})).await;
    assert_eq!((offered.status, &offered.json["state"]), (StatusCode::CREATED, &json!("pending")));
    let twice = api.owner(Method::POST, all, json!({"app": "sushi", "recipient": ADA})).await;
    assert_eq!(twice.message(), "The app is offered to somebody already.");
    let one = format!("{all}/{}", offered.id());
    let accept = json!({"state": "accepted"});
    assert_eq!(status(&api, &ada, Method::PATCH, &one, accept.clone()).await, 404);
    assert_eq!(api.owner(Method::PATCH, &one, accept.clone()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(status(&api, &ben, Method::DELETE, &one, Value::Null).await, 403);
    assert_eq!(status(&api, &ben, Method::GET, "/apps/sushi", Value::Null).await, 403);
    let taken = good(&api, &ben, Method::PATCH, &format!("{all}/sushi"), accept.clone()).await;
    assert_eq!((&taken.json["state"], &taken.json["owner"]["email"]), (&json!("accepted"), &json!(api.owner.email)));
    assert_eq!(api.get("/apps/sushi").await.json["owner"]["email"], BEN);
    assert_eq!(api.owner(Method::DELETE, "/apps/sushi", Value::Null).await.status, StatusCode::FORBIDDEN);
    assert_eq!(status(&api, &ben, Method::PATCH, &one, accept).await, 422);
}

#[tokio::test]
async fn an_offer_is_declined_or_taken_back() {
    let api = Api::start().await;
    let ben = api.somebody(BEN).await;
    api.app("sushi").await;
    let all = "/account/app-transfers";
    let offer = json!({"app": "sushi", "recipient": BEN});
    for (token, method) in [(&ben, Method::PATCH), (&api.owner.token, Method::DELETE)] {
        let offered = api.owner(Method::POST, all, offer.clone()).await;
        assert_eq!(offered.status, StatusCode::CREATED, "{}", offered.text);
        let one = format!("{all}/{}", offered.id());
        good(&api, token, method, &one, json!({"state": "declined"})).await;
    }
    assert_eq!(api.get("/apps/sushi").await.json["owner"]["email"], api.owner.email);
    let left = good(&api, &ben, Method::GET, all, Value::Null).await.json;
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_app_goes_into_a_team_and_out_again() {
    let (api, ada, ben) = acme().await;
    good(&api, &ben, Method::POST, "/apps", json!({"name": "maki"})).await;
    let give = async |token: &Secret, to: &str| {
        status(&api, token, Method::PATCH, "/teams/apps/maki", json!({"owner": to})).await
    };
    assert_eq!(give(&ben, "acme").await, 404);
    member(&api, &ada, BEN, "member").await;
    let offer = json!({"app": "maki", "recipient": ADA});
    good(&api, &ben, Method::POST, "/account/app-transfers", offer).await;
    assert_eq!(give(&ben, "acme").await, 200);
    let offers = good(&api, &ada, Method::GET, "/account/app-transfers", Value::Null).await.json;
    assert_eq!(offers, json!([]));
    let shown = good(&api, &ada, Method::GET, "/apps/maki", Value::Null).await.json;
    assert_eq!((&shown["team"]["name"], &shown["owner"]["email"]), (&json!("acme"), &json!("acme@herokumanager.com")));
    assert_eq!(give(&ada, api.owner.email).await, 422);
    assert_eq!(give(&ada, BEN).await, 200);
    assert_eq!(status(&api, &ada, Method::GET, "/apps/maki", Value::Null).await, 403);
    let back = good(&api, &ben, Method::GET, "/apps/maki", Value::Null).await.json;
    assert_eq!((&back["team"], &back["owner"]["email"]), (&Value::Null, &json!(BEN)));
}

#[tokio::test]
async fn a_wildcard_is_its_teams() {
    let (api, ada, ben) = acme().await;
    member(&api, &ada, BEN, "member").await;
    good(&api, &ben, Method::POST, "/teams/apps", json!({"name": "maki", "team": "acme"})).await;
    good(&api, &ben, Method::POST, "/apps", json!({"name": "nigiri"})).await;
    let add = async |token: &Secret, app: &str, name: &str| {
        let path = format!("/apps/{app}/domains");
        status(&api, token, Method::POST, &path, json!({"hostname": name, "sni_endpoint": null})).await
    };
    assert_eq!(add(&ada, "sushi", "*.example.com").await, 201);
    assert_eq!(add(&ben, "maki", "www.example.com").await, 201);
    assert_eq!(add(&ben, "nigiri", "shop.example.com").await, 422);
}

#[tokio::test]
async fn a_token_cannot_be_stretched_by_a_second_step() {
    let (api, ada, ben) = acme().await;
    let reader = api.token(ADA, "read", None).await;
    good(&api, &ada, Method::POST, "/teams/apps/sushi/collaborators", json!({"user": BEN})).await;
    for path in ["/apps/sushi/collaborators/ben@example.com", "/teams/acme/members/ada@example.com"] {
        let answer = api.with(&reader, Method::DELETE, path, Value::Null).await;
        assert_eq!(answer.message(), "The scope of this token does not reach so far.", "{path}");
    }
    let join = json!({"user": ADA});
    assert_eq!(status(&api, &reader, Method::POST, "/teams/apps/sushi/collaborators", join).await, 403);
    assert_eq!(status(&api, &ben, Method::GET, "/apps/sushi", Value::Null).await, 200);
}
