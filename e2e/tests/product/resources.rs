//! Resources of the Platform API that the official command does not ask for, by plain requests; each answer is held
//! against the published schema on its way.

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
    for list in ["/stacks", "/regions", "/dyno-sizes"] {
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
