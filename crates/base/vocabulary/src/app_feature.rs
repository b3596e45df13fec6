//! What can be switched of an app.

use std::fmt;
use std::str::FromStr;

/// A feature that does something here; those that would do nothing are not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AppFeature {
    /// New web dynos start before the old ones stop.
    Preboot,
    /// What dynos use is written into the log.
    LogRuntimeMetrics,
    /// Dynos find what they are in their environment.
    RuntimeDynoMetadata,
}

/// There is no such feature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such feature of an app")]
pub struct UnknownAppFeature;

impl AppFeature {
    /// Every feature.
    pub const ALL: [Self; 3] = [Self::Preboot, Self::LogRuntimeMetrics, Self::RuntimeDynoMetadata];

    /// Its name, as Heroku calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preboot => "preboot",
            Self::LogRuntimeMetrics => "log-runtime-metrics",
            Self::RuntimeDynoMetadata => "runtime-dyno-metadata",
        }
    }

    /// Whether it is on where nobody switched it. Unlike at Heroku `preboot` is: no deploy loses a request.
    #[must_use]
    pub fn default_on(self) -> bool {
        match self {
            Self::Preboot => true,
            Self::LogRuntimeMetrics | Self::RuntimeDynoMetadata => false,
        }
    }
}

impl FromStr for AppFeature {
    type Err = UnknownAppFeature;

    fn from_str(text: &str) -> Result<Self, UnknownAppFeature> {
        Self::ALL.into_iter().find(|feature| feature.as_str() == text).ok_or(UnknownAppFeature)
    }
}

impl fmt::Display for AppFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert!(AppFeature::ALL.into_iter().all(|feature| feature.to_string().parse() == Ok(feature)));
        assert_eq!("http-shard-header".parse::<AppFeature>(), Err(UnknownAppFeature));
    }
}
