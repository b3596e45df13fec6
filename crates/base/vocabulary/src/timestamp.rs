//! A moment, as Heroku writes it.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};

/// A moment in UTC, microseconds since 1970. In JSON of the API it is RFC 3339 with `Z` and whole seconds
/// (Platform API Reference, "Date/Time"); [`Timestamp::log`] is the form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment so many microseconds after 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The present moment by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// `2026-01-02T03:04:05.678901+00:00`, the form at the head of a log line.
    #[must_use]
    pub fn log(self) -> String {
        self.date_time().to_rfc3339_opts(SecondsFormat::Micros, false)
    }

    /// `2026-01-02T03:04:05Z`, the form of the API.
    #[must_use]
    pub fn api(self) -> String {
        self.date_time().to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    fn date_time(self) -> DateTime<Utc> {
        // A value outside chrono's range (the year 262143) reads as 1970 rather than as a panic.
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.api())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.log())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .map(|moment| Self(moment.timestamp_micros()))
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_forms() {
        let moment = Timestamp::from_micros(1_767_323_045_678_901);
        assert_eq!(moment.log(), "2026-01-02T03:04:05.678901+00:00");
        assert_eq!(moment.api(), "2026-01-02T03:04:05Z");
    }
}
