//! Authorizations, clients, what clients exchange, sessions.

#![allow(clippy::unwrap_used, reason = "a test without its fixture must stop")]

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Api, request};
use vocabulary::{Secret, Timestamp};

async fn works(api: &Api, token: &str) -> bool {
    let answer = api.send(request(Method::GET, "/account", Some(&Secret::new(token))), Value::Null).await;
    answer.status == StatusCode::OK
}

fn token(answer: &Answer) -> String {
    answer.json["access_token"]["token"].as_str().unwrap().to_owned()
}

/// The id and secret of a new client.
async fn client(api: &Api) -> (String, String) {
    let wish = json!({"name": "Amazing", "redirect_uri": "https://amazing.example/callback"});
    let made = api.owner(Method::POST, "/oauth/clients", wish).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    (made.json["id"].as_str().unwrap().to_owned(), made.json["secret"].as_str().unwrap().to_owned())
}

/// The code of a new grant for a client.
async fn code(api: &Api, client: &str) -> String {
    let made = api.owner(Method::POST, "/oauth/authorizations", json!({"client": client, "scope": ["identity"]})).await;
    assert_eq!((made.status, &made.json["access_token"]), (StatusCode::CREATED, &Value::Null), "{}", made.text);
    made.json["grant"]["code"].as_str().unwrap().to_owned()
}

async fn exchanged(api: &Api, secret: &str, code: &str) -> Answer {
    let body = json!({"client": {"secret": secret}, "grant": {"code": code, "type": "authorization_code"}});
    api.send(request(Method::POST, "/oauth/tokens", None), body).await
}

async fn refreshed(api: &Api, secret: &str, token: &Value) -> Answer {
    let body = json!({"client": {"secret": secret}, "grant": {"type": "refresh_token"}, "refresh_token": token});
    api.send(request(Method::POST, "/oauth/tokens", None), body).await
}

