//! Webhooks, by the official command and a receiver outside that fails the first times.

use data_encoding::BASE64;
use e2e::{Client, Failure, ensure, until};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

pub fn what_happens_is_told(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    let outside = client.platform.outside();
    let url = outside.hook("flaky", 2);
    let added = repository.heroku(&[
        "webhooks:add",
        "-i",
        "api:release,api:app",
        "-l",
        "sync",
        "-u",
        &url,
        "-s",
        "one secret",
        "-t",
        "Bearer canary",
    ]);
    ensure!(added?.good()?.stdout.contains("one secret"), "webhooks:add does not tell the secret");
    let listed = repository.heroku(&["webhooks"])?.good()?;
    ensure!(listed.stdout.contains("sync") && listed.stdout.contains("api:release"), "webhooks: {}", listed.both());
    let id = only(&client.api("GET", &format!("/apps/{app}/webhooks"), "")?.text())?;
    let info = repository.heroku(&["webhooks:info", &id])?.good()?;
    ensure!(info.stdout.contains(&url), "webhooks:info: {}", info.both());

    repository.heroku(&["config:set", "COLOUR=blue"])?.good()?;
    let of_release = |one: &&Value| body(one)["resource"] == "release";
    until("the release is told a third time", || Ok(outside.told("flaky")?.iter().filter(of_release).count() >= 1))?;
    delivered(client, &app)?;
    let told = outside.told("flaky")?;
    ensure!(told.len() >= 3, "the receiver that fails twice was told {} times", told.len());
    for one in &told {
        signed(one, "one secret")?;
        ensure!(one["headers"]["authorization"] == "Bearer canary", "no authorization: {one}");
    }
    let release = told.iter().find(of_release).map(body).unwrap_or_default();
    ensure!(release["action"] == "create" && release["data"]["description"] == "Set COLOUR config vars", "{release}");
    ensure!(release["data"]["app"]["name"] == app.as_str() && release["actor"]["email"].is_string(), "{release}");
    listed_to_the_user(client, &repository, &app)?;

    let other = outside.hook("plain", 0);
    repository
        .heroku(&["webhooks:update", &id, "-i", "api:app", "-l", "notify", "-s", "other secret", "-u", &other])?
        .good()?;
    repository.heroku(&["maintenance:on"])?.good()?;
    until("maintenance is told", || {
        Ok(outside.told("plain")?.iter().any(|one| body(one)["data"]["maintenance"] == true))
    })?;
    for one in outside.told("plain")? {
        signed(&one, "other secret")?;
    }
    client.heroku(&["apps:destroy", "--app", &app, "--confirm", &app])?.good()?;
    until("the end is told", || Ok(outside.told("plain")?.iter().any(|one| body(one)["action"] == "destroy")))
}

pub fn nothing_near_is_told(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    let app = repository.create()?;
    let outside = client.platform.outside();
    let add = |url: &str| repository.heroku(&["webhooks:add", "-i", "api:app", "-l", "notify", "-u", url]);
    let port = client.address().port();
    let mut near = vec![
        format!("https://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        "https://localhost/".to_owned(),
    ];
    for address in outside.forbidden() {
        let address = address.replace(' ', ":");
        near.extend([format!("http://{address}/hooks/canary"), format!("https://{address}/hooks/canary")]);
    }
    for url in near.iter().map(String::as_str).chain(["ftp://example.com/", "https://u:p@example.com/", "example.com"])
    {
        let refused = add(url)?.bad()?;
        ensure!(refused.both().contains("url:"), "{url}: {}", refused.both());
    }
    // Nor by a detour.
    let [private, _] = outside.forbidden();
    let detour = format!("{}?to=http://{}/hooks/canary", outside.hook("detour", 0), private.replace(' ', ":"));
    add(&detour)?.good()?;
    let id = only(&client.api("GET", &format!("/apps/{app}/webhooks"), "")?.text())?;
    repository.heroku(&["maintenance:on"])?.good()?;
    until("the one that leads away is told", || Ok(outside.told("detour")?.len() == 1))?;
    let failed = || repository.heroku(&["webhooks:deliveries", "--status", "failed"])?.good();
    until("the delivery failed", || Ok(failed()?.stdout.contains("307")))?;
    ensure!(outside.told("canary")?.is_empty(), "a private host was told: {:?}", outside.told("canary")?);
    repository.heroku(&["webhooks:remove", &id])?.good()?;
    let listed = repository.heroku(&["webhooks"])?.good()?;
    ensure!(listed.stdout.contains("no webhooks"), "webhooks after the removal: {}", listed.both());
    Ok(())
}

/// Deliveries and events as the official command shows them.
fn listed_to_the_user(client: &Client, repository: &e2e::Repository, app: &str) -> Result<(), Failure> {
    let deliveries = repository.heroku(&["webhooks:deliveries"])?.good()?;
    ensure!(deliveries.stdout.contains("succeeded"), "webhooks:deliveries: {}", deliveries.both());
    let shown = client.api("GET", &format!("/apps/{app}/webhook-deliveries"), "")?.text();
    let first = first(&shown)?;
    let (id, event) = (text(&first["id"])?, text(&first["event"]["id"])?);
    // The two failures may have met one delivery or two: those of different things do not wait for each other.
    let all: Vec<Value> = serde_json::from_str(&shown)?;
    let attempts: u64 = all.iter().filter_map(|one| one["num_attempts"].as_u64()).sum();
    ensure!(attempts == all.len() as u64 + 2, "not two attempts more than deliveries: {shown}");
    let info = repository.heroku(&["webhooks:deliveries:info", &id])?.good()?;
    ensure!(info.stdout.contains(&event) && info.stdout.contains("Event Payload"), "{}", info.both());
    let events = repository.heroku(&["webhooks:events"])?.good()?;
    ensure!(events.stdout.contains(&event), "webhooks:events: {}", events.both());
    let info = repository.heroku(&["webhooks:events:info", &event])?.good()?;
    ensure!(info.stdout.contains("previous_data"), "webhooks:events:info: {}", info.both());
    Ok(())
}

/// Waits until nothing is left to be delivered.
fn delivered(client: &Client, app: &str) -> Result<(), Failure> {
    until("all is delivered", || {
        let all: Value =
            serde_json::from_str(&client.api("GET", &format!("/apps/{app}/webhook-deliveries"), "")?.text())?;
        Ok(all.as_array().is_some_and(|all| all.iter().all(|one| one["status"] == "succeeded")))
    })
}

fn signed(told: &Value, secret: &str) -> Result<(), Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(told["body"].as_str().unwrap_or_default().as_bytes());
    let signature = BASE64.encode(&mac.finalize().into_bytes());
    ensure!(told["headers"]["heroku-webhook-hmac-sha256"] == signature.as_str(), "not signed: {told}");
    Ok(())
}

fn body(told: &Value) -> Value {
    serde_json::from_str(told["body"].as_str().unwrap_or_default()).unwrap_or_default()
}

fn first(list: &str) -> Result<Value, Failure> {
    let list: Value = serde_json::from_str(list)?;
    Ok(list.get(0).ok_or("an empty list")?.clone())
}

/// The id of a list's only entry.
fn only(list: &str) -> Result<String, Failure> {
    let all: Value = serde_json::from_str(list)?;
    ensure!(all.as_array().is_some_and(|all| all.len() == 1), "not one: {all}");
    text(&first(list)?["id"])
}

fn text(value: &Value) -> Result<String, Failure> {
    Ok(value.as_str().ok_or("no text")?.to_owned())
}
