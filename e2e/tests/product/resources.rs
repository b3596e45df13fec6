//! Resources of the Platform API that the official command does not ask for, by plain requests; each answer is held
//! against the published schema on its way.

use std::process::Stdio;

use e2e::{Client, Failure, ensure, until};
use serde_json::{Value, json};

/// Of each list the first entry is the one that has this.
fn named<'a>(list: &'a Value, field: &str, value: &str) -> Result<&'a Value, Failure> {
    let found = list.as_array().and_then(|list| list.iter().find(|one| one[field] == value));
    found.ok_or_else(|| format!("nothing has the {field} {value}: {list}").into())
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Failure> {
    value[field].as_str().ok_or_else(|| format!("no {field}: {value}").into())
}

pub fn an_app_is_looked_at_in_every_part(client: &Client) -> Result<(), Failure> {
    let (_, app) = client.deploy("hello")?;
    let of = |rest: &str| format!("/apps/{app}{rest}");
    named(&client.read("/apps")?, "name", &app)?;
    let builds = client.read(&of("/builds"))?;
    ensure!(builds[0]["status"] == "succeeded", "the build: {builds}");
    let releases = client.read(&of("/releases"))?;
    let slug = text(&releases.as_array().and_then(|all| all.last()).ok_or("no releases")?["slug"], "id")?.to_owned();
    let slug = client.read(&of(&format!("/slugs/{slug}")))?;
    ensure!(slug["process_types"]["web"].is_string(), "the slug has no web: {slug}");
    let owner = text(&client.read("/account")?, "email")?.to_owned();
    let collaborator = client.read(&of(&format!("/collaborators/{owner}")))?;
    ensure!(collaborator["role"] == "owner", "the owner: {collaborator}");
    client.asked("POST", &of("/sources"), &Value::Null, 201)?;
    client.asked("DELETE", &of("/build-cache"), &Value::Null, 200)?;
    ensure!(
        client.read(&of("/addons"))? == json!([]) && client.read("/addons")? == json!([]),
        "add-ons out of nowhere"
    );
    client.asked("POST", &of("/domains"), &json!({"hostname": "parts.example.com", "sni_endpoint": null}), 201)?;
    client.asked("PATCH", &of("/domains/parts.example.com"), &json!({"sni_endpoint": null}), 200)?;
    client.asked("DELETE", &of("/domains/parts.example.com"), &Value::Null, 200)?;
    Ok(())
}

pub fn dynos_are_looked_at_resized_and_ended(client: &Client) -> Result<(), Failure> {
    let (_, app) = client.deploy("hello")?;
    let of = |rest: &str| format!("/apps/{app}{rest}");
    let web = client.read(&of("/formation/web"))?;
    ensure!(web["quantity"] == 1, "the formation: {web}");
    let grown = client.asked("PATCH", &of("/formation/web"), &json!({"size": "standard-2x"}), 200)?;
    ensure!(grown["size"] == "Standard-2X", "resized: {grown}");
    let dyno = || client.read(&of("/dynos/web.1"));
    let serves = |size: &str, not: &str| {
        until("web.1 was not replaced", || {
            let now = dyno()?;
            Ok(now["state"] == "up" && now["size"] == size && now["id"] != not)
        })
    };
    serves("Standard-2X", "")?;
    for (method, path) in [
        ("DELETE", "/dynos/web.1"),
        ("DELETE", "/formations/web"),
        ("POST", "/formations/web/actions/stop"),
        ("POST", "/dynos/web.1/actions/stop"),
    ] {
        let before = text(&dyno()?, "id")?.to_owned();
        client.asked(method, &of(path), &Value::Null, 202)?;
        serves("Standard-2X", &before)?;
    }
    ensure!(client.get(&app, "/")?.status == 200, "the app does not serve");
    Ok(())
}

