//! `/streams/logs`: an app's log, as events for the CLI and as text for everyone else.

use std::time::{Duration, Instant};

use access::action::ViewLogs;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use loglines::{LogLine, Source};
use logs::{Filter, Tail};
use serde::{Deserialize, Serialize};
use store::Store;

use crate::http::base::Base;
use crate::http::error::Result;
use crate::http::path::Path;
use crate::http::permitted::Permitted;
use crate::http::state::{Shared, State as ApiState};
use crate::streams::reader::Reader;
use crate::streams::ticket;

const CONTEXT: &str = "stream/log";
/// How long an address is good for (Platform API Reference, "Log Session").
const GOOD_FOR: Duration = Duration::from_mins(5);
/// How often a silent stream says that it lives: clients drop one after a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often a stream makes sure that its reader still may read it.
const RECHECK: Duration = Duration::from_secs(15);

/// What is to be read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// `app` or `heroku`; both if not given.
    pub(crate) source: Option<Source>,
    /// A dyno or a process type.
    pub(crate) dyno: Option<String>,
    /// How many recent lines.
    pub(crate) lines: usize,
    /// Whether to go on with new ones.
    pub(crate) tail: bool,
}

/// The address of a log.
pub(crate) fn url(state: &ApiState, base: &Base, own: &Permitted<ViewLogs>, wanted: Wanted) -> Result<String> {
    let ticket = (wanted, Reader::new(own));
    let token = ticket::issue(&state.store, CONTEXT, &ticket, GOOD_FOR)?;
    Ok(base.url(&format!("/streams/logs/{token}")))
}

/// `GET /streams/logs/{token}`. A client that comes back says with `Last-Event-ID` what it has seen.
pub(crate) async fn read(
    State(state): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (wanted, reader): (Wanted, Reader) = ticket::admit(&state.store, CONTEXT, &token)?;
    let own = reader.still::<ViewLogs>(&state.store).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let after = header("last-event-id").and_then(|id| id.trim().parse().ok());
    let events = header(ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/event-stream"));
    let filter = Filter { source: wanted.source, dyno: wanted.dyno };
    let tail = state.logs.read(own.app.id, filter, wanted.lines, wanted.tail, after).await;
    let (kind, form) = if events {
        ("text/event-stream; charset=utf-8", Form::Events)
    } else {
        ("text/plain; charset=utf-8", Form::Text)
    };
    let reading = Reading { tail, form, reader, store: state.store.clone(), checked: Instant::now() };
    let body = Body::from_stream(stream::unfold(reading, next));
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body).into_response())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Events,
    Text,
}

type Piece = std::result::Result<Bytes, std::convert::Infallible>;

/// A stream under way.
struct Reading {
    tail: Tail,
    form: Form,
    reader: Reader,
    store: Store,
    checked: Instant,
}

async fn next(mut reading: Reading) -> Option<(Piece, Reading)> {
    let text = loop {
        let waited = tokio::time::timeout(HEARTBEAT, reading.tail.next()).await;
        if !reading.goes_on().await {
            return None;
        }
        match (waited, reading.form) {
            (Ok(lines), form) => break lines.map(|(id, lines)| written(form, id, &lines))?,
            (Err(_), Form::Events) => break ":\n\n".to_owned(),
            (Err(_), Form::Text) => {}
        }
    };
    Some((Ok(text.into()), reading))
}

impl Reading {
    /// Whether the reader may still read; asked now and then.
    async fn goes_on(&mut self) -> bool {
        if self.checked.elapsed() < RECHECK {
            return true;
        }
        self.checked = Instant::now();
        self.reader.still::<ViewLogs>(&self.store).await.is_ok()
    }
}

fn written(form: Form, id: u64, lines: &[LogLine]) -> String {
    let mut text = if form == Form::Events { format!("id: {id}\n") } else { String::new() };
    for line in lines {
        let field = if form == Form::Events { "data: " } else { "" };
        let line = line.to_string().replace('\r', " ");
        text.extend([field, &line, "\n"]);
    }
    if form == Form::Events {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use vocabulary::{AppId, Timestamp};

    use super::*;

    #[test]
    fn lines_are_one_event_or_plain_text() {
        let line = |text: &str| LogLine {
            time: Timestamp::from_micros(0),
            ..LogLine::now(AppId::new(), Source::App, "web.1", text)
        };
        let lines = [line("a\rb"), line("c")];
        let stamp = "1970-01-01T00:00:00.000000+00:00 app[web.1]:";
        let events = format!("id: 7\ndata: {stamp} a b\ndata: {stamp} c\n\n");
        assert_eq!(written(Form::Events, 7, &lines), events);
        assert_eq!(written(Form::Text, 7, &lines), format!("{stamp} a b\n{stamp} c\n"));
    }
}
