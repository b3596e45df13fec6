//! Webhooks: tells whoever wants to know what happened to an app.
//!
//! Knows how often and in what order; what is told is written by the store with the change itself
//! ([`store::events`]), how it looks is `shapes`', where it may go `outbound`'s.
//!
//! | | |
//! |---|---|
//! | order | one delivery of a webhook is under way at a time, the one due for longest; a delivery about a thing waits for the older ones about the same thing, and for no others |
//! | `notify` | one attempt |
//! | `sync` | until the receiver answers 2xx, after 2, 4, 8 s … an hour, for 72 hours after the event |
//! | at once | 16, of one app 4, of all apps of one owner 8 |
//! | waiting | of a webhook 1,000, of all webhooks of one owner 10,000; beyond that events are counted and not told |
//! | a restart | an attempt that was cut off may have arrived: `sync` is repeated, so that receivers see an event at least once; `notify` is not, so that they see it at most once |
//! | kept | what ended, for 7 days, and of each webhook the newest 300 deliveries |
//!
//! The numbers are Heroku's where it tells them (Heroku Dev Center, "App Webhooks"; Changelog 1966).

mod attempt;
mod pass;
mod rule;
#[cfg(test)]
mod tests;

use std::time::Duration;

use outbound::Outbound;
use shapes::Hosts;
use store::Store;
use store::deliveries::AtOnce;

/// How often and for how long.
#[derive(Debug, Clone)]
pub struct Config {
    /// Deliveries under way at a time. 16.
    pub at_once: usize,
    /// Of them, of one app 4, of all apps of one owner 8.
    pub each: AtOnce,
    /// The pause after the first attempt; doubled after each other one. 2 seconds.
    pub first_pause: Duration,
    /// The longest pause. 1 hour.
    pub longest_pause: Duration,
    /// How long after its event a delivery is tried. 72 hours, as Heroku.
    pub patience: Duration,
    /// How many deliveries of a webhook are kept that have ended. 300, as Heroku.
    pub kept: u32,
    /// How long deliveries are kept that have ended. 7 days, as Heroku.
    pub kept_for: Duration,
    /// How often what nobody told of is looked for, and what is too old deleted. 1 minute.
    pub timer: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            at_once: 16,
            each: AtOnce { of_one_app: 4, of_one_owner: 8 },
            first_pause: Duration::from_secs(2),
            longest_pause: Duration::from_hours(1),
            patience: Duration::from_hours(72),
            kept: 300,
            kept_for: Duration::from_hours(7 * 24),
            timer: Duration::from_mins(1),
        }
    }
}

/// The room; clones share nothing but its parts.
#[derive(Debug, Clone)]
pub struct Webhooks {
    store: Store,
    outbound: Outbound,
    hosts: Hosts,
    config: Config,
}

impl Webhooks {
    /// The room over its parts. Nothing is delivered before [`Webhooks::run`].
    #[must_use]
    pub fn new(store: Store, outbound: Outbound, hosts: Hosts, config: Config) -> Self {
        Self { store, outbound, hosts, config }
    }
}
