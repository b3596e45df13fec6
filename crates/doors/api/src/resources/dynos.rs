//! `/apps/{app}/dynos`.

use access::OnApp;
use access::action::{Restart, RunDyno, ViewApp};
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use dynos::{Which, Wish};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::apps::{App, ConfigVars};
use store::dynos::{Attached, Dyno};
use vocabulary::{DynoName, DynoState, ProcessType, ReleaseId, Secret};

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::apps::Identity;
use crate::resources::formation;

const SORTS: &[Sort<Dyno>] = &[("id", |dyno| Key::text(&dyno.id)), ("name", |dyno| Key::text(&dyno.name))];

/// The size of a terminal that does not tell its own: columns, rows.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// The numbers of an app's releases.
type Versions = BTreeMap<ReleaseId, i64>;

/// `GET /apps/{app}/dynos`
pub(crate) async fn list(own: Permitted<ViewApp>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let dynos = shown(&state, &own.app).await?;
    let versions = versions(&state, &own.app).await?;
    list::answer(&range, dynos, SORTS, |dyno| shape(dyno, &own.app, &versions))
}

/// `GET /apps/{app}/dynos/{dyno}`, by id or name.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Dyno>> {
    let dyno = find(&state, &own.app, &identity).await?;
    Ok(Json(shape(&dyno, &own.app, &versions(&state, &own.app).await?)))
}

/// The most bytes of names and values a one-off dyno is given, as many as config vars have.
const MOST_ENV: usize = 64 * 1024;

/// What `POST /apps/{app}/dynos` takes, and `POST /apps/{app}/dynos/{dyno}` of it what a program inside can have.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    command: String,
    attach: Option<bool>,
    env: Option<BTreeMap<String, Value>>,
    force_no_tty: Option<bool>,
    size: Option<Identity>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time_to_live: Option<u64>,
}

/// `POST /apps/{app}/dynos`: a one-off dyno.
pub(crate) async fn create(
    own: Permitted<RunDyno>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Dyno>)> {
    let given = body.env.unwrap_or_default();
    let wish = Wish {
        command: body.command,
        attached: body.attach.unwrap_or(false).then(|| attached(&given, body.force_no_tty)),
        env: env(given)?,
        size: body.size.as_ref().map(formation::size).transpose()?,
        process_type: body.kind.filter(|kind| !kind.is_empty()).map(|kind| process_type(&kind)).transpose()?,
        time_to_live: body.time_to_live,
    };
    let (dyno, secret) = state.dynos.run_one_off(&own.app, wish, &own.caller.account.email).await?;
    let mut shape = shape(&dyno, &own.app, &versions(&state, &own.app).await?);
    shape.attach_url = secret.map(|secret| attach_url(&base, &secret));
    Ok((StatusCode::CREATED, Json(shape)))
}

/// `POST /apps/{app}/dynos/{dyno}`: one more program in a dyno that runs.
pub(crate) async fn run_inside(
    own: Permitted<RunDyno>,
    State(state): State<Shared>,
    base: Base,
    Path((_, identity)): Path<(String, String)>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Dyno>)> {
    let dyno = find(&state, &own.app, &identity).await?;
    let given = body.env.unwrap_or_default();
    let attached = attached(&given, body.force_no_tty);
    let secret = state.dynos.run_inside(&own.app, &dyno, &body.command, &env(given)?, attached).await?;
    let mut shape = shape(&dyno, &own.app, &versions(&state, &own.app).await?);
    shape.attach_url = Some(attach_url(&base, &secret));
    Ok((StatusCode::CREATED, Json(shape)))
}

/// Where the secret is told: on the port the caller came by, which speaks TLS as well.
fn attach_url(base: &Base, secret: &Secret) -> String {
    let has_port = base.host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    let port = match base.scheme {
        _ if has_port => "",
        "https" => ":443",
        _ => ":80",
    };
    format!("rendezvous://{}{port}/{}", base.host, secret.reveal())
}

/// Clients send numbers as well as texts, and null for what they do not know. A width or height of 0 is not known
/// either.
fn env(given: BTreeMap<String, Value>) -> Result<ConfigVars> {
    let (mut env, mut bytes) = (ConfigVars::new(), 0);
    for (name, value) in given {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(Error::invalid(format!("{name} is no text."))),
        };
        if value.contains('\0') {
            return Err(Error::invalid(format!("{name} holds a zero byte.")));
        }
        if ["COLUMNS", "LINES"].contains(&name.as_str()) && value.parse() == Ok(0_u16) {
            continue;
        }
        bytes += name.len() + value.len();
        if bytes > MOST_ENV {
            return Err(Error::invalid(format!("env has more than {MOST_ENV} bytes.")));
        }
        let name = name.parse().map_err(|error| Error::invalid(format!("{error}.")))?;
        env.insert(name, Secret::new(value));
    }
    Ok(env)
}

