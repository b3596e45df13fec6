//! What somebody may change about themselves: name, email, password, keys, and whether they are here at all.

#![allow(clippy::unwrap_used, reason = "a test without its fixture must stop")]

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Api, basic, request};

async fn login(api: &Api, email: &str, password: &str) -> StatusCode {
    let asked = request(Method::POST, "/oauth/authorizations", None).header("authorization", basic(email, password));
    api.send(asked, Value::Null).await.status
}

#[tokio::test]
async fn a_name_is_changed_and_taken_away() {
    let api = Api::start().await;
    let named = api.owner(Method::PATCH, "/account", json!({"name": " Ada Lovelace "})).await;
    assert_eq!((named.status, &named.json["name"]), (StatusCode::OK, &json!("Ada Lovelace")), "{}", named.text);
    assert_eq!(api.owner(Method::PATCH, "/account", Value::Null).await.json["name"], json!("Ada Lovelace"));
    assert_eq!(api.owner(Method::PATCH, "/account", json!({"name": ""})).await.json["name"], Value::Null);
    let long = api.owner(Method::PATCH, "/account", json!({"name": "x".repeat(201)})).await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn another_email_or_password_wants_the_present_password() {
    let api = Api::start().await;
    let password = api.owner.password.reveal();
    for wish in [
        json!({"email": "new@example.com"}),
        json!({"new_password": "correct horse"}),
        json!({"new_password": "correct horse", "password": "wrong"}),
        json!({"new_password": "short", "password": password}),
        json!({"email": "no email", "password": password}),
        json!({"email": api.other.email, "password": password}),
    ] {
        let refused = api.owner(Method::PATCH, "/account", wish).await;
        assert_eq!((refused.status, refused.id()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_params"));
    }
    let wish = json!({"email": "New@Example.com", "new_password": "correct horse", "password": password});
    let changed = api.owner(Method::PATCH, "/account", wish).await;
    assert_eq!((changed.status, &changed.json["email"]), (StatusCode::OK, &json!("new@example.com")));
    assert_eq!(login(&api, "new@example.com", "correct horse").await, StatusCode::CREATED);
    assert_eq!(login(&api, "new@example.com", password).await, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&api, api.owner.email, "correct horse").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_account_that_owns_apps_stays_and_another_goes_with_its_tokens() {
    let api = Api::start().await;
    api.app("sushi").await;
    let delete = async || {
        let asked = request(Method::DELETE, "/account", Some(&api.owner.token));
        api.send(asked.header("Heroku-Password", api.owner.password.reveal()), Value::Null).await
    };
    let refused = delete().await;
    assert_eq!((refused.status, refused.message().contains("sushi")), (StatusCode::UNPROCESSABLE_ENTITY, true));
    api.owner(Method::DELETE, "/apps/sushi", Value::Null).await;
    let unproved = api.owner(Method::DELETE, "/account", Value::Null).await;
    assert!(unproved.text.contains("Heroku-Password"), "{}", unproved.text);
    let gone = delete().await;
    assert_eq!((gone.status, &gone.json["email"]), (StatusCode::OK, &json!(api.owner.email)));
    assert_eq!(api.get("/account").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&api, api.owner.email, api.owner.password.reveal()).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_is_added_once_and_removed_by_fingerprint() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@desk";
    let api = Api::start().await;
    let add = async |key: &str| api.owner(Method::POST, "/account/keys", json!({"public_key": key})).await;
    let added = add(&format!("{KEY}\n")).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    assert_eq!((&added.json["comment"], &added.json["public_key"]), (&json!("ada@desk"), &json!(KEY)));
    for wrong in [KEY, "no key", "ssh-rsa AAAA"] {
        assert_eq!(add(wrong).await.id(), "invalid_params", "{wrong}");
    }
    let path = format!("/account/keys/{}", added.json["fingerprint"].as_str().unwrap());
    assert_eq!(api.get(&path).await.json["id"], added.json["id"]);
    let stranger = request(Method::DELETE, &path, Some(&api.other.token));
    assert_eq!(api.send(stranger, Value::Null).await.json["resource"], json!("key"));
    assert_eq!(api.owner(Method::DELETE, &path, Value::Null).await.status, StatusCode::OK);
    assert_eq!(api.get("/account/keys").await.json, json!([]));
}
