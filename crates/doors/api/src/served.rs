//! `GET /schema`: the hyper-schema of what is served here, and of nothing else.
//!
//! Which endpoints those are, the router's table says. What each takes and answers is taken from the published schema
//! where that has the endpoint, with the resources its description leads to; an endpoint of our own has its address
//! alone. So a client library made from this has no method that would answer 501.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::router::{Access, Endpoint, endpoints};

/// A reference of the published schema that leads nowhere as it stands, and where it is meant to lead.
const ASTRAY: (&str, &str) = ("#/definitions/dyno_size/", "#/definitions/dyno-size/");

static SERVED: LazyLock<String> = LazyLock::new(|| {
    let published = [schema::PUBLISHED_SDK, schema::PUBLISHED_V3].map(|text| text.replace(ASTRAY.0, ASTRAY.1));
    let published = published.map(|text| serde_json::from_str::<Value>(&text));
    let published: Vec<Value> = published.into_iter().flatten().collect();
    let ours: Vec<Endpoint> = endpoints().into_iter().filter(|endpoint| endpoint.access != Access::Page).collect();
    made(&ours, &published).to_string()
});

/// `GET /schema`
pub(crate) async fn schema() -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], SERVED.as_str()).into_response()
}

/// The schema of `endpoints`, described by those of `published`, of which an earlier one goes before a later.
fn made(endpoints: &[Endpoint], published: &[Value]) -> Value {
    let mut resources: Map<String, Value> = Map::new();
    for endpoint in endpoints {
        let (resource, link) = published
            .iter()
            .find_map(|schema| described(schema, endpoint))
            .unwrap_or_else(|| (first_word(endpoint.path), plain(endpoint)));
        let entry = resources.entry(resource.clone()).or_insert_with(|| bare(&resource, published));
        if let Some(links) = entry["links"].as_array_mut() {
            links.push(link);
        }
    }
    add_what_is_referred_to(&mut resources, published);
    let properties: Map<String, Value> =
        resources.keys().map(|name| (name.clone(), json!({"$ref": format!("#/definitions/{name}")}))).collect();
    json!({
        "$schema": "http://interagent.github.io/interagent-hyper-schema",
        "title": "Slipway Platform API",
        "description": "What this platform serves of the Platform API, version 3.",
        "type": ["object"],
        "links": [{"href": "/schema", "method": "GET", "rel": "self", "title": "Schema"}],
        "definitions": resources,
        "properties": properties,
    })
}

/// The resource and the link by which a published schema describes an endpoint.
fn described(schema: &Value, endpoint: &Endpoint) -> Option<(String, Value)> {
    let resources = schema["definitions"].as_object()?;
    let links = resources
        .iter()
        .flat_map(|(name, resource)| resource["links"].as_array().into_iter().flatten().map(move |link| (name, link)));
    let mut fitting = links.filter(|(_, link)| fits(link, endpoint));
    fitting.next().map(|(name, link)| (name.clone(), link.clone()))
}

/// Whether a published link is for an endpoint: parameters in the same places. `~`, the caller, is one of ours.
fn fits(link: &Value, endpoint: &Endpoint) -> bool {
    let method = link["method"].as_str().unwrap_or_default();
    let (own, theirs) = (endpoint.path.split('/'), link["href"].as_str().unwrap_or_default().split('/'));
    let parameter = |segment: &str| segment.starts_with('{');
    method.eq_ignore_ascii_case(endpoint.method.as_str())
        && own.clone().count() == theirs.clone().count()
        && own.zip(theirs).all(|(own, theirs)| own == theirs || parameter(own) && (parameter(theirs) || theirs == "~"))
}

/// A link that says no more than the address.
fn plain(endpoint: &Endpoint) -> Value {
    let (method, href) = (endpoint.method.as_str(), endpoint.path);
    json!({"title": format!("{method} {href}"), "method": method, "href": href, "rel": "self"})
}

/// `favorites` of `/favorites/{favorite}`.
fn first_word(path: &str) -> String {
    path.split('/').nth(1).unwrap_or_default().to_owned()
}

/// A resource as published, or one nothing was published of, without links.
fn bare(name: &str, published: &[Value]) -> Value {
    let known = published.iter().map(|schema| &schema["definitions"][name]).find(|known| known.is_object());
    let mut bare = known.cloned().unwrap_or_else(|| json!({"title": name, "type": ["object"]}));
    bare["links"] = json!([]);
    bare
}

/// Adds the resources that those there are refer to, and those that these do.
fn add_what_is_referred_to(resources: &mut Map<String, Value>, published: &[Value]) {
    loop {
        let mut wanted = BTreeSet::new();
        resources.values().for_each(|resource| referred(resource, &mut wanted));
        let missing: Vec<String> = wanted.into_iter().filter(|name| !resources.contains_key(name)).collect();
        if missing.is_empty() {
            return;
        }
        resources.extend(missing.into_iter().map(|name| (name.clone(), bare(&name, published))));
    }
}

/// The resources a part of the schema refers to: by `$ref`, and in the parameters of addresses.
fn referred(part: &Value, to: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => members.values().for_each(|member| referred(member, to)),
        Value::Array(items) => items.iter().for_each(|item| referred(item, to)),
        Value::String(text) => {
            let reference = text.strip_prefix("#/definitions/").and_then(|rest| rest.split('/').next());
            let parameters = text.split("%23%2Fdefinitions%2F").skip(1).filter_map(|rest| rest.split('%').next());
            to.extend(reference.into_iter().chain(parameters).map(str::to_owned));
        }
        _ => {}
    }
}
