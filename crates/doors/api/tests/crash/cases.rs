//! One request for each endpoint that changes something, which does change something.

use crate::support::entries::endpoints;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Owner,
    /// Somebody who owns nothing, and is offered an app.
    Stranger,
    /// Somebody who owns nothing, and says the password.
    Leaver,
    /// A client with its secret, without a token.
    Nobody,
}

/// One request. What is in braces, in the path and the body, is a thing of the furnished world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    pub(crate) body: &'static str,
    /// The status of its answer.
    pub(crate) status: u16,
}

const fn case(method: &'static str, path: &'static str, body: &'static str, status: u16) -> Case {
    Case { method, path, who: Who::Owner, body, status }
}

const fn by(who: Who, case: Case) -> Case {
    Case { who, ..case }
}

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    case("PATCH", "/account", r#"{"name": "Ada"}"#, 200),
    by(Who::Leaver, case("DELETE", "/account", "", 200)),
    case("POST", "/account/app-transfers", r#"{"app": "sushi", "recipient": "stranger@example.com"}"#, 201),
    by(Who::Stranger, case("PATCH", "/account/app-transfers/{transfer}", r#"{"state": "accepted"}"#, 200)),
    case("DELETE", "/account/app-transfers/{transfer}", "", 200),
    case("POST", "/account/keys", r#"{"public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"}"#, 201),
    case("DELETE", "/account/keys/{key}", "", 200),
    case("POST", "/apps", r#"{"name": "maki"}"#, 201),
    case("PATCH", "/apps/{app}", r#"{"name": "sushi-2", "maintenance": true, "build_stack": "heroku-22"}"#, 200),
    case("DELETE", "/apps/{app}", "", 200),
    case("DELETE", "/apps/{app}/build-cache", "", 200),
    case("PUT", "/apps/{app}/buildpack-installations", r#"{"updates": [{"buildpack": "heroku/nodejs"}, {"buildpack": "heroku/static"}]}"#, 200),
    case("POST", "/apps/{app}/builds", r#"{"source_blob": {"url": "{source}"}}"#, 201),
    case("POST", "/apps/{app}/collaborators", r#"{"user": "stranger@example.com"}"#, 201),
    case("DELETE", "/apps/{app}/collaborators/{collaborator}", "", 200),
    case("DELETE", "/apps/{app}/builds/{build}", "", 200),
    case("PATCH", "/apps/{app}/features/preboot", r#"{"enabled": false}"#, 200),
    case("PATCH", "/apps/{app}/config-vars", r#"{"A": "1", "B": "2"}"#, 200),
    case("POST", "/apps/{app}/domains", r#"{"hostname": "www.example.com", "sni_endpoint": null}"#, 201),
    case("DELETE", "/apps/{app}/domains/{domain}", "", 200),
    case("POST", "/apps/{app}/dynos", r#"{"command": "true"}"#, 201),
    case("DELETE", "/apps/{app}/dynos", "", 202),
    case("DELETE", "/apps/{app}/dynos/{dyno}", "", 202),
    case("POST", "/apps/{app}/dynos/{dyno}/actions/stop", "", 202),
    case("PATCH", "/apps/{app}/formation", r#"{"updates": [{"type": "web", "quantity": 2, "size": "standard-2x"}]}"#, 200),
    case("PATCH", "/apps/{app}/formation/{type}", r#"{"quantity": 2}"#, 200),
    case("DELETE", "/apps/{app}/formations/{type}", "", 202),
    case("POST", "/apps/{app}/formations/{type}/actions/stop", "", 202),
    case("POST", "/apps/{app}/releases", r#"{"release": "3"}"#, 201),
    case("POST", "/apps/{app}/webhooks", r#"{"include": ["api:release"], "level": "sync", "url": "https://example.com/"}"#, 201),
    case("PATCH", "/apps/{app}/webhooks/{webhook}", r#"{"level": "notify"}"#, 200),
    case("DELETE", "/apps/{app}/webhooks/{webhook}", "", 200),
    case("POST", "/favorites", r#"{"type": "app", "resource_id": "maguro"}"#, 201),
    case("DELETE", "/favorites/{favorite}", "", 200),
    by(Who::Stranger, case("PATCH", "/user/notifications/{notification}", r#"{"read": true}"#, 200)),
    case("POST", "/oauth/authorizations", "{}", 201),
    case("PATCH", "/oauth/authorizations/{authorization}", r#"{"description": "another"}"#, 200),
    case("DELETE", "/oauth/authorizations/{authorization}", "", 200),
    case("POST", "/oauth/authorizations/{authorization}/actions/regenerate-tokens", "", 200),
    case("POST", "/oauth/clients", r#"{"name": "client", "redirect_uri": "https://example.com/"}"#, 201),
    case("PATCH", "/oauth/clients/{client}", r#"{"name": "another"}"#, 200),
    case("DELETE", "/oauth/clients/{client}", "", 200),
    case("POST", "/oauth/clients/{client}/actions/rotate-credentials", "", 200),
    case("DELETE", "/oauth/sessions/{session}", "", 200),
    case("DELETE", "/oauth/tokens/{token}", "", 200),
    by(Who::Nobody, case("POST", "/oauth/tokens", r#"{"client": {"secret": "{secret}"}, "grant": {"code": "{code}", "type": "authorization_code"}}"#, 201)),
    case("POST", "/teams", r#"{"name": "umbrella"}"#, 201),
    case("POST", "/teams/apps", r#"{"name": "nigiri", "team": "acme"}"#, 201),
    case("PATCH", "/teams/apps/{app}", r#"{"owner": "acme"}"#, 200),
    case("POST", "/teams/apps/open-app/collaborators", r#"{"user": "stranger@example.com", "permissions": ["deploy"]}"#, 201),
    case("PATCH", "/teams/apps/open-app/collaborators/view@example.com", r#"{"permissions": ["deploy", "operate"]}"#, 200),
    case("DELETE", "/teams/apps/open-app/collaborators/view@example.com", "", 200),
    case("PATCH", "/teams/{team}", r#"{"name": "acme-2"}"#, 200),
    case("DELETE", "/teams/hollow", "", 200),
    case("PUT", "/teams/{team}/invitations", r#"{"email": "stranger@example.com", "role": "viewer"}"#, 200),
    case("DELETE", "/teams/hollow/invitations/{invitation}", "", 200),
    by(Who::Stranger, case("POST", "/teams/invitations/{invited}/accept", "", 201)),
    case("PUT", "/streams/sources/{upload}", "an archive", 200),
    case("PUT", "/teams/{team}/members", r#"{"email": "stranger@example.com", "role": "viewer"}"#, 200),
    case("POST", "/teams/{team}/members", r#"{"email": "stranger@example.com", "role": "member"}"#, 201),
    case("PATCH", "/teams/{team}/members", r#"{"email": "viewer@example.com", "role": "member"}"#, 200),
    case("DELETE", "/teams/{team}/members/viewer@example.com", "", 200),
    case("PATCH", "/users/~", r#"{"name": "Ada"}"#, 200),
    by(Who::Leaver, case("DELETE", "/users/~", "", 200)),
    case("PATCH", "/users/~/preferences", r#"{"timezone": "UTC"}"#, 200),
];

/// Endpoints that record nothing although their method is none of reading, with the reason. The harness holds each to
/// it: it must reach no point.
pub(crate) const RECORD_NOTHING: &[(&str, &str, &str)] = &[
    ("PATCH", "/apps/{app}/domains/{domain}", "a domain has no SNI endpoint to change yet"),
    ("POST", "/filters/apps", "it asks, with a body because there may be many ids"),
    ("PATCH", "/teams/{team}/preferences", "what is the case is all that can be asked for yet"),
    ("POST", "/apps/{app}/dynos/{dyno}", "a program inside a dyno lives and dies with its client"),
    ("POST", "/apps/{app}/log-sessions", "the address of a session holds all of it, sealed"),
    ("POST", "/apps/{app}/sources", "the address of an upload holds all of it, sealed"),
    ("POST", "/sources", "the address of an upload holds all of it, sealed"),
    ("POST", "/auth", "a login under way is its client's to begin again"),
];

/// Whether a case is for an endpoint: its path with some of the parameters filled in.
pub(crate) fn is_for(case: &Case, method: &str, path: &str) -> bool {
    let (mine, theirs): (Vec<&str>, Vec<&str>) = (case.path.split('/').collect(), path.split('/').collect());
    let same = |(mine, theirs): (&&str, &&str)| mine == theirs || (theirs.starts_with('{') && !mine.is_empty());
    case.method == method && mine.len() == theirs.len() && mine.iter().zip(&theirs).all(same)
}

/// Endpoints that change something and have no case.
pub(crate) fn forgotten() -> Vec<String> {
    let changes = endpoints().filter(|endpoint| endpoint.method != http::Method::GET);
    let known = |method: &str, path: &str| {
        CASES.iter().any(|case| is_for(case, method, path))
            || RECORD_NOTHING.iter().any(|(other, known, _)| (*other, *known) == (method, path))
    };
    let forgotten = changes.filter(|endpoint| !known(endpoint.method.as_str(), endpoint.path));
    forgotten.map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect()
}
