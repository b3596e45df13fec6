//! Bodies: first one as the published schema wants it, then bent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::values::{self, RAW};
use crate::world::World;

/// A body of this schema; what the world has is named in it where the property's name tells what it is.
pub(crate) fn fitting(random: &mut Random, world: &World, schema: &Value, name: &str) -> Value {
    if let Some(known) = known(random, world, name).filter(|_| random.percent(85)) {
        return known;
    }
    if let Some(choices) = ["anyOf", "oneOf"].iter().find_map(|of| schema[of].as_array()) {
        let choice = &choices[random.below(choices.len())];
        return fitting(random, world, choice, name);
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return allowed[random.below(allowed.len())].clone();
    }
    match kind(random, schema) {
        "object" => object(random, world, schema),
        "array" => (0..random.below(3)).map(|_| fitting(random, world, &schema["items"], name)).collect(),
        "integer" | "number" => json!(random.below(4)),
        "boolean" => json!(random.percent(50)),
        "null" => Value::Null,
        _ => schema.get("example").filter(|example| example.is_string()).cloned().unwrap_or_else(|| json!("sushi")),
    }
}

fn kind<'a>(random: &mut Random, schema: &'a Value) -> &'a str {
    match &schema["type"] {
        Value::Array(kinds) => kinds[random.below(kinds.len())].as_str().unwrap_or_default(),
        kind => kind.as_str().unwrap_or_default(),
    }
}

fn object(random: &mut Random, world: &World, schema: &Value) -> Value {
    let mut made = Map::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if required.contains(&json!(name)) || random.percent(70) {
            made.insert(name.clone(), fitting(random, world, property, name));
        }
    }
    if let Some(patterns) = schema["patternProperties"].as_object() {
        for _ in 0..random.below(4) {
            let property = patterns.values().next().unwrap_or(&Value::Null);
            made.insert(format!("VAR_{}", random.below(20)), fitting(random, world, property, ""));
        }
    }
    Value::Object(made)
}

/// What a property of this name holds in a good request.
fn known(random: &mut Random, world: &World, name: &str) -> Option<Value> {
    let number = random.below(1_000_000);
    Some(match name {
        "app" => json!(world.app),
        "name" => json!(format!("name-{number}")),
        "user" | "recipient" | "email" => json!(world.other),
        "owner" => json!(world.team),
        "team" | "organization" => json!("acme"),
        "region" => json!("us"),
        "stack" | "build_stack" => json!("heroku-24"),
        "hostname" => json!(format!("www-{number}.example.com")),
        "sni_endpoint" => Value::Null,
        "size" | "dyno_size" => json!("basic"),
        "type" => json!(random.one(&["web", "worker", "run"])),
        "command" => json!("true"),
        "quantity" => json!(random.below(3)),
        "release" => json!(random.below(4).to_string()),
        "slug" => json!(world.slug),
        "redirect_uri" => json!("https://example.com/back"),
        "public_key" => json!(public_key(random)),
        "scope" => json!([random.one(&["global", "read", "identity"])]),
        "client" => json!(world.client),
        "role" => json!(random.one(&["admin", "member", "viewer"])),
        "permissions" => json!([random.one(&["view", "deploy", "operate", "manage"])]),
        "state" => json!(random.one(&["accepted", "declined"])),
        "expires_in" => json!(random.below(100_000)),
        "buildpack" => json!("heroku/nodejs"),
        "url" => json!("https://192.0.2.1/source.tgz"),
        _ => return None,
    })
}

fn public_key(random: &mut Random) -> String {
    let key: Vec<u8> = (0..4).flat_map(|_| random.next().to_be_bytes()).collect();
    let part = |bytes: &[u8]| [u32::try_from(bytes.len()).unwrap().to_be_bytes().as_slice(), bytes].concat();
    format!("ssh-ed25519 {} me@here", STANDARD.encode([part(b"ssh-ed25519"), part(&key)].concat()))
}

/// Bends a body in a few places.
pub(crate) fn bent(random: &mut Random, mut body: Value) -> Value {
    for _ in 0..=random.below(3) {
        bend(random, &mut body, 0);
    }
    body
}

fn bend(random: &mut Random, value: &mut Value, depth: usize) {
    if depth > 0 && random.percent(40) {
        *value = values::value(random);
        return;
    }
    match value {
        Value::Object(members) if !members.is_empty() && random.percent(75) => {
            let place = random.below(members.len());
            members.values_mut().nth(place).into_iter().for_each(|member| bend(random, member, depth + 1));
        }
        Value::Object(members) => match random.below(3) {
            0 => drop(members.insert(values::text(random), values::value(random))),
            1 => members.clear(),
            _ => drop(members.insert("unknown".to_owned(), values::value(random))),
        },
        Value::Array(items) if !items.is_empty() && random.percent(75) => {
            let place = random.below(items.len());
            bend(random, &mut items[place], depth + 1);
        }
        Value::Array(items) => {
            let item = items.first().cloned().unwrap_or_else(|| values::value(random));
            let most = if random.percent(5) { 100_000 } else { 300 };
            // Somewhat more than the API takes, and not more than a test's memory does.
            let fits = 2_000_000 / item.to_string().len();
            items.extend(std::iter::repeat_n(item, random.below(most).min(fits)));
        }
        other => *other = values::value(random),
    }
}

/// A body as bytes: numbers no type holds are written as they are.
pub(crate) fn written(body: &Value) -> Vec<u8> {
    let (text, mark) = (body.to_string(), format!("\"{RAW}"));
    let mut parts = text.split(&mark);
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (raw, rest) = part.split_once('"').unwrap_or((part, ""));
        written.push_str(raw);
        written.push_str(rest);
    }
    written.into_bytes()
}

/// What is no JSON, or JSON that parsers disagree about.
pub(crate) fn broken(random: &mut Random, mut body: Vec<u8>) -> Vec<u8> {
    let place = random.below(body.len() + 1);
    match random.below(12) {
        0 => body.truncate(place),
        1 => body.insert(place, 0),
        2 => body.insert(place, 0xff),
        3 => body.extend(b"}{"),
        4 => body = [b"\xef\xbb\xbf".as_slice(), &body].concat(),
        5 => body = twice(&body),
        6 => body = "[".repeat(random.below(300_000)).into_bytes(),
        7 => body = format!("{}1{}", "{\"name\":".repeat(5000), "}".repeat(5000)).into_bytes(),
        8 => body = b"{\"name\": \"\\ud800\"}".to_vec(),
        9 => body = b"NaN".to_vec(),
        10 => body = vec![b'9'; random.below(400_000)],
        _ => body = (0..random.below(2000)).map(|_| random.next().to_le_bytes()[0]).collect(),
    }
    body
}

/// Every member is there twice; which one counts?
fn twice(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|members| !members.is_empty()) {
        Some(members) => format!("{{{members},{members}}}").into_bytes(),
        None => body.to_vec(),
    }
}
