//! `/apps/{app}/log-sessions`.

use access::action::ViewLogs;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use loglines::Source;
use schema::LogSession;
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::Timestamp;

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::Shared;
use crate::streams::log::{self, Wanted};

/// Lines of a session that names no number (Platform API Reference, "Log Session").
const USUAL_LINES: usize = 100;
/// The most there are (Heroku Dev Center, "Logging").
const MOST_LINES: usize = 1500;

/// What `POST /apps/{app}/log-sessions` takes. The two schemas call the dyno `dyno` and `dyno_name`.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    #[serde(alias = "dyno_name")]
    dyno: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    lines: Option<usize>,
    source: Option<String>,
    tail: Option<bool>,
}

/// `POST /apps/{app}/log-sessions`
pub(crate) async fn create(
    own: Permitted<ViewLogs>,
    State(state): State<Shared>,
    base: Base,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<LogSession>)> {
    let wanted = Wanted {
        source: body.source.as_deref().filter(|text| !text.is_empty()).map(source).transpose()?,
        dyno: body.dyno.or(body.kind).filter(|dyno| !dyno.is_empty()),
        lines: body.lines.unwrap_or(USUAL_LINES).min(MOST_LINES),
        tail: body.tail.unwrap_or(false),
    };
    let now = Timestamp::now().into();
    let logplex_url = log::url(&state, &base, &own, wanted)?;
    let session = LogSession { id: Uuid::new_v4(), logplex_url, created_at: now, updated_at: now };
    Ok((StatusCode::CREATED, Json(session)))
}

fn source(text: &str) -> Result<Source> {
    match text {
        "app" => Ok(Source::App),
        "heroku" => Ok(Source::Heroku),
        _ => Err(Error::invalid("The source of log lines is app or heroku.")),
    }
}
