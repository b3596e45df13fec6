//! Bad input: a clear error, nothing lost, no 5xx.

use e2e::{Client, Failure, ensure, request};

pub fn clear_errors_and_nothing_lost(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("perl")?;
    api_calls(client, &app)?;
    nonsense_procfile(&repository)?;
    missing_buildpack(&repository)?;
    hostile_sources(client, &app)?;
    broken_pack(client, &app)?;
    let answer = client.get(&app, "/")?;
    ensure!(answer.status == 200, "the app was lost on the way: {}", answer.text());
    Ok(())
}

fn api_calls(client: &Client, app: &str) -> Result<(), Failure> {
    let large = format!("{{\"LARGE\":\"{}\"}}", "x".repeat(65 * 1024));
    let huge = format!("{{\"HUGE\":\"{}\"}}", "x".repeat(100 * 1024 * 1024));
    let config = format!("/apps/{app}/config-vars");
    let cases: [(&str, &str, &str, u16); 9] = [
        ("GET", "/apps/no-such-app", "", 404),
        ("GET", "/no/such/path", "", 404),
        ("POST", "/apps", "{ no json", 400),
        ("POST", "/apps", r#"{"name":"UPPER"}"#, 422),
        ("PATCH", &config, r#"{"1BAD":"x"}"#, 422),
        ("PATCH", &config, &large, 422),
        ("PATCH", &config, &huge, 413),
        ("PATCH", &format!("/apps/{app}/formation"), r#"{"updates":[{"type":"web","quantity":-5}]}"#, 422),
        ("POST", &format!("/apps/{app}/builds"), r#"{"source_blob":{"url":"http://169.254.169.254/"}}"#, 422),
    ];
    for (method, path, body, status) in cases {
        let answer = client.api(method, path, body)?;
        ensure!(answer.status == status, "{method} {path}: {} {}", answer.status, answer.text());
        let error: serde_json::Value = serde_json::from_slice(&answer.body)?;
        ensure!(error["id"].is_string() && error["message"].is_string(), "{method} {path}: {error}");
    }
    let headers = [("Authorization", "Bearer wrong"), ("Accept", "application/vnd.heroku+json; version=3")];
    let stranger = request(client.address(), "GET", "localhost", "/account", &headers, &[])?;
    ensure!(stranger.status == 401, "a wrong token: {}", stranger.status);
    Ok(())
}

fn nonsense_procfile(repository: &e2e::Repository) -> Result<(), Failure> {
    repository.write("Procfile", "this is no Procfile\n")?;
    repository.commit("nonsense")?;
    let refused = repository.push()?.bad()?;
    ensure!(refused.stderr.contains("ine 1 of the Procfile"), "{}", refused.stderr);
    repository.write("Procfile", "web: perl server.pl\n")?;
    repository.commit("sense")
}

fn missing_buildpack(repository: &e2e::Repository) -> Result<(), Failure> {
    repository.heroku(&["buildpacks:set", "https://127.0.0.1:1/nothing.tgz"])?.good()?;
    let refused = repository.push()?.bad()?;
    ensure!(refused.stderr.contains("nothing.tgz"), "{}", refused.stderr);
    repository.heroku(&["buildpacks:clear"])?.good()?;
    Ok(())
}

/// Source tars that would leave the build folder, sent the way `POST /sources` offers.
fn hostile_sources(client: &Client, app: &str) -> Result<(), Failure> {
    for (name, tar) in
        [("../escape", tar("../escape")), ("/etc/escape", tar("/etc/escape")), ("nonsense", b"no tar".repeat(200))]
    {
        let made = client.api("POST", "/sources", "")?;
        let source: serde_json::Value = serde_json::from_slice(&made.body)?;
        let put = source["source_blob"]["put_url"].as_str().ok_or("no put_url")?;
        let get = source["source_blob"]["get_url"].as_str().ok_or("no get_url")?;
        let path = put.splitn(4, '/').nth(3).ok_or("no path")?;
        let sent = request(client.address(), "PUT", "localhost", &format!("/{path}"), &[], &tar)?;
        ensure!(sent.status == 200, "{name}: PUT answered {} {}", sent.status, sent.text());
        let body = serde_json::json!({ "source_blob": { "url": get } }).to_string();
        let build: serde_json::Value =
            serde_json::from_slice(&client.api("POST", &format!("/apps/{app}/builds"), &body)?.body)?;
        let id = build["id"].as_str().ok_or_else(|| format!("{name}: no build: {build}"))?.to_owned();
        super::commands::until("the build has ended", || {
            let build: serde_json::Value =
                serde_json::from_slice(&client.api("GET", &format!("/apps/{app}/builds/{id}"), "")?.body)?;
            ensure!(build["status"] != "succeeded", "{name} was built");
            Ok(build["status"] == "failed")
        })?;
    }
    Ok(())
}

/// One header block with a name as it is, and no content.
fn tar(name: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    for (at, text) in
        [(100, "0000644\0"), (108, "0001750\0"), (116, "0001750\0"), (124, "00000000000\0"), (136, "00000000000\0")]
    {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    [header.as_slice(), &[0; 1024]].concat()
}

fn broken_pack(client: &Client, app: &str) -> Result<(), Failure> {
    let key = client.export("HEROKU_API_KEY")?;
    let basic = format!("Basic {}", base64(format!("x:{key}").as_bytes()));
    let kind = "application/x-git-receive-pack-request";
    for body in [b"0000".to_vec(), b"no pkt-line at all".to_vec(), b"00a80000 PACK".repeat(100)] {
        let headers = [("Authorization", basic.as_str()), ("Content-Type", kind)];
        let answer =
            request(client.address(), "POST", "localhost", &format!("/{app}.git/git-receive-pack"), &headers, &body)?;
        ensure!(answer.status < 500, "a broken pack: {} {}", answer.status, answer.text());
    }
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
