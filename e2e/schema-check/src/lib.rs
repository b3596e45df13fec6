//! Compatibility as a checked fact: is this answer what the published schema says of its endpoint?
//!
//! Knows the two published variants of the schema, `3.sdk` and `3`, and holds an answer against their union: every
//! property of either must be there, with a value one of the two allows. What is left out of the comparison: the
//! patterns and formats that only hold at heroku.com ([`clean`]), and the schemas' ban of other properties.
//!
//! ```
//! let schema = schema_check::Schema::published();
//! let limits = serde_json::json!({"remaining": 4500});
//! assert_eq!(schema.check("GET", "/account/rate-limits", 200, &limits), Ok(true));
//! assert!(schema.check("GET", "/account/rate-limits", 200, &serde_json::json!({})).is_err());
//! ```

mod bodies;
mod clean;
mod links;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::links::Link;

/// Both published variants as one.
#[derive(Debug)]
pub struct Schema {
    /// `{"sdk": …, "v3": …, "union": {resource: …}}`: every `$ref` of [`Link::target`] leads in here.
    root: Value,
    links: Vec<Link>,
    /// By the place of the link; compiling one takes a while.
    compiled: Mutex<HashMap<usize, Validator>>,
}

impl Schema {
    /// Reads the published files.
    ///
    /// # Panics
    ///
    /// If they are not what was published.
    #[must_use]
    pub fn published() -> Self {
        let sdk = clean::variant(schema::PUBLISHED_SDK, "sdk");
        let v3 = clean::variant(schema::PUBLISHED_V3, "v3");
        let links = links::all(&[("sdk", &sdk), ("v3", &v3)]);
        let union = clean::union(&sdk, &v3);
        Self { root: json!({"sdk": sdk, "v3": v3, "union": union}), links, compiled: Mutex::default() }
    }

    /// Whether the schema has this endpoint; `path` with real names in place of parameters.
    #[must_use]
    pub fn has(&self, method: &str, path: &str) -> bool {
        self.links.iter().any(|link| link.fits(method, path))
    }

    /// The endpoint a request is for, as [`Schema::endpoints`] names it.
    #[must_use]
    pub fn endpoint(&self, method: &str, path: &str) -> Option<&str> {
        self.links.iter().find(|link| link.fits(method, path)).map(|link| link.name.as_str())
    }

    /// Every endpoint: `GET /apps/{app}`.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| link.name.as_str())
    }

    /// What the body of a request looks like: JSON Schemas without references, one per variant that says so.
    #[must_use]
    pub fn bodies(&self, method: &str, path: &str) -> Vec<Value> {
        let links = self.links.iter().filter(|link| link.fits(method, path)).take(1);
        links.flat_map(|link| &link.bodies).map(|body| bodies::resolved(&self.root, body)).collect()
    }

    /// Holds an answer against the schema. `Ok(false)` if the schema has no such endpoint; an error lists what is wrong.
    pub fn check(&self, method: &str, path: &str, status: u16, body: &Value) -> Result<bool, String> {
        if status >= 400 {
            return error(body).map(|()| self.has(method, path));
        }
        let Some(place) = self.links.iter().position(|link| link.fits(method, path)) else { return Ok(false) };
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = match compiled.entry(place) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.compile(place)?),
        };
        let wrong: Vec<String> =
            validator.iter_errors(body).map(|error| format!("at {}: {error}", error.instance_path())).collect();
        if wrong.is_empty() { Ok(true) } else { Err(format!("{method} {path}: {}", wrong.join("; "))) }
    }

    fn compile(&self, place: usize) -> Result<Validator, String> {
        let mut root = self.root.clone();
        root["allOf"] = json!([self.links.get(place).map(|link| &link.target)]);
        let options = jsonschema::draft4::options().should_validate_formats(true);
        options.build(&root).map_err(|error| format!("the schema does not compile: {error}"))
    }
}

/// Every error has an id and a message.
fn error(body: &Value) -> Result<(), String> {
    let text = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
    if text("id") && text("message") { Ok(()) } else { Err(format!("an error without id and message: {body}")) }
}
