//! Who may call what (A1): every endpoint of the router, by everybody there can be, against the policy.
//!
//! What is expected is not written down here: an endpoint says with its handler's type which action it does, and
//! `access::decide` says whether who calls may. Written down is, in [`ENTRIES`], one request for each endpoint that is
//! answered as it should be for whoever may; an endpoint without one fails [`every_endpoint_has_an_entry`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without its fixture must stop")]

mod support;

use access::decide::{Decision, Standing, permits};
use access::{Action, AppStanding, TeamStanding};
use api::{Access, Endpoint};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Api, request};
use vocabulary::{Permissions, Scope, Secret, TeamRole, Timestamp};

/// Method and path of an endpoint, a body, and the status it has for whoever may.
type Entry = (&'static str, &'static str, &'static str, u16);

#[rustfmt::skip]
const ENTRIES: &[Entry] = &[
    ("GET", "/account", "", 200),
    ("PATCH", "/account", "{}", 200),
    ("DELETE", "/account", "", 422),
    ("GET", "/account/app-transfers", "", 200),
    ("POST", "/account/app-transfers", r#"{"app": "sushi", "recipient": "stranger@example.com"}"#, 201),
    ("GET", "/account/app-transfers/{transfer}", "", 404),
    ("PATCH", "/account/app-transfers/{transfer}", r#"{"state": "accepted"}"#, 404),
    ("DELETE", "/account/app-transfers/{transfer}", "", 404),
    ("GET", "/account/features", "", 200),
    ("GET", "/account/features/{feature}", "", 404),
    ("GET", "/account/keys", "", 200),
    ("POST", "/account/keys", r#"{"public_key": "none"}"#, 422),
    ("GET", "/account/keys/{key}", "", 404),
    ("DELETE", "/account/keys/{key}", "", 404),
    ("GET", "/account/rate-limits", "", 200),
    ("GET", "/addon-attachments", "", 200),
    ("GET", "/addons", "", 200),
    ("GET", "/api/v4/current-status", "", 200),
    ("GET", "/apps", "", 200),
    ("POST", "/apps", r#"{"name": "maki"}"#, 201),
    ("GET", "/apps/{app}", "", 200),
    ("PATCH", "/apps/{app}", r#"{"maintenance": true}"#, 200),
    ("DELETE", "/apps/{app}", "", 200),
    ("GET", "/apps/{app}/addon-attachments", "", 200),
    ("GET", "/apps/{app}/addons", "", 200),
    ("DELETE", "/apps/{app}/build-cache", "", 200),
    ("GET", "/apps/{app}/buildpack-installations", "", 200),
    ("PUT", "/apps/{app}/buildpack-installations", r#"{"updates": []}"#, 200),
    ("GET", "/apps/{app}/builds", "", 200),
    ("POST", "/apps/{app}/builds", r#"{"source_blob": {"url": "https://example.com/"}}"#, 422),
    ("GET", "/apps/{app}/builds/{build}", "", 404),
    ("GET", "/apps/{app}/collaborators", "", 200),
    ("POST", "/apps/{app}/collaborators", r#"{"user": "stranger@example.com"}"#, 201),
    ("GET", "/apps/{app}/collaborators/{collaborator}", "", 404),
    ("DELETE", "/apps/{app}/collaborators/{collaborator}", "", 404),
    ("GET", "/apps/{app}/config-vars", "", 200),
    ("PATCH", "/apps/{app}/config-vars", r#"{"A": "1"}"#, 200),
    ("GET", "/apps/{app}/domains", "", 200),
    ("POST", "/apps/{app}/domains", r#"{"hostname": "www.example.com", "sni_endpoint": null}"#, 201),
    ("GET", "/apps/{app}/domains/{domain}", "", 404),
    ("PATCH", "/apps/{app}/domains/{domain}", r#"{"sni_endpoint": null}"#, 404),
    ("DELETE", "/apps/{app}/domains/{domain}", "", 404),
    ("GET", "/apps/{app}/dynos", "", 200),
    ("POST", "/apps/{app}/dynos", r#"{"command": " "}"#, 422),
    ("DELETE", "/apps/{app}/dynos", "", 202),
    ("GET", "/apps/{app}/dynos/{dyno}", "", 404),
    ("POST", "/apps/{app}/dynos/{dyno}", r#"{"command": "true"}"#, 404),
    ("DELETE", "/apps/{app}/dynos/{dyno}", "", 404),
    ("POST", "/apps/{app}/dynos/{dyno}/actions/stop", "", 404),
    ("GET", "/apps/{app}/features", "", 200),
    ("GET", "/apps/{app}/features/{feature}", "", 404),
    ("GET", "/apps/{app}/formation", "", 200),
    ("PATCH", "/apps/{app}/formation", r#"{"updates": []}"#, 200),
    ("GET", "/apps/{app}/formation/{type}", "", 200),
    ("PATCH", "/apps/{app}/formation/{type}", r#"{"quantity": 2}"#, 200),
    ("DELETE", "/apps/{app}/formations/{type}", "", 404),
    ("POST", "/apps/{app}/formations/{type}/actions/stop", "", 404),
    ("GET", "/apps/{app}/log-drains", "", 200),
    ("POST", "/apps/{app}/log-sessions", "{}", 201),
    ("GET", "/apps/{app}/pipeline-couplings", "", 404),
    ("GET", "/apps/{app}/releases", "", 200),
    ("POST", "/apps/{app}/releases", r#"{"release": "3"}"#, 201),
    ("GET", "/apps/{app}/releases/{release}", "", 200),
    ("GET", "/apps/{app}/releases/{release}/config-vars", "", 200),
    ("GET", "/apps/{app}/review-app", "", 404),
    ("GET", "/apps/{app}/slugs/{slug}", "", 404),
    ("GET", "/apps/{app}/sni-endpoints", "", 200),
    ("POST", "/apps/{app}/sources", "", 201),
    ("GET", "/apps/{app}/webhook-deliveries", "", 200),
    ("GET", "/apps/{app}/webhook-deliveries/{delivery}", "", 404),
    ("GET", "/apps/{app}/webhook-events", "", 200),
    ("GET", "/apps/{app}/webhook-events/{event}", "", 404),
    ("GET", "/apps/{app}/webhooks", "", 200),
    ("POST", "/apps/{app}/webhooks", r#"{"include": ["api:release"], "level": "sync", "url": "https://example.com/"}"#, 201),
    ("GET", "/apps/{app}/webhooks/{webhook}", "", 404),
    ("PATCH", "/apps/{app}/webhooks/{webhook}", "{}", 404),
    ("DELETE", "/apps/{app}/webhooks/{webhook}", "", 404),
    ("POST", "/auth", "", 201),
    ("GET", "/buildpacks", "", 200),
    ("GET", "/buildpacks/{name}", "", 200),
    ("GET", "/buildpacks/{name}/readme", "", 200),
    ("GET", "/buildpacks/{name}/revisions", "", 200),
    ("GET", "/dyno-sizes", "", 200),
    ("GET", "/dyno-sizes/{size}", "", 200),
    ("GET", "/favorites", "", 200),
    ("GET", "/oauth/authorizations", "", 200),
    ("POST", "/oauth/authorizations", "{}", 201),
    ("GET", "/oauth/authorizations/{authorization}", "", 404),
    ("PATCH", "/oauth/authorizations/{authorization}", "{}", 404),
    ("DELETE", "/oauth/authorizations/{authorization}", "", 404),
    ("POST", "/oauth/authorizations/{authorization}/actions/regenerate-tokens", "", 404),
    ("GET", "/oauth/clients", "", 200),
    ("POST", "/oauth/clients", r#"{"name": "client", "redirect_uri": "https://example.com/"}"#, 201),
    ("GET", "/oauth/clients/{client}", "", 404),
    ("PATCH", "/oauth/clients/{client}", "{}", 404),
    ("DELETE", "/oauth/clients/{client}", "", 404),
    ("POST", "/oauth/clients/{client}/actions/rotate-credentials", "", 404),
    ("GET", "/oauth/sessions", "", 200),
    ("DELETE", "/oauth/sessions/{session}", "", 404),
    ("POST", "/oauth/tokens", "", 422),
    ("GET", "/pipelines", "", 200),
    ("GET", "/regions", "", 200),
    ("GET", "/regions/{region}", "", 200),
    ("GET", "/schema", "", 200),
    ("POST", "/sources", "", 201),
    ("GET", "/stacks", "", 200),
    ("GET", "/stacks/{stack}", "", 200),
    ("GET", "/streams/builds/{token}", "", 404),
    ("GET", "/streams/logs/{token}", "", 404),
    ("GET", "/streams/releases/{token}", "", 404),
    ("GET", "/streams/sources/{token}", "", 404),
    ("PUT", "/streams/sources/{token}", "", 404),
    ("GET", "/teams", "", 200),
    ("POST", "/teams", r#"{"name": "umbrella"}"#, 201),
    ("POST", "/teams/apps", r#"{"name": "nigiri", "team": "acme"}"#, 201),
    ("GET", "/teams/apps/{app}", "", 200),
    ("PATCH", "/teams/apps/{app}", r#"{"owner": "acme"}"#, 200),
    ("GET", "/teams/apps/{app}/collaborators", "", 200),
    ("POST", "/teams/apps/{app}/collaborators", r#"{"user": "viewer@example.com"}"#, 201),
    ("GET", "/teams/apps/{app}/collaborators/{collaborator}", "", 404),
    ("PATCH", "/teams/apps/{app}/collaborators/{collaborator}", r#"{"permissions": ["deploy"]}"#, 404),
    ("DELETE", "/teams/apps/{app}/collaborators/{collaborator}", "", 404),
    ("GET", "/teams/permissions", "", 200),
    ("GET", "/teams/{team}", "", 200),
    ("PATCH", "/teams/{team}", r#"{"name": "acme-2"}"#, 200),
    ("DELETE", "/teams/{team}", "", 422),
    ("GET", "/teams/{team}/addons", "", 200),
    ("GET", "/teams/{team}/apps", "", 200),
    ("GET", "/teams/{team}/features", "", 200),
    ("GET", "/teams/{team}/features/{feature}", "", 404),
    ("GET", "/teams/{team}/invitations", "", 200),
    ("GET", "/teams/{team}/members", "", 200),
    ("PUT", "/teams/{team}/members", r#"{"email": "stranger@example.com", "role": "viewer"}"#, 200),
    ("POST", "/teams/{team}/members", r#"{"email": "collaborator@example.com", "role": "member"}"#, 201),
    ("PATCH", "/teams/{team}/members", r#"{"email": "stranger@example.com", "role": "member"}"#, 200),
    ("DELETE", "/teams/{team}/members/{member}", "", 404),
    ("GET", "/teams/{team}/members/{member}/apps", "", 404),
    ("GET", "/teams/{team}/preferences", "", 200),
    ("GET", "/users/{user}", "", 200),
    ("GET", "/users/{user}/apps", "", 200),
];

fn entry(endpoint: &Endpoint) -> Option<&'static Entry> {
    ENTRIES.iter().find(|(method, path, ..)| endpoint.method == *method && endpoint.path == *path)
}

/// The endpoints of the API. Pages for a browser ask for what they need themselves, and have tests of their own.
fn endpoints() -> impl Iterator<Item = Endpoint> {
    api::endpoints().into_iter().filter(|endpoint| endpoint.access != Access::Page)
}

/// Whether this leaves no caller, or no app, for the next request.
fn ends(endpoint: &Endpoint) -> bool {
    endpoint.method == Method::DELETE && ["/account", "/apps/{app}"].contains(&endpoint.path)
}

#[test]
fn every_endpoint_has_an_entry() {
    let missing: Vec<_> = endpoints().filter(|endpoint| entry(endpoint).is_none()).collect();
    assert!(missing.is_empty(), "endpoints without a line in ENTRIES: {missing:#?}");
    for endpoint in endpoints() {
        assert_eq!(endpoint.access == Access::Open, endpoint.action.is_none(), "{endpoint:?}");
    }
}

/// Somebody who calls: how they stand to the apps and the team of the fixture, and how far their token reaches.
struct Caller {
    name: &'static str,
    token: Secret,
    scope: Scope,
    /// To `sushi`, the owner's own.
    sushi: AppStanding,
    /// To the apps and the team of `acme`.
    role: Option<TeamRole>,
    given: Permissions,
}

/// The owner's app `sushi`, and the team `acme` with its apps `open-app` and `locked-app`.
struct World {
    api: Api,
    callers: Vec<Caller>,
}

const ROLES: [(&str, TeamRole); 3] =
    [("admin", TeamRole::Admin), ("member", TeamRole::Member), ("viewer", TeamRole::Viewer)];
const GIVEN: [&str; 4] = ["view", "deploy", "operate", "manage"];
const OPEN: &str = "open-app";
const LOCKED: &str = "locked-app";

impl World {
    async fn new() -> Self {
        let api = Api::start().await;
        api.app("sushi").await;
        api.deploy("sushi", "web: node index.js\n").await;
        let mut callers = vec![caller("owner", api.owner.token.clone(), AppStanding::Owner, None, "")];
        callers.extend(teams(&api).await);
        for app in [OPEN, LOCKED] {
            for given in GIVEN {
                let email = format!("{given}@example.com");
                let body = json!({"user": email, "permissions": [given]});
                done(&api, &callers[1].token, Method::POST, &format!("/teams/apps/{app}/collaborators"), body).await;
            }
        }
        let collaborator = api.somebody("collaborator@example.com").await;
        let body = json!({"user": "collaborator@example.com"});
        done(&api, &api.owner.token, Method::POST, "/apps/sushi/collaborators", body).await;
        callers.push(caller("collaborator", collaborator, AppStanding::Collaborator, None, ""));
        let stranger = api.somebody("stranger@example.com").await;
        callers.push(caller("stranger", stranger, AppStanding::Stranger, None, ""));
        // The owner is an admin, too, so that one token is enough to try all that a scope allows.
        let body = json!({"email": api.owner.email, "role": "admin"});
        done(&api, &callers[1].token, Method::PUT, "/teams/acme/members", body).await;
        callers[0].role = Some(TeamRole::Admin);
        Self { api, callers }
    }
}

/// How a caller stands to what an endpoint is about; nothing for another user.
fn standing(caller: &Caller, endpoint: &Endpoint, app: &str) -> Option<Standing> {
    let team = match (caller.role, caller.given) {
        (Some(role), _) => TeamStanding::Member(role),
        (None, Permissions::NONE) => TeamStanding::Stranger,
        (None, _) => TeamStanding::Collaborator,
    };
    let locked = app == LOCKED;
    if endpoint.path.contains("{app}") && app == "sushi" {
        Some(Standing::App(caller.sushi))
    } else if endpoint.path.contains("{app}") {
        Some(Standing::App(AppStanding::Team { role: caller.role, given: caller.given, locked }))
    } else if endpoint.path.contains("{team}") {
        Some(Standing::Team(team))
    } else {
        // The user of the path is the owner.
        (!endpoint.path.contains("{user}") || caller.sushi == AppStanding::Owner).then_some(Standing::Own)
    }
}

async fn teams(api: &Api) -> Vec<Caller> {
    let mut callers = vec![];
    for (name, role) in ROLES {
        let token = api.somebody(&format!("{name}@example.com")).await;
        callers.push(caller(name, token, AppStanding::Stranger, Some(role), ""));
    }
    let admin = callers[0].token.clone();
    done(api, &admin, Method::POST, "/teams", json!({"name": "acme"})).await;
    for (name, role) in ROLES {
        let body = json!({"email": format!("{name}@example.com"), "role": role});
        done(api, &admin, Method::PUT, "/teams/acme/members", body).await;
    }
    for (app, locked) in [(OPEN, false), (LOCKED, true)] {
        let body = json!({"name": app, "team": "acme", "locked": locked});
        done(api, &admin, Method::POST, "/teams/apps", body).await;
        api.deploy(app, "web: node index.js\n").await;
    }
    for given in GIVEN {
        let token = api.somebody(&format!("{given}@example.com")).await;
        // Whoever is let in sees the app, whatever else they were given.
        let with_view = if given == "view" { "view".to_owned() } else { format!("view,{given}") };
        callers.push(caller(given, token, AppStanding::Stranger, None, &with_view));
    }
    callers
}

fn caller(name: &'static str, token: Secret, sushi: AppStanding, role: Option<TeamRole>, given: &str) -> Caller {
    Caller { name, token, scope: Scope::Global, sushi, role, given: given.parse().unwrap() }
}

async fn done(api: &Api, token: &Secret, method: Method, path: &str, body: Value) {
    let answer = api.with(token, method, path, body).await;
    assert!(answer.status.is_success(), "{path} {}", answer.text);
}

fn concrete(api: &Api, path: &str, app: &str) -> String {
    let named = [
        ("{app}", app),
        ("{team}", "acme"),
        ("{user}", api.owner.email),
        ("{type}", "web"),
        ("{release}", "1"),
        ("{region}", "us"),
        ("{stack}", "heroku-24"),
        ("{size}", "basic"),
        ("{name}", "heroku%2Fnodejs"),
    ];
    let path = named.iter().fold(path.to_owned(), |path, (from, to)| path.replace(from, to));
    let whole = path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part });
    whole.collect::<Vec<_>>().join("/")
}

/// What the policy says of an answer.
fn check(answer: &Answer, expected: Option<Decision>, what: &str) {
    let resource = answer.json["resource"].as_str().unwrap_or_default();
    let hidden = answer.status == StatusCode::NOT_FOUND && ["app", "team", "account"].contains(&resource);
    let refused = answer.status == StatusCode::FORBIDDEN;
    let (text, message) = (&answer.text, answer.message());
    match expected {
        Some(Decision::Yes) => {
            assert!(!refused && !hidden && answer.status != StatusCode::UNAUTHORIZED, "{what} was refused: {text}");
            assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{what} failed: {text}");
        }
        Some(Decision::OutOfScope) => assert!(refused && message.contains("scope"), "{what}: {text}"),
        Some(Decision::Lacks(_)) => assert!(refused && message.contains("permission"), "{what}: {text}"),
        Some(Decision::Role) => assert!(refused && message.contains("role"), "{what}: {text}"),
        // An app that is there is told from one that is not, as at Heroku; a team is not.
        Some(Decision::Stranger) if what.contains("{app}") => {
            assert!(refused && message.contains("do not have access"), "{what}: {text}");
        }
        Some(Decision::Stranger) | None => assert!(hidden, "{what}: {text}"),
    }
}

/// What some endpoints ask for besides, once it is known that it is not the caller they are about.
const SECOND_STEPS: [(&str, Action); 2] =
    [("/collaborators/{collaborator}", Action::ManageAccess), ("/members/{member}", Action::ManageMembers)];

fn expected(caller: &Caller, endpoint: &Endpoint, action: Action, app: &str) -> Option<Decision> {
    let standing = standing(caller, endpoint, app)?;
    let first = permits(&[caller.scope], standing, action);
    let about = SECOND_STEPS.iter().find(|(end, _)| endpoint.method == Method::DELETE && endpoint.path.ends_with(end));
    match about {
        Some((_, second)) if first == Decision::Yes => Some(permits(&[caller.scope], standing, *second)),
        _ => Some(first),
    }
}

/// Every endpoint by one caller, with no body: whoever may is told that it lacks one, or that there is no such thing.
async fn ask_everything(world: &World, caller: &Caller, apps: &[&str]) {
    for endpoint in endpoints() {
        let Some(action) = endpoint.action else { continue };
        let apps = if endpoint.path.contains("{app}") { apps } else { &apps[..1] };
        for app in apps {
            let expected = expected(caller, &endpoint, action, app);
            if ends(&endpoint) && expected == Some(Decision::Yes) {
                continue; // Asked once, in `whoever_may_gets_the_answer_of_the_entry`.
            }
            let path = concrete(&world.api, endpoint.path, app);
            let answer = world.api.with(&caller.token, endpoint.method.clone(), &path, Value::Null).await;
            let what = format!("{} {} of {app} by {} ({})", endpoint.method, endpoint.path, caller.name, caller.scope);
            // A token is not asked whose it is before it is known how far it reaches.
            let reaches = access::decide::reaches(&[caller.scope], action);
            check(&answer, if reaches { expected } else { Some(Decision::OutOfScope) }, &what);
        }
    }
}

#[tokio::test]
async fn every_endpoint_refuses_and_lets_in_as_the_policy_says() {
    let world = World::new().await;
    for caller in &world.callers {
        ask_everything(&world, caller, &["sushi", OPEN, LOCKED]).await;
    }
}

#[tokio::test]
async fn every_endpoint_heeds_the_scope_of_the_token() {
    let mut world = World::new().await;
    let email = world.api.owner.email;
    for scope in Scope::ALL {
        let token = world.api.token(email, scope.as_str(), None).await;
        let reader = Caller { token, scope: *scope, ..caller("owner", Secret::new(""), AppStanding::Owner, None, "") };
        world.callers.push(Caller { role: Some(TeamRole::Admin), ..reader });
        ask_everything(&world, world.callers.last().unwrap(), &["sushi", OPEN]).await;
    }
}

#[tokio::test]
async fn without_a_good_token_nothing_is_answered() {
    let world = World::new().await;
    let past = Timestamp::from_micros(Timestamp::now().micros() - 1);
    let expired = world.api.token(world.api.owner.email, "global", Some(past)).await;
    let wrong = Secret::new("HRKU-wrong");
    for endpoint in endpoints() {
        let path = concrete(&world.api, endpoint.path, "sushi");
        for token in [None, Some(&wrong), Some(&expired)] {
            let answer = world.api.send(request(endpoint.method.clone(), &path, token), Value::Null).await;
            if endpoint.access == Access::Open {
                assert!(![401, 403].contains(&answer.status.as_u16()), "{endpoint:?} {}", answer.text);
                continue;
            }
            assert_eq!((answer.status, answer.id()), (StatusCode::UNAUTHORIZED, "unauthorized"), "{endpoint:?}");
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
}

#[tokio::test]
async fn whoever_may_gets_the_answer_of_the_entry() {
    let mut world = World::new().await;
    for endpoint in endpoints() {
        let (_, _, body, status) = *entry(&endpoint).unwrap();
        let body: Value = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
        let path = concrete(&world.api, endpoint.path, "sushi");
        let answer = world.api.owner(endpoint.method.clone(), &path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{endpoint:?} {}", answer.text);
        let rest = [world.api.get("/apps/sushi").await, world.api.get("/teams/acme").await];
        if rest.iter().any(|answer| answer.status != StatusCode::OK) {
            world = World::new().await;
        }
    }
}

#[tokio::test]
async fn a_stranger_reads_nothing_of_anyone_elses() {
    let world = World::new().await;
    let stranger = world.callers.iter().find(|caller| caller.name == "stranger").unwrap();
    for endpoint in endpoints().filter(|endpoint| !ends(endpoint)) {
        let path = concrete(&world.api, endpoint.path, "sushi");
        let answer = world.api.with(&stranger.token, endpoint.method.clone(), &path, json!({"updates": []})).await;
        for secret in [world.api.owner.email, OPEN, "admin@example.com"] {
            assert!(!answer.text.contains(secret), "{endpoint:?} {}", answer.text);
        }
    }
}
