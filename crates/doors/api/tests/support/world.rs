//! Apps, a team, and somebody of every kind there can be.

use access::AppStanding;
use http::Method;
use serde_json::{Value, json};
use vocabulary::{Permissions, Scope, Secret, TeamRole};

use super::Api;

/// Somebody who calls: how they stand to the apps and the team of the fixture, and how far their token reaches.
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) token: Secret,
    pub(crate) scope: Scope,
    /// To `sushi`, the owner's own.
    pub(crate) sushi: AppStanding,
    /// To the apps and the team of `acme`.
    pub(crate) role: Option<TeamRole>,
    pub(crate) given: Permissions,
}

/// The owner's app `sushi`, and the team `acme` with its apps `open-app` and `locked-app`.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) callers: Vec<Caller>,
}

pub(crate) const ROLES: [(&str, TeamRole); 3] =
    [("admin", TeamRole::Admin), ("member", TeamRole::Member), ("viewer", TeamRole::Viewer)];
pub(crate) const GIVEN: [&str; 4] = ["view", "deploy", "operate", "manage"];
pub(crate) const OPEN: &str = "open-app";
pub(crate) const LOCKED: &str = "locked-app";

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(Api::start().await).await
    }

    pub(crate) async fn over(api: Api) -> Self {
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

pub(crate) async fn teams(api: &Api) -> Vec<Caller> {
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

pub(crate) fn caller(
    name: &'static str,
    token: Secret,
    sushi: AppStanding,
    role: Option<TeamRole>,
    given: &str,
) -> Caller {
    Caller { name, token, scope: Scope::Global, sushi, role, given: given.parse().unwrap() }
}

pub(crate) async fn done(api: &Api, token: &Secret, method: Method, path: &str, body: Value) {
    let answer = api.with(token, method, path, body).await;
    assert!(answer.status.is_success(), "{path} {}", answer.text);
}

pub(crate) fn concrete(api: &Api, path: &str, app: &str) -> String {
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
