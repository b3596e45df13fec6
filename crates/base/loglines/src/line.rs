//! A log line and its text.

use std::fmt;

use serde::{Deserialize, Serialize};
use vocabulary::{AppId, Timestamp};

/// Whether the app or the platform says it (Heroku Dev Center, "Logging").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The app's own output; also what users did to it (`app[api]`).
    App,
    /// The platform: dyno life cycle (`heroku[web.1]`), router (`heroku[router]`).
    Heroku,
}

/// One line of an app's log. Its [`fmt::Display`] is the line as `heroku logs` prints it, without a line end:
/// `2026-01-02T03:04:05.678901+00:00 app[web.1]: text`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Whose log.
    pub app: AppId,
    /// When it was said.
    #[serde(with = "micros")]
    pub time: Timestamp,
    /// Who says it.
    pub source: Source,
    /// Which part: `web.1`, `router`, `api`, `release.4711`.
    pub dyno: String,
    /// What is said; no line end, at most 10,000 bytes.
    pub text: String,
}

impl LogLine {
    /// The longest text of a line in bytes; longer output is split (Heroku Dev Center, "Limits").
    pub const MAX_TEXT: usize = 10_000;

    /// A line said now.
    #[must_use]
    pub fn now(app: AppId, source: Source, dyno: impl Into<String>, text: impl Into<String>) -> Self {
        Self { app, time: Timestamp::now(), source, dyno: dyno.into(), text: text.into() }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App => "app",
            Self::Heroku => "heroku",
        })
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]: {}", self.time.log(), self.source, self.dyno, self.text)
    }
}

/// Microseconds on the wire: exact, and shorter than text.
mod micros {
    use serde::{Deserialize, Deserializer, Serializer};
    use vocabulary::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_heroku_prints_it() {
        let line = LogLine {
            app: AppId::new(),
            time: Timestamp::from_micros(1_767_323_045_678_901),
            source: Source::App,
            dyno: "web.1".to_owned(),
            text: "hello".to_owned(),
        };
        assert_eq!(line.to_string(), "2026-01-02T03:04:05.678901+00:00 app[web.1]: hello");
        assert_eq!(serde_json::from_str::<LogLine>(&serde_json::to_string(&line).unwrap()).unwrap(), line);
    }
}
