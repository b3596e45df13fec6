//! The schema that is served against the router's table.

#![allow(clippy::unwrap_used, reason = "a test without its fixture must stop")]

mod support;

use std::collections::BTreeSet;

use api::Access;
use serde_json::Value;
use support::Api;

/// `GET /apps/*`: a method and a path without the names of parameters.
fn shape(method: &str, path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with(['{', '~']) { "*" } else { segment });
    format!("{} {}", method.to_uppercase(), segments.collect::<Vec<_>>().join("/"))
}

fn strings<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(name).and_then(Value::as_str));
            members.values().for_each(|member| strings(member, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, name, found)),
        _ => {}
    }
}

async fn served() -> Value {
    let answer = Api::start().await.get("/schema").await;
    assert_eq!(answer.header("content-type"), Some("application/schema+json"));
    answer.json
}

#[tokio::test]
async fn the_schema_names_every_endpoint_and_no_other() {
    let schema = served().await;
    let resources = schema["definitions"].as_object().unwrap().values();
    let links = resources.flat_map(|resource| resource["links"].as_array().unwrap());
    let text = |link: &Value, field: &str| link[field].as_str().unwrap().to_owned();
    let named: Vec<String> = links.map(|link| shape(&text(link, "method"), &text(link, "href"))).collect();
    let table: BTreeSet<String> = api::endpoints()
        .into_iter()
        .filter(|endpoint| endpoint.access != Access::Page)
        .map(|endpoint| shape(endpoint.method.as_str(), endpoint.path))
        .collect();
    assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), table);
    assert_eq!(named.len(), table.len(), "an endpoint is there twice");
}

#[tokio::test]
async fn every_reference_of_the_schema_leads_somewhere() {
    let schema = served().await;
    let mut references = vec![];
    strings(&schema, "$ref", &mut references);
    let mut addresses = vec![];
    strings(&schema, "href", &mut addresses);
    let parameters =
        addresses.iter().flat_map(|href| href.split("{(").skip(1)).filter_map(|rest| rest.split(")}").next());
    let parameters: Vec<String> = parameters.map(|encoded| encoded.replace("%23", "#").replace("%2F", "/")).collect();
    assert!(references.len() > 500 && parameters.len() > 50, "{} {}", references.len(), parameters.len());
    for reference in references.iter().copied().chain(parameters.iter().map(String::as_str)) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(schema.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
