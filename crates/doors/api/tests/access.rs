//! Who may call what (A1): every endpoint of the router, by everybody there can be, against the policy.
//!
//! What is expected is not written down here: an endpoint says with its handler's type which action it does, and
//! `access::decide` says whether who calls may. Written down is, in `support::entries`, one request for each endpoint that is
//! answered as it should be for whoever may; an endpoint without one fails [`every_endpoint_has_an_entry`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without its fixture must stop")]

mod support;

use access::decide::{Decision, Standing, permits};
use access::{Action, AppStanding, TeamStanding};
use api::{Access, Endpoint};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::entries::{endpoints, ends, entry};
use support::world::{Caller, LOCKED, OPEN, World, caller, concrete};
use support::{Answer, request};
use vocabulary::{Permissions, Scope, Secret, TeamRole, Timestamp};

#[test]
fn every_endpoint_has_an_entry() {
    let missing: Vec<_> = endpoints().filter(|endpoint| entry(endpoint).is_none()).collect();
    assert!(missing.is_empty(), "endpoints without a line in ENTRIES: {missing:#?}");
    for endpoint in endpoints() {
        assert_eq!(endpoint.access == Access::Open, endpoint.action.is_none(), "{endpoint:?}");
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