pub fn what_is_on_offer_is_shown_one_by_one(client: &Client) -> Result<(), Failure> {
    for list in ["/stacks", "/regions", "/dyno-sizes", "/generations"] {
        let all = client.read(list)?;
        for one in all.as_array().ok_or("no list")? {
            for identity in [text(one, "id")?, text(one, "name")?] {
                let shown = client.read(&format!("{list}/{identity}"))?;
                ensure!(shown == *one, "{list}/{identity} is not as listed: {shown}");
            }
        }
        client.asked("GET", &format!("{list}/nothing"), &Value::Null, 404)?;
    }
    let left = |limits: &Value| limits["remaining"].as_i64().unwrap_or_default();
    let before = client.read("/account/rate-limits")?;
    ensure!(left(&before) > 0, "no requests left: {before}");
    Ok(())
}

pub fn an_account_is_changed_and_deleted(client: &Client) -> Result<(), Failure> {
    let gus = client.somebody("gus@example.com")?;
    let changed = gus.asked("PATCH", "/account", &json!({"name": "Gus"}), 200)?;
    ensure!(changed["name"] == "Gus" && gus.read("/users/~")?["name"] == "Gus", "the name: {changed}");
    client.asked("GET", "/users/gus@example.com", &Value::Null, 404)?;
    gus.asked("DELETE", "/account", &Value::Null, 200)?;
    gus.asked("GET", "/account", &Value::Null, 401)?;
    Ok(())
}

pub fn an_offered_app_is_looked_at_and_taken_back(client: &Client) -> Result<(), Failure> {
    let (hal, ida) = (client.somebody("hal@example.com")?, client.somebody("ida@example.com")?);
    hal.asked("POST", "/apps", &json!({"name": "hals-own"}), 201)?;
    let offer = json!({"app": "hals-own", "recipient": "ida@example.com"});
    let made = hal.asked("POST", "/account/app-transfers", &offer, 201)?;
    let path = format!("/account/app-transfers/{}", text(&made, "id")?);
    for who in [&hal, &ida] {
        named(&who.read("/account/app-transfers")?, "state", "pending")?;
        ensure!(who.read(&path)?["state"] == "pending", "the offer is not as listed");
    }
    client.asked("GET", &path, &Value::Null, 404)?;
    hal.asked("DELETE", &path, &Value::Null, 200)?;
    ensure!(ida.read("/account/app-transfers")? == json!([]), "it is still offered");
    hal.asked("DELETE", "/apps/hals-own", &Value::Null, 200)?;
    Ok(())
}

pub fn a_team_is_renamed_looked_at_and_deleted(client: &Client) -> Result<(), Failure> {
    let (jo, kim) = (client.somebody("jo@example.com")?, client.somebody("kim@example.com")?);
    jo.asked("POST", "/teams", &json!({"name": "initech"}), 201)?;
    jo.asked("POST", "/teams/initech/members", &json!({"email": "kim@example.com", "role": "member"}), 201)?;
    jo.asked("PATCH", "/teams/initech", &json!({"name": "initrode"}), 200)?;
    jo.asked("GET", "/teams/initech", &Value::Null, 404)?;
    jo.asked("POST", "/teams/apps", &json!({"name": "tps-reports", "team": "initrode"}), 201)?;
    let given = json!({"user": "kim@example.com", "permissions": ["deploy"]});
    jo.asked("POST", "/teams/apps/tps-reports/collaborators", &given, 201)?;
    named(&jo.read("/teams/apps/tps-reports/collaborators")?, "role", "member")?;
    let path = "/teams/apps/tps-reports/collaborators/kim@example.com";
    ensure!(kim.read(path)?["user"]["email"] == "kim@example.com", "somebody else");
    named(&jo.read("/teams/initrode/members/kim@example.com/apps")?, "name", "tps-reports")?;
    jo.asked("DELETE", path, &Value::Null, 200)?;
    ensure!(jo.read("/teams/initrode/members/kim@example.com/apps")? == json!([]), "kim still works on it");
    let feature = jo.read("/teams/initrode/features/org-access-controls")?;
    ensure!(feature["enabled"] == true, "the feature: {feature}");
    for rest in ["preferences", "addons", "invitations"] {
        jo.read(&format!("/teams/initrode/{rest}"))?;
    }
    jo.asked("DELETE", "/teams/initrode", &Value::Null, 422)?;
    jo.asked("DELETE", "/apps/tps-reports", &Value::Null, 200)?;
    kim.asked("DELETE", "/teams/initrode", &Value::Null, 403)?;
    jo.asked("DELETE", "/teams/initrode", &Value::Null, 200)?;
    Ok(())
}