/// A terminal for whoever has one: the official command tells its size if its output is a terminal, and only then;
/// 0 is a size it does not know. Everybody else gets plain pipes, which carry every byte as it is.
fn attached(env: &BTreeMap<String, Value>, force_no_tty: Option<bool>) -> Attached {
    let wants_terminal = env.contains_key("COLUMNS") && !force_no_tty.unwrap_or(false);
    let size = |name, usual| size_of(env.get(name)).unwrap_or(usual);
    Attached { terminal: wants_terminal.then(|| (size("COLUMNS", USUAL_SIZE.0), size("LINES", USUAL_SIZE.1))) }
}

/// A width or height as a number or a text.
fn size_of(value: Option<&Value>) -> Option<u16> {
    let text = value?.as_str().map_or_else(|| value.map(ToString::to_string), |text| Some(text.to_owned()));
    text?.parse().ok().filter(|size| *size > 0)
}

fn process_type(text: &str) -> Result<ProcessType> {
    let kind: ProcessType = text.parse().map_err(|error| Error::invalid(format!("{error}.")))?;
    if kind.is_release() {
        return Err(Error::invalid("A one-off dyno cannot be called release."));
    }
    Ok(kind)
}

/// `DELETE /apps/{app}/dynos`
pub(crate) async fn restart_all(
    own: Permitted<Restart>,
    State(state): State<Shared>,
) -> Result<(StatusCode, Json<Value>)> {
    restarted(&state, &own, &Which::All).await
}

/// `DELETE /apps/{app}/dynos/{dyno}`, and `POST …/actions/stop`: a stopped dyno of the formation is started anew, a
/// one-off dyno ends.
pub(crate) async fn restart(
    own: Permitted<Restart>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>)> {
    let name = find(&state, &own.app, &identity).await?.name;
    restarted(&state, &own, &Which::One(name)).await
}

/// `POST /apps/{app}/formations/{type}/actions/stop`
pub(crate) async fn stop_type(
    own: Permitted<Restart>,
    State(state): State<Shared>,
    Path((_, kind)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>)> {
    let kind: ProcessType = kind.parse().map_err(|_| Error::not_found("process type"))?;
    restarted(&state, &own, &Which::TypeAndOneOffs(kind)).await
}

/// `DELETE /apps/{app}/formations/{type}`
pub(crate) async fn restart_type(
    own: Permitted<Restart>,
    State(state): State<Shared>,
    Path((_, kind)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>)> {
    let kind: ProcessType = kind.parse().map_err(|_| Error::not_found("process type"))?;
    restarted(&state, &own, &Which::Type(kind)).await
}

async fn restarted(state: &ApiState, own: &OnApp, which: &Which) -> Result<(StatusCode, Json<Value>)> {
    state.dynos.restart(&own.app, which, &own.caller.account.email).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

async fn find(state: &ApiState, app: &App, identity: &str) -> Result<Dyno> {
    let found = shown(state, app).await?.into_iter();
    let mut found = found.filter(|dyno| dyno.name.to_string() == identity || dyno.id.to_string() == identity);
    found.next().ok_or_else(|| Error::not_found("dyno"))
}

/// The newest run of each dyno that is not being stopped: while one replaces another, both exist under one name.
async fn shown(state: &ApiState, app: &App) -> Result<Vec<Dyno>> {
    let oldest_first = store::dynos::list(&state.store, app.id).await?;
    let alive = oldest_first.into_iter().filter(|dyno| dyno.state != DynoState::Down);
    let newest: BTreeMap<DynoName, Dyno> = alive.map(|dyno| (dyno.name.clone(), dyno)).collect();
    Ok(newest.into_values().collect())
}

async fn versions(state: &ApiState, app: &App) -> Result<Versions> {
    let releases = store::releases::list(&state.store, app.id).await?;
    Ok(releases.into_iter().map(|release| (release.id, release.version.number())).collect())
}

fn shape(dyno: &Dyno, app: &App, versions: &Versions) -> schema::Dyno {
    shapes::dyno(dyno, app, versions.get(&dyno.release_id).copied().unwrap_or_default())
}
