//! The pages people sign in with: by hand, as a browser without scripts would.

#![allow(clippy::unwrap_used, reason = "a test without its fixture must stop")]

mod support;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::{Answer, Api, basic, request};
use tower::ServiceExt as _;
use vocabulary::Secret;

/// A browser: one cookie, and the page it shows.
struct Browser<'a> {
    api: &'a Api,
    cookie: Option<String>,
    page: String,
    status: StatusCode,
    /// Where it was sent to, if that is not here.
    left: Option<String>,
}

impl<'a> Browser<'a> {
    fn new(api: &'a Api) -> Self {
        Self { api, cookie: None, page: String::new(), status: StatusCode::OK, left: None }
    }

    async fn open(&mut self, path: &str) {
        let mut path = path.to_owned();
        while let Some(next) = self.ask(Method::GET, &path, Body::empty(), "http://login.example").await {
            path = next;
        }
    }

    /// Sends the page's first form to `action` with these fields and all its hidden ones.
    async fn send(&mut self, action: &str, fields: &[(&str, &str)]) {
        let hidden = hidden_fields(&self.page);
        self.send_from("http://login.example", action, &hidden, fields).await;
    }

    async fn send_from(&mut self, origin: &str, action: &str, hidden: &[(String, String)], fields: &[(&str, &str)]) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(hidden).extend_pairs(fields);
        if let Some(next) = self.ask(Method::POST, action, Body::from(form.finish()), origin).await {
            self.open(&next).await;
        }
    }

    /// Asks once; answers the path of this host it is sent to.
    async fn ask(&mut self, method: Method, path: &str, body: Body, origin: &str) -> Option<String> {
        let mut asked = Request::builder().method(&method).uri(path).header("host", "login.example");
        if method == Method::POST {
            asked = asked.header("origin", origin).header("content-type", "application/x-www-form-urlencoded");
        }
        if let Some(cookie) = &self.cookie {
            asked = asked.header("cookie", cookie);
        }
        let answer = self.api.router.clone().oneshot(asked.body(body).unwrap()).await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        self.status = answer.status();
        self.page = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        match location {
            Some(to) if !to.starts_with('/') => {
                self.left = Some(to);
                None
            }
            location => location,
        }
    }

    fn shows(&self, text: &str) -> bool {
        self.page.contains(text)
    }

    async fn sign_in(&mut self) {
        let (email, password) = (self.api.owner.email, self.api.owner.password.reveal());
        self.send("/login", &[("email", email), ("password", password)]).await;
    }
}

fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let value = |field: &str, name: &str| {
        let (_, rest) = field.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().replace("&amp;", "&")
    };
    let form = page.split("</form>").next().unwrap();
    form.split("<input type=\"hidden\"").skip(1).map(|field| (value(field, "name"), value(field, "value"))).collect()
}

/// `POST /auth`: the page's path, and the one to wait at with its token.
async fn begin(api: &Api) -> (String, String, String) {
    let begun = api.send(request(Method::POST, "/auth", None), json!({"description": "<b>laptop</b>"})).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text);
    let text = |name: &str| begun.json[name].as_str().unwrap().to_owned();
    (text("browser_url"), text("cli_url"), text("token"))
}

async fn waited(api: &Api, path: &str, token: &str) -> Answer {
    api.send(request(Method::GET, path, Some(&Secret::new(token))), Value::Null).await
}