pub fn what_nobody_has_is_an_empty_list(client: &Client) -> Result<(), Failure> {
    let lou = client.somebody("lou@example.com")?;
    lou.asked("POST", "/teams", &json!({"name": "hooli"}), 201)?;
    lou.asked("POST", "/teams/apps", &json!({"name": "nucleus", "team": "hooli"}), 201)?;
    for list in [
        "/account/credits",
        "/account/invoices",
        "/addon-services",
        "/addon-region-capabilities",
        "/regions/us/addon-region-capabilities",
        "/enterprise-accounts",
        "/pipeline-couplings",
        "/spaces",
        "/users/~/addons",
        "/users/~/pipeline-couplings",
        "/apps/nucleus/telemetry-drains",
        "/teams/hooli/spaces",
        "/teams/hooli/pipeline-couplings",
        "/teams/hooli/allowed-addon-services",
        "/teams/hooli/identity-providers",
        "/teams/hooli/invoices",
        "/teams/hooli/licenses",
        "/teams/hooli/license-collections",
    ] {
        ensure!(lou.read(list)? == json!([]), "{list} is not empty");
    }
    for single in ["/spaces/x", "/account/credits/x", "/enterprise-accounts/x", "/addon-services/x"] {
        lou.asked("GET", single, &Value::Null, 404)?;
    }
    let nothing = json!({"scheduled_suspension_time": null, "scheduled_deletion_time": null});
    ensure!(lou.read("/account/delinquency")? == nothing && lou.read("/teams/hooli/delinquency")? == nothing, "debts");
    ensure!(lou.read("/users/~/sms-number")? == json!({"sms_number": null}), "a telephone");
    ensure!(lou.read("/apps/nucleus/usage")? == json!({"addons": []}), "usage of an app");
    ensure!(lou.read("/teams/hooli/apps/nucleus/usage")? == json!({"addons": []}), "usage of a team's app");
    ensure!(lou.read("/teams/hooli/usage")? == json!({"apps": []}), "usage of a team");
    lou.asked("DELETE", "/apps/nucleus", &Value::Null, 200)?;
    lou.asked("DELETE", "/teams/hooli", &Value::Null, 200)?;
    Ok(())
}

pub fn a_user_is_changed_keeps_preferences_and_goes(client: &Client) -> Result<(), Failure> {
    let max = client.somebody("max@example.com")?;
    ensure!(max.asked("PATCH", "/users/~", &json!({"name": "Max"}), 200)?["name"] == "Max", "the name");
    let before = max.read("/users/~/preferences")?;
    ensure!(before["timezone"].is_null(), "a preference nobody set: {before}");
    max.asked("PATCH", "/users/~/preferences", &json!({"timezone": "UTC", "dismissed-sms-banner": true}), 200)?;
    max.asked("PATCH", "/users/~/preferences", &json!({"timezone": null}), 200)?;
    let after = max.read("/users/~/preferences")?;
    ensure!(after["timezone"].is_null() && after["dismissed-sms-banner"] == true, "the preferences: {after}");
    max.asked("PATCH", "/users/~/preferences", &json!({"timezone": 7}), 422)?;
    max.asked("DELETE", "/users/~", &Value::Null, 200)?;
    max.asked("GET", "/users/~", &Value::Null, 401)?;
    Ok(())
}

