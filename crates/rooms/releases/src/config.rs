//! Limits.

use std::time::Duration;

use launch::KilledAt;

/// The room's limits. The defaults are Heroku's.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a release phase may take: 1 h (Dev Center, "Release Phase").
    pub phase_limit: Duration,
    /// Between SIGTERM and SIGKILL of a release phase that took too long: 30 s.
    pub grace: Duration,
    /// Bytes of an app's config vars, names and values in all: 64 KiB (Dev Center, "Configuration and Config Vars").
    pub config_bytes: usize,
    /// At how much of its memory a release phase is killed.
    pub killed_at: KilledAt,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            phase_limit: Duration::from_hours(1),
            grace: Duration::from_secs(30),
            config_bytes: 64 * 1024,
            killed_at: KilledAt::default(),
        }
    }
}
