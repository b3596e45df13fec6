//! When a dyno that crashed starts again.
//!
//! The first crash restarts at once; each further one in a row waits: 10 s, 20 s, 40 s … up to 10 min (the figures
//! are [`crate::Config`]'s, beside Heroku's). A row of crashes ends with a new release, a restart a user asked for,
//! or a run that lasted 10 min. It is remembered in this process alone: after a restart of the control plane a
//! crashed dyno gets one immediate restart more, which is cheaper than a counter in the store.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use vocabulary::{AppId, DynoId, DynoName, ReleaseId};

use crate::Config;

/// Crashes in a row of one name of one app.
#[derive(Debug, Clone)]
struct Row {
    release: ReleaseId,
    /// The run that crashed last; it counts once, however often its end is looked at.
    last: DynoId,
    count: u32,
    due: Instant,
}

/// What is remembered of crashes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crashes(HashMap<(AppId, DynoName), Row>);

/// A crash.
#[derive(Debug)]
pub(crate) struct Crash {
    pub(crate) id: DynoId,
    pub(crate) app: AppId,
    pub(crate) name: DynoName,
    pub(crate) release: ReleaseId,
    /// How long it ran.
    pub(crate) ran: Duration,
}

impl Crashes {
    /// Counts a crash.
    pub(crate) fn add(&mut self, crash: Crash, now: Instant, config: &Config) {
        let key = (crash.app, crash.name);
        let before = self.0.get(&key).filter(|row| row.release == crash.release);
        if before.is_some_and(|row| row.last == crash.id) {
            return;
        }
        let in_a_row = before.map_or(0, |row| row.count);
        let count = if crash.ran >= config.healthy_after { 1 } else { in_a_row + 1 };
        let row = Row { release: crash.release, last: crash.id, count, due: now + pause(count, config) };
        self.0.insert(key, row);
    }

    /// When the dyno of this name may start again; nothing if it may at once.
    pub(crate) fn due(&self, app: AppId, name: &DynoName, release: ReleaseId) -> Option<Instant> {
        self.0.get(&(app, name.clone())).filter(|row| row.release == release).map(|row| row.due)
    }

    /// Ends a row of crashes: a user asked for a restart.
    pub(crate) fn forget(&mut self, app: AppId, name: &DynoName) {
        self.0.remove(&(app, name.clone()));
    }

    /// Forgets apps that are gone.
    pub(crate) fn keep(&mut self, alive: impl Fn(AppId) -> bool) {
        self.0.retain(|(app, _), _| alive(*app));
    }
}

/// The pause before the restart after the `count`th crash in a row.
fn pause(count: u32, config: &Config) -> Duration {
    match count {
        0 | 1 => Duration::ZERO,
        _ => config.first_pause.saturating_mul(2u32.saturating_pow(count - 2)).min(config.longest_pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_doubles_from_nothing_to_its_top() {
        let seconds: Vec<u64> = (1..=10).map(|count| pause(count, &Config::default()).as_secs()).collect();
        assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(pause(u32::MAX, &Config::default()).as_secs(), 600);
    }

    struct Case {
        crashes: Crashes,
        app: AppId,
        name: DynoName,
        now: Instant,
    }

    impl Case {
        fn new() -> Self {
            let name = "web.1".parse().unwrap();
            Self { crashes: Crashes::default(), app: AppId::new(), name, now: Instant::now() }
        }

        fn crash(&mut self, id: DynoId, release: ReleaseId, ran: u64) -> u64 {
            let crash = Crash { id, app: self.app, name: self.name.clone(), release, ran: Duration::from_secs(ran) };
            self.crashes.add(crash, self.now, &Config::default());
            self.crashes.due(self.app, &self.name, release).unwrap().duration_since(self.now).as_secs()
        }
    }

    #[test]
    fn a_run_counts_once() {
        let (mut case, release, id) = (Case::new(), ReleaseId::new(), DynoId::new());
        assert_eq!(case.crash(id, release, 1), 0);
        assert_eq!(case.crash(id, release, 1), 0);
        assert_eq!(case.crash(DynoId::new(), release, 1), 10);
    }

    #[test]
    fn a_new_release_a_restart_and_a_long_run_begin_anew() {
        let (mut case, release) = (Case::new(), ReleaseId::new());
        case.crash(DynoId::new(), release, 1);
        assert_eq!(case.crash(DynoId::new(), release, 1), 10);
        assert_eq!(case.crash(DynoId::new(), release, 600), 0);
        assert_eq!(case.crash(DynoId::new(), release, 1), 10);
        assert_eq!(case.crash(DynoId::new(), ReleaseId::new(), 1), 0);
        case.crash(DynoId::new(), release, 1);
        case.crash(DynoId::new(), release, 1);
        case.crashes.forget(case.app, &case.name.clone());
        assert_eq!(case.crash(DynoId::new(), release, 1), 0);
    }
}
