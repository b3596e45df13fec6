//! What requests look like, for whoever makes some up.

use serde_json::Value;

/// How far references are followed; a body of Heroku's needs five.
const DEEPEST: u8 = 12;

/// A schema whose references are replaced by what they lead to.
pub(crate) fn resolved(root: &Value, schema: &Value) -> Value {
    follow(root, schema, DEEPEST)
}

fn follow(root: &Value, schema: &Value, left: u8) -> Value {
    let Some(deeper) = left.checked_sub(1) else { return Value::Null };
    match schema {
        Value::Object(members) => match members.get("$ref").and_then(Value::as_str) {
            Some(place) => {
                let target = root.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null);
                follow(root, target, deeper)
            }
            None => members.iter().map(|(name, member)| (name.clone(), follow(root, member, left))).collect(),
        },
        Value::Array(items) => items.iter().map(|item| follow(root, item, left)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_body_stands_without_the_rest_of_the_schema() {
        let schema = crate::Schema::published();
        for (method, path, property) in [
            ("POST", "/apps", "/properties/name/pattern"),
            ("PATCH", "/apps/sushi/formation", "/properties/updates/items/properties/quantity/type"),
            ("POST", "/apps/sushi/builds", "/properties/source_blob/properties/url/type"),
        ] {
            let bodies = schema.bodies(method, path);
            assert!(!bodies.is_empty(), "{method} {path}");
            for body in &bodies {
                assert!(body.pointer(property).is_some(), "{method} {path}: {body}");
                assert!(!body.to_string().contains("$ref"), "{method} {path}: {body}");
            }
        }
        assert!(schema.bodies("GET", "/apps").is_empty());
    }
}
