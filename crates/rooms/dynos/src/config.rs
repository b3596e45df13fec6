//! Time limits.

use std::time::Duration;

use launch::KilledAt;

/// How long this room waits for what. The defaults are Heroku's unless said.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a web dyno may take to bind its port: 60 s (R10; Dev Center, "Error Codes").
    pub boot_timeout: Duration,
    /// Between SIGTERM and SIGKILL: 30 s (R12; Dev Center, "Dyno Shutdown").
    pub grace: Duration,
    /// How long requests under way at a web dyno may take before it gets SIGTERM anyway: 30 s, the time Heroku's
    /// router gives a request to answer.
    pub drain: Duration,
    /// A dyno that ran this long before it crashed starts at once and from the bottom of the ladder: 10 min.
    pub healthy_after: Duration,
    /// The pause before the second restart in a row; the first is immediate, each further pause is twice the last.
    /// Heroku's first pause is 10 min, to spare a fleet. On a machine of one's own a crash is mended by hand, and ten
    /// minutes of an app that is down are worse than a few processes more: 10 s.
    pub first_pause: Duration,
    /// The longest pause: 10 min. Heroku's ladder goes to 24 h.
    pub longest_pause: Duration,
    /// How long an instance that crashed is kept, so that the reader of its output finds it: 2 s.
    pub linger: Duration,
    /// How long a step that failed because the engine was away rests: 1 s.
    pub retry: Duration,
    /// How often everything is looked at without being woken: 5 s.
    pub timer: Duration,
    /// Whether the host has memory for an old and a new web dyno side by side. If not, the old one stops first.
    pub may_surge: bool,
    /// At how much of its size's memory a dyno is killed (R15).
    pub killed_at: KilledAt,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            boot_timeout: Duration::from_mins(1),
            grace: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            healthy_after: Duration::from_mins(10),
            first_pause: Duration::from_secs(10),
            longest_pause: Duration::from_mins(10),
            linger: Duration::from_secs(2),
            retry: Duration::from_secs(1),
            timer: Duration::from_secs(5),
            may_surge: true,
            killed_at: KilledAt::default(),
        }
    }
}