#[tokio::test]
async fn a_command_line_is_let_in_by_a_browser_and_logs_out() {
    let api = Api::start().await;
    let (page, wait, token) = begin(&api).await;
    let mut browser = Browser::new(&api);
    browser.open(&page).await;
    assert!(browser.shows("<label for=\"email\">Email</label>"), "{}", browser.page);
    browser.send("/login", &[("email", api.owner.email), ("password", "wrong")]).await;
    assert_eq!((browser.status, browser.shows("role=\"alert\"")), (StatusCode::UNAUTHORIZED, true));
    browser.sign_in().await;
    assert!(browser.shows("&lt;b&gt;laptop&lt;/b&gt;") && browser.shows(api.owner.email), "{}", browser.page);
    assert_eq!(waited(&api, &wait, "wrong").await.status, StatusCode::NOT_FOUND);
    let answer = tokio::join!(waited(&api, &wait, &token), browser.send(&page, &[("answer", "yes")])).0;
    let token = Secret::new(answer.json["access_token"].as_str().unwrap());
    assert!(browser.shows("You can close this page"), "{}", browser.page);
    let account = api.send(request(Method::GET, "/account", Some(&token)), Value::Null).await;
    assert_eq!(account.json["email"], json!(api.owner.email));
    assert!(account.json["last_login"].is_string());
    let sessions = api.get("/oauth/sessions").await;
    assert_eq!(sessions.json.as_array().unwrap().len(), 2, "{}", sessions.text);
    api.send(request(Method::DELETE, "/oauth/sessions/~", Some(&token)), Value::Null).await;
    let out = api.send(request(Method::GET, "/account", Some(&token)), Value::Null).await;
    assert_eq!(out.status, StatusCode::UNAUTHORIZED);
    assert_eq!(waited(&api, &wait, "again").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_so() {
    let api = Api::start().await;
    let (page, wait, token) = begin(&api).await;
    let mut browser = Browser::new(&api);
    browser.open(&page).await;
    browser.sign_in().await;
    browser.send(&page, &[("answer", "no")]).await;
    browser.open(&page).await;
    browser.send(&page, &[("answer", "yes")]).await;
    assert_eq!(waited(&api, &wait, &token).await.json, json!({"error": "The login was refused."}));
}

#[tokio::test]
async fn a_login_let_in_by_who_is_signed_out_before_it_is_told_leads_nowhere() {
    let api = Api::start().await;
    let (page, wait, token) = begin(&api).await;
    let mut browser = Browser::new(&api);
    browser.open(&page).await;
    browser.sign_in().await;
    browser.send(&page, &[("answer", "yes")]).await;
    let account = store::accounts::by_email(&api.store, api.owner.email).await.unwrap().unwrap();
    let mut write = api.store.write().await.unwrap();
    store::sessions::delete_others(&mut write, account.id, None).await.unwrap();
    write.commit().await.unwrap();
    let told = waited(&api, &wait, &token).await.json;
    assert_eq!(told, json!({"error": "Whoever let the command line in was signed out meanwhile."}));
}

#[tokio::test]
async fn a_form_that_is_not_ours_does_nothing() {
    let api = Api::start().await;
    let (page, ..) = begin(&api).await;
    let mut browser = Browser::new(&api);
    browser.open(&page).await;
    browser.sign_in().await;
    let ours = hidden_fields(&browser.page);
    let mut stranger = Browser::new(&api);
    stranger.open("/login").await;
    let theirs = hidden_fields(&stranger.page);
    let yes = [("answer", "yes")];
    browser.send_from("http://evil.login.example", &page, &ours, &yes).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN, "a form of another host");
    browser.send_from("http://login.example", &page, &theirs, &yes).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN, "a form of another visitor");
    browser.send_from("http://login.example", &page, &[], &yes).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN, "a form without proof");
    browser.send_from("http://login.example", &page, &ours, &yes).await;
    assert_eq!(browser.status, StatusCode::OK);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_by_page_and_header_and_each_code_is_good_once() {
    let api = Api::start().await;
    let mut browser = Browser::new(&api);
    browser.open("/login/two-factor").await;
    browser.sign_in().await;
    assert!(browser.shows("<svg class=\"qr\" role=\"img\""), "{}", browser.page);
    let secret = secret_on(&browser.page);
    let password = api.owner.password.reveal();
    browser.send("/login/two-factor/on", &[("code", "000000"), ("password", password)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    let code = api::users::code_now(&secret).unwrap();
    browser.send("/login/two-factor/on", &[("code", &code), ("password", "wrong")]).await;
    assert!(browser.shows("not your password"), "{}", browser.page);
    assert_eq!(secret_on(&browser.page), secret, "who mistyped keeps what they scanned");
    browser.send("/login/two-factor/on", &[("code", &code), ("password", api.owner.password.reveal())]).await;
    let codes = codes_on(&browser.page);
    assert_eq!(codes.len(), 10, "{}", browser.page);
    assert_eq!(api.get("/account").await.json["two_factor_authentication"], json!(true));

    let login = async |code: Option<&str>| {
        let asked = request(Method::POST, "/oauth/authorizations", None)
            .header("authorization", basic(api.owner.email, api.owner.password.reveal()));
        let asked = code.into_iter().fold(asked, |asked, code| asked.header("Heroku-Two-Factor-Code", code));
        api.send(asked, Value::Null).await
    };
    let without = login(None).await;
    assert_eq!((without.status, without.id()), (StatusCode::FORBIDDEN, "two_factor"));
    assert_eq!(login(Some(&code)).await.id(), "two_factor", "the code that turned it on is used up");
    assert_eq!(login(Some(&codes[0])).await.status, StatusCode::CREATED);
    assert_eq!(login(Some(&codes[0])).await.status, StatusCode::FORBIDDEN, "a recovery code is good once");

    let mut other = Browser::new(&api);
    other.open("/login").await;
    other.sign_in().await;
    assert!(other.shows("Two-factor code") && !other.shows("Signed in as"), "{}", other.page);
    other.send("/login/code", &[("code", "123456")]).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    other.send("/login/code", &[("code", &codes[1])]).await;
    assert!(other.shows("8 recovery codes left"), "{}", other.page);
    other.open("/login/two-factor").await;
    other.send("/login/two-factor/off", &[("code", "x")]).await;
    assert_eq!(api.get("/account").await.json["mfa_enabled"], json!(true));
    other.send("/login/two-factor/off", &[("code", &codes[2])]).await;
    assert_eq!(api.get("/account").await.json["mfa_enabled"], json!(false));
    assert_eq!(login(None).await.status, StatusCode::CREATED);
}

/// The secret as the page spells it out.
fn secret_on(page: &str) -> Secret {
    let spelled = page.split("<code>").nth(1).unwrap().split("</code>").next().unwrap();
    Secret::new(spelled.replace(' ', ""))
}

fn codes_on(page: &str) -> Vec<String> {
    let items = page.split("<li><code>").skip(1);
    items.map(|item| item.split("</code>").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn guessing_is_slowed_down_for_passwords_and_codes() {
    let api = Api::start().await;
    let mut browser = Browser::new(&api);
    browser.open("/login").await;
    for _ in 0..10 {
        browser.send("/login", &[("email", api.owner.email), ("password", "wrong")]).await;
        assert_eq!(browser.status, StatusCode::UNAUTHORIZED);
    }
    browser.sign_in().await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS, "the right password is not even looked at");
    let asked = request(Method::POST, "/oauth/authorizations", None)
        .header("authorization", basic(api.owner.email, api.owner.password.reveal()));
    let api_too = api.send(asked, Value::Null).await;
    assert_eq!((api_too.status, api_too.id()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit"));
    assert!(api_too.headers.contains_key("retry-after"));

    let account = store::accounts::by_email(&api.store, api.other.email).await.unwrap().unwrap();
    let mut write = api.store.write().await.unwrap();
    let good = Secret::new("aaaaaaaaaaaaaaaa");
    let secret = Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    store::second_factors::set(&mut write, account.id, &secret, i64::MAX, &[good]).await.unwrap();
    write.commit().await.unwrap();
    let with = async |code: &str| {
        let asked = request(Method::POST, "/oauth/authorizations", None)
            .header("authorization", basic(api.other.email, api.other.password.reveal()))
            .header("Heroku-Two-Factor-Code", code);
        api.send(asked, Value::Null).await.status
    };
    for _ in 0..10 {
        assert_eq!(with("123456").await, StatusCode::FORBIDDEN);
    }
    assert_eq!(with("aaaa aaaa aaaa aaaa").await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_client_asks_for_consent_and_gets_a_code() {
    let api = Api::start().await;
    let wish = json!({"name": "Amazing <3", "redirect_uri": "https://amazing.example/callback?from=us"});
    let made = api.owner(Method::POST, "/oauth/clients", wish).await;
    let (client, secret) = (made.id(), made.json["secret"].as_str().unwrap());
    let path = |more: &str| format!("/oauth/authorize?client_id={client}&state=a%26b{more}");
    let mut browser = Browser::new(&api);
    browser.open(&path("&response_type=token")).await;
    assert!(browser.left.take().unwrap().contains("error=unsupported_response_type&state=a%26b"));
    browser.open(&path("&response_type=code&redirect_uri=https://evil.example/")).await;
    assert_eq!((browser.status, browser.left.take()), (StatusCode::UNPROCESSABLE_ENTITY, None));
    browser.open(&format!("/oauth/authorize?client_id={}&response_type=code", uuid::Uuid::nil())).await;
    assert_eq!((browser.status, browser.left.take()), (StatusCode::NOT_FOUND, None));

    // RFC 7636, appendix B.
    let challenge = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let asked = path(&format!("&response_type=code&scope=read%20identity{challenge}"));
    browser.open(&asked).await;
    browser.sign_in().await;
    assert!(browser.shows("Amazing &lt;3") && browser.shows("read your apps"), "{}", browser.page);
    browser.send(&asked, &[("answer", "no")]).await;
    assert!(browser.left.take().unwrap().contains("error=access_denied"));
    browser.open(&asked).await;
    browser.send(&asked, &[("answer", "yes")]).await;
    let back = url::Url::parse(&browser.left.take().unwrap()).unwrap();
    let query: Vec<(String, String)> = back.query_pairs().into_owned().collect();
    let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap();
    assert_eq!((value("from").as_str(), value("state").as_str()), ("us", "a&b"));

    let exchange = async |verifier: &str| {
        let form = format!(
            "grant_type=authorization_code&code={}&client_secret={secret}&code_verifier={verifier}",
            value("code")
        );
        let asked = request(Method::POST, "/oauth/token", None).body(Body::from(form)).unwrap();
        api.send_raw(asked).await
    };
    let wrong = exchange("wrong").await;
    assert_eq!((wrong.status, &wrong.json["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_grant")));
    let tokens = exchange("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").await;
    assert_eq!((tokens.status, &tokens.json["token_type"]), (StatusCode::OK, &json!("Bearer")), "{}", tokens.text);
    let token = Secret::new(tokens.json["access_token"].as_str().unwrap());
    assert_eq!(api.send(request(Method::GET, "/apps", Some(&token)), Value::Null).await.status, StatusCode::OK);
    let form = format!("grant_type=refresh_token&refresh_token={}", tokens.json["refresh_token"].as_str().unwrap());
    let asked = request(Method::POST, "/oauth/token", None).header("authorization", basic(client, secret));
    let next = api.send_raw(asked.body(Body::from(form)).unwrap()).await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.text);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_other_browsers_are_signed_out() {
    let api = Api::start().await;
    let mut other = Browser::new(&api);
    other.open("/login").await;
    other.sign_in().await;
    let mut browser = Browser::new(&api);
    browser.open("/login/password").await;
    browser.sign_in().await;
    let present = api.owner.password.reveal();
    browser.send("/login/password", &[("password", "wrong"), ("new", "correct horse")]).await;
    assert_eq!((browser.status, browser.shows("role=\"alert\"")), (StatusCode::UNPROCESSABLE_ENTITY, true));
    browser.send("/login/password", &[("password", present), ("new", "short")]).await;
    assert!(browser.shows("at least 8 characters"), "{}", browser.page);
    browser.send("/login/password", &[("password", present), ("new", "correct horse")]).await;
    assert!(browser.shows("The password is changed"), "{}", browser.page);
    browser.open("/login").await;
    assert!(browser.shows("Signed in as"), "{}", browser.page);
    other.open("/login").await;
    assert!(!other.shows("Signed in as"), "{}", other.page);
    other.send("/login", &[("email", api.owner.email), ("password", "correct horse")]).await;
    assert!(other.shows("Signed in as"), "{}", other.page);
}

#[tokio::test]
async fn nobody_learns_whether_an_email_has_an_account() {
    let api = Api::start().await;
    let mut pages = vec![];
    for email in [api.owner.email, "nobody@example.com"] {
        let mut browser = Browser::new(&api);
        browser.open("/login").await;
        browser.send("/login", &[("email", email), ("password", "wrong")]).await;
        let form = hidden_fields(&browser.page).remove(0).1;
        pages.push((browser.status, browser.page.replace(email, "EMAIL").replace(&form, "FORM")));
        let asked = request(Method::POST, "/oauth/authorizations", None).header("authorization", basic(email, "wrong"));
        let answer = api.send(asked, Value::Null).await;
        assert_eq!((answer.status, answer.message()), (StatusCode::UNAUTHORIZED, "Invalid credentials provided."));
    }
    assert_eq!(pages[0], pages[1]);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let api = Api::start().await;
    let mut browser = Browser::new(&api);
    browser.open("/login").await;
    let before = browser.cookie.clone();
    browser.sign_in().await;
    assert_ne!(browser.cookie, before, "a session under a cookie somebody may have chosen");
    let cookie = browser.cookie.clone();
    browser.send("/login/out", &[("next", "//evil.example")]).await;
    assert!(browser.shows("<label for=\"password\">"), "{}", browser.page);
    browser.cookie = cookie;
    browser.open("/login").await;
    assert!(!browser.shows("Signed in as"), "{}", browser.page);
}
