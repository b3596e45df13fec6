//! Requests: an endpoint of the table, and what somebody with bad intentions makes of it.

use std::fmt;

use api::Endpoint;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{Map, Value, json};

use crate::SCHEMA;
use crate::bodies;
use crate::random::Random;
use crate::support::basic;
use crate::values;
use crate::world::World;

/// A request, and what is needed to say which one it was.
pub(crate) struct Attack {
    pub(crate) method: Method,
    /// Path and query as they are written.
    pub(crate) target: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Vec<u8>,
}

impl fmt::Display for Attack {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &[u8]| text.escape_ascii().to_string().chars().take(1500).collect::<String>();
        writeln!(to, "{} {}", self.method, short(self.target.as_bytes()))?;
        for (name, value) in &self.headers {
            writeln!(to, "{name}: {}", short(value.as_bytes()))?;
        }
        write!(to, "({} bytes) {}", self.body.len(), short(&self.body))
    }
}

impl Attack {
    /// Nothing if no client could write this down as HTTP.
    pub(crate) fn request(&self) -> Option<Request<Body>> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.target.as_str());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body.clone())).ok()
    }
}

/// One request for an endpoint. A part of them is good in every way, so that what is stored can be looked at; each of
/// the others is bad in one way or in several.
pub(crate) fn make(random: &mut Random, world: &World, endpoint: &Endpoint) -> Attack {
    let kind = random.below(10);
    let path = world.path(random, endpoint.path, if kind == 0 { 30 } else { 98 });
    let query = if kind == 1 || random.percent(3) { query(random) } else { String::new() };
    let fitting = body_of(random, world, endpoint, &path);
    let body = match (&fitting, kind) {
        (_, 2) => bodies::broken(random, bodies::written(&fitting.unwrap_or_default())),
        (Some(fitting), 3..=6) => bodies::written(&bodies::bent(random, fitting.clone())),
        (Some(fitting), _) => bodies::written(fitting),
        (None, 3) => bodies::written(&values::value(random)),
        (None, _) => vec![],
    };
    let headers = headers(random, world, kind == 7);
    Attack { method: method(random, endpoint), target: format!("{path}{query}"), headers, body }
}

fn method(random: &mut Random, endpoint: &Endpoint) -> Method {
    match random.below(40) {
        0 => Method::HEAD,
        1 => Method::OPTIONS,
        2 => Method::from_bytes(random.one(&["PUT", "TRACE", "PROPFIND", "get", "POST", "DELETE"]).as_bytes()).unwrap(),
        _ => endpoint.method.clone(),
    }
}

fn body_of(random: &mut Random, world: &World, endpoint: &Endpoint, path: &str) -> Option<Value> {
    let schemas = SCHEMA.bodies(endpoint.method.as_str(), path);
    if !schemas.is_empty() {
        let schema = &schemas[random.below(schemas.len())];
        return Some(bodies::fitting(random, world, schema, ""));
    }
    // Not Heroku's public API: any property there is may mean something.
    let properties = ["name", "app", "user", "email", "role", "description", "grant", "client", "refresh_token", "url"];
    let properties: Map<_, _> = properties.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    let schema = json!({"type": "object", "properties": properties});
    (endpoint.method != Method::GET).then(|| bodies::fitting(random, world, &schema, ""))
}

fn query(random: &mut Random) -> String {
    const QUERIES: &[&str] = &[
        "?",
        "?a",
        "?a=b&a=c",
        "?%",
        "?%00",
        "?%ff=%ff",
        "?a[]=1&a[b]=2",
        "?ids=",
        "?ids=a&ids=b",
        "?in=%F0",
        "?type=app",
        "?in=heroku/nodejs&limit=-1",
        "?limit=99999999999999999999",
        "?order=;drop",
        "?namespace=..%2f",
        "?srv=a%0d%0aX:1",
        "?client_id=x&scope=%00&state=%0d%0a",
        "?redirect_uri=javascript:alert(1)",
        "?next=//evil.example",
    ];
    if random.percent(30) {
        return format!("?{}={}", values::encoded(&values::text(random)).chars().take(6000).collect::<String>(), "x");
    }
    random.one(QUERIES).to_owned()
}

