//! Every line this room writes into an app's log, word for word: what Heroku writes, unless said.

pub(crate) use launch::lines::{exited, starting, state_changed};
use vocabulary::ReleaseVersion;

/// `Deploy 1a2b3c4d by user EMAIL`.
pub(crate) fn done(description: &str, email: &str) -> String {
    format!("{description} by user {email}")
}

/// `Release v4 created by user EMAIL`.
pub(crate) fn created(version: ReleaseVersion, email: &str) -> String {
    format!("Release {version} created by user {email}")
}

/// Ours: the release phase did not pass.
pub(crate) fn failed(version: ReleaseVersion, reason: &str) -> String {
    format!("Release {version} failed: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_for_word() {
        assert_eq!(done("Deploy 1a2b3c4d", "ada@example.com"), "Deploy 1a2b3c4d by user ada@example.com");
        let version = ReleaseVersion::new(4);
        assert_eq!(created(version, "ada@example.com"), "Release v4 created by user ada@example.com");
        assert_eq!(failed(version, "why"), "Release v4 failed: why");
    }
}