pub fn a_team_invites_somebody_who_agrees(client: &Client) -> Result<(), Failure> {
    let (nan, oto) = (client.somebody("nan@example.com")?, client.somebody("oto@example.com")?);
    nan.asked("POST", "/teams", &json!({"name": "vandelay"}), 201)?;
    let invite = json!({"email": "oto@example.com", "role": "viewer"});
    let first = nan.asked("PUT", "/teams/vandelay/invitations", &invite, 200)?;
    let again = nan.asked("PUT", "/teams/vandelay/invitations", &invite, 200)?;
    oto.asked("GET", &format!("/teams/invitations/{}", text(&first, "token")?), &Value::Null, 404)?;
    let path = format!("/teams/invitations/{}", text(&again, "token")?);
    ensure!(oto.read(&path)?["team"]["name"] == "vandelay", "another team");
    nan.asked("POST", &format!("{path}/accept"), &Value::Null, 404)?;
    let listed = nan.read("/teams/vandelay/invitations")?;
    ensure!(listed[0]["user"]["email"] == "oto@example.com" && listed[0].get("token").is_none(), "listed: {listed}");
    let taken_back = format!("/teams/vandelay/invitations/{}", text(&listed[0], "id")?);
    nan.asked("DELETE", &taken_back, &Value::Null, 200)?;
    oto.asked("POST", &format!("{path}/accept"), &Value::Null, 404)?;
    let third = nan.asked("PUT", "/teams/vandelay/invitations", &invite, 200)?;
    let path = format!("/teams/invitations/{}/accept", text(&third, "token")?);
    oto.asked("GET", "/teams/vandelay", &Value::Null, 404)?;
    ensure!(oto.asked("POST", &path, &Value::Null, 201)?["role"] == "viewer", "as something else");
    ensure!(oto.read("/teams/vandelay")?["role"] == "viewer", "not in the team");
    oto.asked("POST", &path, &Value::Null, 404)?;
    nan.asked("PATCH", "/teams/vandelay/preferences", &json!({"addons-controls": false}), 200)?;
    ensure!(nan.read("/teams/vandelay/available-generations")?[0]["name"] == "cedar", "no generation");
    nan.asked("DELETE", "/teams/vandelay", &Value::Null, 200)?;
    Ok(())
}

pub fn many_apps_are_looked_at_at_once(client: &Client) -> Result<(), Failure> {
    let (pam, quin) = (client.somebody("pam@example.com")?, client.somebody("quin@example.com")?);
    pam.asked("POST", "/teams", &json!({"name": "dunder"}), 201)?;
    let ours = pam.asked("POST", "/teams/apps", &json!({"name": "paper", "team": "dunder"}), 201)?;
    let own = pam.asked("POST", "/apps", &json!({"name": "pams-own"}), 201)?;
    let theirs = quin.asked("POST", "/apps", &json!({"name": "quins-own"}), 201)?;
    let given = json!({"user": "quin@example.com", "permissions": ["operate"]});
    pam.asked("POST", "/teams/apps/paper/collaborators", &given, 201)?;
    let ids = [&ours, &own, &theirs].map(|app| app["id"].clone());
    let seen = |who: &Client| {
        let apps = who.asked("POST", "/filters/apps", &json!({"in": {"id": ids}}), 200)?;
        let names = apps.as_array().into_iter().flatten().filter_map(|app| app["name"].as_str().map(str::to_owned));
        Ok::<_, Failure>(names.collect::<std::collections::BTreeSet<_>>())
    };
    ensure!(seen(&pam)? == ["pams-own", "paper"].map(str::to_owned).into(), "pam sees {:?}", seen(&pam)?);
    ensure!(seen(&quin)? == ["quins-own", "paper"].map(str::to_owned).into(), "quin sees {:?}", seen(&quin)?);
    let who = pam.read("/teams/dunder/permissions")?;
    let let_in = named(&who[0]["users"], "email", "quin@example.com")?;
    ensure!(let_in["permissions"] == json!(["view", "operate"]), "quin may: {who}");
    for (who, app) in [(&pam, "paper"), (&pam, "pams-own"), (&quin, "quins-own")] {
        for list in ["stacks", "dyno-sizes"] {
            let all = who.read(&format!("/apps/{app}/available-{list}"))?;
            ensure!(all == who.read(&format!("/{list}"))?, "{list} of {app}: {all}");
        }
        who.asked("DELETE", &format!("/apps/{app}"), &Value::Null, 200)?;
    }
    pam.asked("DELETE", "/teams/dunder", &Value::Null, 200)?;
    Ok(())
}

