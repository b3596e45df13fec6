//! The endpoints of the schema.

use serde_json::{Value, json};

/// An endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    method: String,
    /// Segments; nothing stands for a parameter.
    path: Vec<Option<String>>,
    /// Method and path with its parameters named: `GET /apps/{app}`.
    pub(crate) name: String,
    /// What its answer looks like.
    pub(crate) target: Value,
    /// What its request's body looks like, one per variant that says so.
    pub(crate) bodies: Vec<Value>,
}

impl Link {
    /// Whether a request is for this endpoint.
    pub(crate) fn fits(&self, method: &str, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let given = path.trim_matches('/').split('/');
        let same = |(own, given): (&Option<String>, &str)| own.as_deref().is_none_or(|own| own == given);
        self.method == method && given.clone().count() == self.path.len() && self.path.iter().zip(given).all(same)
    }
}

/// The endpoints of all variants. One that several have is there once, and any of their targets will do. Those with
/// fewer parameters come first, so that `/users/~/…` is found before `/users/{account}/…`.
pub(crate) fn all(variants: &[(&str, &Value)]) -> Vec<Link> {
    let mut all: Vec<Link> = vec![];
    for (variant, schema) in variants {
        for (name, resource) in schema["definitions"].as_object().into_iter().flatten() {
            for link in resource["links"].as_array().into_iter().flatten() {
                add(&mut all, read(variant, name, link));
            }
        }
    }
    all.sort_by_key(|link| link.path.iter().filter(|segment| segment.is_none()).count());
    all
}

fn add(all: &mut Vec<Link>, new: Link) {
    match all.iter_mut().find(|link| link.method == new.method && link.path == new.path) {
        Some(link) => {
            if link.target != new.target {
                link.target = json!({ "anyOf": [link.target, new.target] });
            }
            link.bodies.extend(new.bodies);
        }
        None => all.push(new),
    }
}

fn read(variant: &str, resource: &str, link: &Value) -> Link {
    let href = link["href"].as_str().unwrap_or_default();
    let segments = href.trim_matches('/').split('/');
    let path = segments.map(|segment| Some(segment.to_owned()).filter(|segment| !segment.starts_with('{')));
    let target = match &link["targetSchema"] {
        Value::Null => own_target(resource, link["rel"].as_str()),
        target => whole(variant, target.clone()),
    };
    let method = link["method"].as_str().unwrap_or_default().to_uppercase();
    let named: Vec<String> = href.split('/').map(named).collect();
    let bodies = link.get("schema").cloned().into_iter().collect();
    Link { name: format!("{method} {}", named.join("/")), method, path: path.collect(), target, bodies }
}

/// A segment of an address; `{(%23%2Fdefinitions%2Fapp%2Fdefinitions%2Fidentity)}` is `{app}`.
fn named(segment: &str) -> String {
    let parameter = segment.strip_prefix('{').and_then(|rest| rest.split("definitions%2F").nth(1));
    match parameter.and_then(|rest| rest.split(['%', ')']).next()) {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    }
}

/// What a link without a target answers follows from its relation.
fn own_target(resource: &str, relation: Option<&str>) -> Value {
    let one = json!({ "$ref": format!("#/union/{resource}") });
    match relation {
        Some("instances") => json!({ "type": "array", "items": one }),
        Some("empty") | None => json!({}),
        Some(_) => one,
    }
}

/// A target that is a whole resource is the union's resource.
fn whole(variant: &str, mut target: Value) -> Value {
    let prefix = format!("#/{variant}/definitions/");
    let resource = |place: &Value| {
        let name = place.as_str()?.strip_prefix(&prefix)?;
        (!name.contains('/')).then(|| Value::from(format!("#/union/{name}")))
    };
    if let Some(place) = resource(&target["$ref"]) {
        return json!({ "$ref": place });
    }
    if let Some(place) = target.get("items").and_then(|items| resource(&items["$ref"])) {
        target["items"] = json!({ "$ref": place });
    }
    target
}
