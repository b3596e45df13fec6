//! The built-in buildpack for sites of plain files. It checks `static.json` at build time, so that a mistake in it fails
//! the push and not the dyno; the server (`crates/inside/static`) reads the same file at its start.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::builtin::Site;
use crate::error::BuildError;

/// The default command.
pub(crate) const WEB: &str = "/app/.heroku/static/bin/static";

/// The keys the server knows.
const KEYS: [&str; 5] = ["root", "clean_urls", "error_page", "routes", "https_only"];
/// Keys of the deprecated community buildpack that ask for something this server does not do.
const UNSUPPORTED: [&str; 7] =
    ["proxies", "redirects", "headers", "canonical_host", "basic_auth", "basic_auth_file", "logging"];

/// Whether it is a site: `static.json`, or an `index.html` at the root.
pub(crate) fn detect(folder: &Path) -> bool {
    folder.join("static.json").is_file() || folder.join("index.html").is_file()
}

/// Checks the configuration; the files are the slug as they are.
pub(crate) fn compile(site: Site<'_>) -> Result<(), BuildError> {
    let config = read(&site.build.join("static.json"))?;
    let root = check(&config, site.build).map_err(|what| invalid(&what))?;
    site.out.section("Checking static.json");
    site.out.text(&format!("Serving the files of {root} with the built-in file server"));
    Ok(())
}

fn read(path: &Path) -> Result<Value, BuildError> {
    match fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| invalid(&format!("It is not valid JSON: {error}.")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Value::Object(serde_json::Map::new())),
        Err(error) => Err(BuildError::io("reading static.json")(error)),
    }
}

/// The root folder as it is shown, or what is wrong, in a sentence.
fn check(config: &Value, folder: &Path) -> Result<String, String> {
    let Value::Object(keys) = config else {
        return Err("It must be a JSON object, such as {\"root\": \"public/\"}.".into());
    };
    for (key, value) in keys {
        check_key(key, value)?;
    }
    // The community buildpack's default is public_html; a lone index.html at the root is served from there.
    let default = if folder.join("index.html").is_file() { "." } else { "public_html" };
    let root = keys.get("root").and_then(Value::as_str).unwrap_or(default);
    let parts = Path::new(root).components();
    if parts.into_iter().any(|part| matches!(part, std::path::Component::ParentDir | std::path::Component::RootDir)) {
        return Err(format!("Its root {root:?} leads outside the app; it must be a folder of the app."));
    }
    if !folder.join(root).is_dir() {
        return Err(format!(
            "Its root {root:?} is not a folder of the app. Is it committed, or made by an earlier buildpack?"
        ));
    }
    Ok(if root == "." { "/".to_owned() } else { root.to_owned() })
}

fn check_key(key: &str, value: &Value) -> Result<(), String> {
    let fits = match key {
        "root" | "error_page" => value.is_string(),
        "clean_urls" | "https_only" => value.is_boolean(),
        "routes" => value.as_object().is_some_and(|routes| routes.values().all(Value::is_string)),
        _ if UNSUPPORTED.contains(&key) => {
            return Err(format!("Its key {key:?} is not supported by the built-in file server."));
        }
        _ => return Err(format!("Its key {key:?} is unknown; known are {}.", KEYS.join(", "))),
    };
    let form = match key {
        "root" | "error_page" => "text",
        "routes" => "an object of patterns and files, such as {\"/**\": \"index.html\"}",
        _ => "true or false",
    };
    if key == "https_only" && value == &Value::Bool(true) {
        return Err("Its key \"https_only\" is not supported by the built-in file server.".to_owned());
    }
    if fits { Ok(()) } else { Err(format!("Its key {key:?} must be {form}.")) }
}

fn invalid(what: &str) -> BuildError {
    BuildError::App {
        message: format!("static.json cannot be used: {what}"),
        explanation: format!("static.json cannot be used.\n\n{what}\n\nCorrect it, commit it and push again."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("public")).unwrap();
        fs::create_dir(folder.path().join("public_html")).unwrap();
        check(&serde_json::from_str(json).unwrap(), folder.path())
    }

    #[test]
    fn one_case_per_key() {
        assert_eq!(checked("{}"), Ok("public_html".to_owned()));
        let whole =
            r#"{"root": "public", "clean_urls": true, "error_page": "404.html", "routes": {"/**": "index.html"}}"#;
        assert_eq!(checked(whole), Ok("public".to_owned()));
        for wrong in [
            "[]",
            r#"{"root": "../x"}"#,
            r#"{"root": "/etc"}"#,
            r#"{"root": "missing"}"#,
            r#"{"root": 1}"#,
            r#"{"clean_urls": "yes"}"#,
            r#"{"routes": {"/**": 1}}"#,
            r#"{"https_only": true}"#,
            r#"{"proxies": {}}"#,
            r#"{"rot": "public"}"#,
        ] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