#[tokio::test]
async fn an_authorization_is_made_shown_renamed_regenerated_and_revoked() {
    let api = Api::start().await;
    let wish = json!({"description": "first", "expires_in": "3600", "scope": ["identity"]});
    let made = api.owner(Method::POST, "/oauth/authorizations", wish).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let path = format!("/oauth/authorizations/{}", made.id());
    let renamed = api.owner(Method::PATCH, &path, json!({"description": "second"})).await;
    assert_eq!((renamed.status, &renamed.json["description"]), (StatusCode::OK, &json!("second")));
    let first = token(&made);
    assert!(works(&api, &first).await);
    let again = api.owner(Method::POST, &format!("{path}/actions/regenerate-tokens"), Value::Null).await;
    let second = token(&again);
    assert!(!works(&api, &first).await && works(&api, &second).await);
    let left = again.json["access_token"]["expires_in"].as_i64().unwrap();
    assert!((3590..=3600).contains(&left), "{left}");
    assert!(!api.get(&path).await.text.contains(&second), "a token is told twice");
    assert_eq!(api.owner(Method::DELETE, &path, Value::Null).await.status, StatusCode::OK);
    assert!(!works(&api, &second).await);
    assert_eq!(api.get(&path).await.json["resource"], json!("authorization"));
    for wrong in [json!({"scope": ["all"]}), json!({"scope": []}), json!({"expires_in": 0}), json!({"expires_in": "x"})]
    {
        let refused = api.owner(Method::POST, "/oauth/authorizations", wrong).await;
        assert_eq!((refused.status, refused.id()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_params"));
    }
}

#[tokio::test]
async fn a_client_is_made_listed_changed_rotated_and_destroyed() {
    let api = Api::start().await;
    let (id, secret) = client(&api).await;
    let path = format!("/oauth/clients/{id}");
    assert_eq!(api.get("/oauth/clients").await.json[0]["id"], json!(id));
    let renamed = api.owner(Method::PATCH, &path, json!({"name": "Stunning"})).await;
    assert_eq!((&renamed.json["name"], &renamed.json["secret"]), (&json!("Stunning"), &json!(secret)));
    let rotated = api.owner(Method::POST, &format!("{path}/actions/rotate-credentials"), Value::Null).await;
    assert_ne!(rotated.json["secret"], json!(secret));
    assert_eq!(api.get(&path).await.json["secret"], rotated.json["secret"]);
    let plain = api.owner(Method::PATCH, &path, json!({"redirect_uri": "http://amazing.example/"})).await;
    assert_eq!(plain.status, StatusCode::UNPROCESSABLE_ENTITY);
    let stranger = api.send(request(Method::GET, &path, Some(&api.other.token)), Value::Null).await;
    assert_eq!((stranger.status, &stranger.json["resource"]), (StatusCode::NOT_FOUND, &json!("client")));
    assert_eq!(api.owner(Method::DELETE, &path, Value::Null).await.status, StatusCode::OK);
    assert_eq!(api.get("/oauth/clients").await.json, json!([]));
}

#[tokio::test]
async fn a_grant_becomes_tokens_and_a_refresh_token_new_ones() {
    let api = Api::start().await;
    let (client, secret) = client(&api).await;
    let code = code(&api, &client).await;
    assert_eq!(exchanged(&api, "wrong", &code).await.status, StatusCode::UNAUTHORIZED);
    let tokens = exchanged(&api, &secret, &code).await;
    assert_eq!(tokens.status, StatusCode::CREATED, "{}", tokens.text);
    assert!((28_790..=28_799).contains(&tokens.json["access_token"]["expires_in"].as_i64().unwrap()));
    assert!(works(&api, &token(&tokens)).await);
    let scoped = request(Method::GET, "/apps", Some(&Secret::new(token(&tokens))));
    assert_eq!(api.send(scoped, Value::Null).await.status, StatusCode::FORBIDDEN);
    let refresh = &tokens.json["refresh_token"];
    assert_eq!(refreshed(&api, "wrong", refresh).await.status, StatusCode::UNAUTHORIZED);
    let next = refreshed(&api, &secret, refresh).await;
    assert_eq!(next.status, StatusCode::CREATED, "{}", next.text);
    assert!(works(&api, &token(&next)).await && !works(&api, &token(&tokens)).await);
    // The owner sees it, and takes it back.
    let listed = api.get("/oauth/authorizations").await;
    let own = listed.json.as_array().unwrap().iter().find(|one| one["client"]["name"] == "Amazing").unwrap();
    assert_eq!(own["id"], tokens.json["authorization"]["id"]);
    let path = format!("/oauth/authorizations/{}", own["id"].as_str().unwrap());
    api.owner(Method::DELETE, &path, Value::Null).await;
    assert!(!works(&api, &token(&next)).await);
    assert_eq!(refreshed(&api, &secret, refresh).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_code_that_comes_twice_revokes_what_it_gave() {
    let api = Api::start().await;
    let (client, secret) = client(&api).await;
    let code = code(&api, &client).await;
    let tokens = exchanged(&api, &secret, &code).await;
    assert!(works(&api, &token(&tokens)).await);
    assert_eq!(exchanged(&api, &secret, &code).await.status, StatusCode::UNAUTHORIZED);
    assert!(!works(&api, &token(&tokens)).await, "a stolen code's tokens are still good");
}

#[tokio::test]
async fn tokens_end_with_their_client() {
    let api = Api::start().await;
    let (client, secret) = client(&api).await;
    let tokens = exchanged(&api, &secret, &code(&api, &client).await).await;
    api.owner(Method::DELETE, &format!("/oauth/clients/{client}"), Value::Null).await;
    assert!(!works(&api, &token(&tokens)).await);
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let api = Api::start().await;
    let made = api.owner(Method::POST, "/oauth/authorizations", json!({"expires_in": 1})).await;
    let (token, made_at) = (token(&made), Timestamp::now().micros());
    assert!(works(&api, &token).await || Timestamp::now().micros() - made_at > 900_000);
    while Timestamp::now().micros() - made_at < 1_000_000 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(!works(&api, &token).await);
}

#[tokio::test]
async fn a_session_ends_with_its_tokens() {
    let api = Api::start().await;
    let account = store::accounts::by_email(&api.store, api.owner.email).await.unwrap().unwrap();
    let (token, ends) = (Secret::new("HRKU-0123456789abcdef0123456789abcdef"), Timestamp::now().micros() + 60_000_000);
    let scope = ["global".to_owned()];
    let new = store::authorizations::New {
        account_id: account.id,
        token: &token,
        description: "laptop",
        scope: &scope,
        is_default: false,
        expires_at: None,
    };
    let mut write = api.store.write().await.unwrap();
    let ends = Timestamp::from_micros(ends);
    let session = store::sessions::create(&mut write, account.id, None, "laptop", ends).await.unwrap();
    let made = store::authorizations::create(&mut write, &new).await.unwrap();
    store::authorizations::bind_to_session(&mut write, made.id, session.id).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(api.get("/oauth/sessions").await.json[0]["description"], json!("laptop"));
    assert!(!api.get("/oauth/authorizations").await.text.contains("laptop"));
    assert_eq!(api.owner(Method::DELETE, "/oauth/sessions/~", Value::Null).await.json["resource"], json!("session"));
    let stranger = request(Method::DELETE, &format!("/oauth/sessions/{}", session.id), Some(&api.other.token));
    assert_eq!(api.send(stranger, Value::Null).await.status, StatusCode::NOT_FOUND);
    let out = api.send(request(Method::DELETE, "/oauth/sessions/~", Some(&token)), Value::Null).await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.text);
    assert!(!works(&api, token.reveal()).await);
}