fn headers(random: &mut Random, world: &World, hostile: bool) -> Vec<(HeaderName, HeaderValue)> {
    let token = world.api.owner.token.reveal();
    let mut headers = vec![("host", "api.example:5080".to_owned()), ("authorization", format!("Bearer {token}"))];
    if random.percent(80) {
        headers.push(("accept", "application/vnd.heroku+json; version=3".to_owned()));
    }
    if random.percent(80) {
        headers.push(("content-type", "application/json".to_owned()));
    }
    if hostile {
        for _ in 0..=random.below(3) {
            let name = random.one(NAMES);
            if !random.percent(20) {
                headers.retain(|(known, _)| known != &name);
            }
            headers.push((name, header(random, world, name)));
        }
    }
    let header = |(name, text): (&str, String)| {
        let bytes: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_control()).take(32 * 1024).collect();
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(&bytes).unwrap())
    };
    headers.into_iter().map(header).collect()
}

const NAMES: &[&str] = &[
    "accept",
    "authorization",
    "content-type",
    "range",
    "if-none-match",
    "if-match",
    "if-range",
    "if-modified-since",
    "host",
    "x-forwarded-for",
    "x-forwarded-proto",
    "request-id",
    "heroku-two-factor-code",
    "origin",
    "cookie",
    "content-encoding",
    "accept-encoding",
    "expect",
    "content-length",
    "user-agent",
    "x-http-method-override",
];

fn header(random: &mut Random, world: &World, name: &str) -> String {
    let text = |random: &mut Random| values::text(random);
    let owner = &world.api.owner;
    match (name, random.below(4)) {
        (_, 0) => text(random),
        ("range", _) => random.one(RANGES).to_owned(),
        ("accept", _) => random
            .one(&["application/vnd.heroku+json; version=2", "*/*;q=2;;;", "a/b;version=", ";;,,", "text/html"])
            .to_owned(),
        ("content-type", _) => random
            .one(&[
                "text/plain",
                "multipart/form-data; boundary=a",
                "application/x-www-form-urlencoded",
                "application/xml",
            ])
            .to_owned(),
        ("authorization", _) => match random.below(6) {
            0 => basic("", owner.token.reveal()),
            1 => basic(owner.email, "wrong"),
            2 => format!("Bearer {}", text(random)),
            3 => "Basic ====".to_owned(),
            4 => format!("Bearer  {}", owner.token.reveal()),
            _ => random
                .one(&["Bearer", "Bearer ", "Basic", "Digest a=b", "Negotiate x", "Basic /w==", "bearer\u{a0}x"])
                .to_owned(),
        },
        ("if-none-match" | "if-match", _) => {
            random.one(&["*", "\"", "W/", "W/\"a\"", ",,,", "\"a\", *", "abc"]).to_owned()
        }
        ("host", _) => {
            random.one(&["", "a b", "evil.example/..", "[::1", "a:99999999", "%00", "localhost:5080@evil"]).to_owned()
        }
        ("content-length", _) => random.one(&["-1", "0", "99999999999999999999", "a"]).to_owned(),
        _ => random
            .one(&["", "0", "-1", "gzip, deflate, br", "https", "null", "100-continue", "127.0.0.1, ::1", "DELETE"])
            .to_owned(),
    }
}

const RANGES: &[&str] = &[
    "id ..",
    "id ]..",
    "id ]]]..",
    "id ..; max=1",
    "id ..; max=0",
    "id ..; max=-1",
    "id ..; max=99999999999999999999",
    "id ..; order=desc",
    "id ..; order=",
    "id ..;;;,,,",
    "version 1..2",
    "version a..b",
    "version ..; max=2, order=desc",
    "version 99999999999999999999..",
    "name ..\u{e9}",
    "updated_at 2012-01-01T12:00:00Z..",
    "updated_at x..",
    "updated_at 99999-01-01T00:00:00Z..",
    "updated_at 0000-00-00T00:00:00Z..",
    "bytes=0-0",
    "bytes=-1,0-,1-",
    "..",
    ". .",
    "id a..b..c",
    "id ..; max=1; max=2",
    "created_at ..",
    "started_at ..",
    "email ..",
    "type ..",
    "hostname ..",
];