pub fn a_client_gets_tokens_and_loses_one(client: &Client) -> Result<(), Failure> {
    let asked = json!({"name": "reader", "redirect_uri": "https://reader.example/back"});
    let made = client.asked("POST", "/oauth/clients", &asked, 201)?;
    let asked = json!({"scope": ["read"], "client": made["id"]});
    let granted = client.asked("POST", "/oauth/authorizations", &asked, 201)?;
    let secret = json!({"secret": made["secret"]});
    let grant = json!({"code": granted["grant"]["code"], "type": "authorization_code"});
    let tokens = client.asked("POST", "/oauth/tokens", &json!({"client": secret, "grant": grant}), 201)?;
    let with = |token: &Value| client.with_key(token["token"].as_str().unwrap_or_default());
    with(&tokens["access_token"])?.read("/apps")?;
    let path = format!("/oauth/tokens/{}", text(&tokens, "id")?);
    let gone = client.asked("DELETE", &path, &Value::Null, 200)?;
    ensure!(gone["access_token"]["token"] != tokens["access_token"]["token"], "the whole token is told again");
    with(&tokens["access_token"])?.asked("GET", "/apps", &Value::Null, 401)?;
    let refresh = json!({"client": secret, "refresh_token": {"token": tokens["refresh_token"]["token"]}});
    let next = client.asked("POST", "/oauth/tokens", &refresh, 201)?;
    with(&next["access_token"])?.read("/apps")?;
    client.asked("DELETE", &format!("/oauth/clients/{}", text(&made, "id")?), &Value::Null, 200)?;
    Ok(())
}

pub fn a_build_is_cancelled(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    let manifest = r#"{"name": "hello", "engines": {"node": "22.x"}, "scripts": {"build": "sleep 300"}}"#;
    repository.write("package.json", manifest)?;
    repository.commit("a build that takes its time")?;
    let mut push = client.command("git");
    push.current_dir(repository.folder()).args(["push", "heroku", "main"]);
    let push = push.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let builds = format!("/apps/{app}/builds");
    let pending = || {
        let all = client.read(&builds)?;
        Ok::<_, Failure>(all.as_array().into_iter().flatten().find(|build| build["status"] == "pending").cloned())
    };
    until("no build began", || Ok(pending()?.is_some()))?;
    let id = text(&pending()?.ok_or("the build has ended")?, "id")?.to_owned();
    let canceled = client.asked("DELETE", &format!("{builds}/{id}"), &Value::Null, 200)?;
    ensure!(canceled["status"] == "failed" && canceled["release"].is_null(), "cancelled: {canceled}");
    let told = push.wait_with_output()?;
    let words = String::from_utf8_lossy(&told.stderr);
    ensure!(!told.status.success() && words.contains("Canceled by user"), "git push said: {words}");
    client.asked("DELETE", &format!("{builds}/{id}"), &Value::Null, 422)?;
    ensure!(client.get(&app, "/")?.status == 200, "the old release does not serve");
    repository.git(&["revert", "--no-edit", "HEAD"])?.good()?;
    repository.push()?.good()?;
    Ok(())
}
