//! The published files, made ready for a validator of JSON Schema draft 4.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Reads a variant; its references are made to lead to the member `name` of the root.
///
/// Taken out: ids of resources, which are base addresses to a validator and would lead references astray; patterns
/// with a host of Heroku; the format `uri` of host names, which are none. Put in: the role `viewer`, which members of a
/// team are given (`team-member.team_role`) and the list of roles lacks that they are shown with.
pub(crate) fn variant(text: &str, name: &str) -> Value {
    let text = text.replace("\"#/definitions/", &format!("\"#/{name}/definitions/"));
    let mut schema = serde_json::from_str(&text).unwrap_or_default();
    tidy(&mut schema);
    json!({ "definitions": schema["definitions"] })
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let foreign = |member: Option<&Value>| member.and_then(Value::as_str).is_some_and(|p| p.contains("heroku"));
            if foreign(members.get("pattern")) {
                members.remove("pattern");
            }
            if members.get("id").is_some_and(Value::is_string) {
                members.remove("id");
            }
            if members.get("format").and_then(Value::as_str) == Some("uri") {
                members.remove("format");
            }
            if let Some(Value::Array(allowed)) = members.get_mut("enum")
                && allowed.contains(&json!("collaborator"))
            {
                allowed.push(json!("viewer"));
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Each resource with the properties of both variants, all required: a value that may be null is there as null.
pub(crate) fn union(sdk: &Value, v3: &Value) -> Value {
    let resources = names(&sdk["definitions"]).into_iter().chain(names(&v3["definitions"]));
    let all: BTreeSet<&String> = resources.collect();
    let merged = all.into_iter().map(|name| (name.clone(), resource(name, sdk, v3)));
    Value::Object(merged.collect::<Map<_, _>>())
}

fn resource(name: &str, sdk: &Value, v3: &Value) -> Value {
    let variants = [("sdk", &sdk["definitions"][name]["properties"]), ("v3", &v3["definitions"][name]["properties"])];
    let all: BTreeSet<&String> = variants.iter().flat_map(|(_, properties)| names(properties)).collect();
    let property = |property: &str| {
        let having = variants.iter().filter(|(_, properties)| properties.get(property).is_some());
        let places = having.map(|(variant, _)| format!("#/{variant}/definitions/{name}/properties/{property}"));
        json!({ "anyOf": places.map(|place| json!({ "$ref": place })).collect::<Vec<_>>() })
    };
    let properties: Map<_, _> = all.iter().map(|name| ((*name).clone(), property(name))).collect();
    let required: Vec<&&String> = all.iter().collect();
    if required.is_empty() {
        json!({})
    } else {
        json!({ "type": "object", "properties": properties, "required": required })
    }
}

fn names(object: &Value) -> Vec<&String> {
    object.as_object().into_iter().flat_map(Map::keys).collect()
}
