//! What is known of a request for its line in the app's log, gathered while it is under way, and the line itself.
//!
//! The format is Heroku's to the byte (Dev Center, "HTTP Routing", "Heroku router log format"):
//!
//! ```text
//! at=info method=GET path="/x" host=sushi.localhost request_id=… fwd="1.2.3.4" dyno=web.1 connect=1ms service=18ms status=200 bytes=13 protocol=http
//! at=error code=H12 desc="Request timeout" method=GET path="/x" … service=30000ms status=503 bytes=0 protocol=http
//! sock=client at=warning code=H27 desc="Client Request Interrupted" method=GET … status=499 bytes=0 protocol=http
//! ```

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::time::Duration;

use tokio::time::Instant;

use crate::codes::{Code, Level, Socket};

/// What is known of a request. Cells, since the two directions of a request note what they see side by side.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The dyno it was last sent to.
    pub(crate) dyno: RefCell<Option<String>>,
    /// How long that dyno took to take the connection.
    pub(crate) connect: Cell<Option<Duration>>,
    /// When it was passed on to that dyno.
    pub(crate) passed_on: Cell<Option<Instant>>,
    /// The status of the dyno's answer, once its head is on its way to the client.
    pub(crate) status: Cell<Option<u16>>,
    /// Bytes of the answer's body that were sent to the client.
    pub(crate) bytes: Cell<u64>,
}

/// What a log line says of the request itself.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Its method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Its host in normal form.
    pub(crate) host: String,
    /// Its id.
    pub(crate) request_id: String,
    /// The addresses it came by, its own last.
    pub(crate) fwd: String,
    /// `http` or `https`.
    pub(crate) protocol: &'static str,
}

impl Trace {
    /// The line of a request that ended now; `code` says what went wrong.
    pub(crate) fn line(&self, asked: &Asked, code: Option<Code>) -> String {
        let mut line = String::with_capacity(256);
        // Writing to a string cannot fail.
        _ = write!(line, "{}method={} path=\"", opening(code), asked.method);
        quote(&mut line, &asked.path);
        _ = write!(line, "\" host={} request_id={} fwd=\"", asked.host, asked.request_id);
        quote(&mut line, &asked.fwd);
        let status = code.map_or(self.status.get().unwrap_or(0), |code| code.status().as_u16());
        let dyno = self.dyno.borrow();
        let service = self.passed_on.get().map(|at| at.elapsed());
        _ = write!(
            line,
            "\" dyno={} connect={} service={} status={status} bytes={} protocol={}",
            dyno.as_deref().unwrap_or_default(),
            Millis(self.connect.get()),
            Millis(service),
            if dyno.is_some() { self.bytes.get().to_string() } else { String::new() },
            asked.protocol
        );
        line
    }
}

fn opening(code: Option<Code>) -> String {
    let Some(code) = code else { return "at=info ".to_owned() };
    let socket = match code.socket() {
        Some(Socket::Client) => "sock=client ",
        Some(Socket::Backend) => "sock=backend ",
        None => "",
    };
    let level = match code.level() {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    format!("{socket}at={level} code={} desc=\"{}\" ", code.name(), code.description())
}

/// A value between quotes: what would end it, or the line, is percent-encoded, so that a request cannot forge a field.
fn quote(line: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => line.push_str("%22"),
            character if character.is_control() => line.push('?'),
            character => line.push(character),
        }
    }
}

/// `18ms`, or nothing.
struct Millis(Option<Duration>);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |time| write!(f, "{}ms", time.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            method: "GET".to_owned(),
            path: "/x?a=\"b\"".to_owned(),
            host: "sushi.localhost".to_owned(),
            request_id: "6f5d".to_owned(),
            fwd: "1.2.3.4".to_owned(),
            protocol: "http",
        }
    }

    fn served() -> Trace {
        let trace = Trace::default();
        *trace.dyno.borrow_mut() = Some("web.1".to_owned());
        trace.connect.set(Some(Duration::from_millis(1)));
        trace.passed_on.set(Some(Instant::now()));
        trace.status.set(Some(200));
        trace.bytes.set(13);
        trace
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_served() {
        let trace = served();
        tokio::time::advance(Duration::from_millis(18)).await;
        assert_eq!(
            trace.line(&asked(), None),
            "at=info method=GET path=\"/x?a=%22b%22\" host=sushi.localhost request_id=6f5d fwd=\"1.2.3.4\" dyno=web.1 \
             connect=1ms service=18ms status=200 bytes=13 protocol=http"
        );
    }

    #[test]
    fn a_request_that_reached_no_dyno() {
        assert_eq!(
            Trace::default().line(&asked(), Some(Code::H10)),
            "at=error code=H10 desc=\"App crashed\" method=GET path=\"/x?a=%22b%22\" host=sushi.localhost \
             request_id=6f5d fwd=\"1.2.3.4\" dyno= connect= service= status=503 bytes= protocol=http"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left() {
        assert_eq!(
            served().line(&asked(), Some(Code::H27)),
            "sock=client at=warning code=H27 desc=\"Client Request Interrupted\" method=GET path=\"/x?a=%22b%22\" \
             host=sushi.localhost request_id=6f5d fwd=\"1.2.3.4\" dyno=web.1 connect=1ms service=0ms status=499 \
             bytes=13 protocol=http"
        );
    }
}
