//! Load averages of one dyno.

use tokio::time::Instant;

/// The minutes of the three averages.
const MINUTES: [f64; 3] = [1.0, 5.0, 15.0];

/// How many threads of a dyno ran or were ready to, as averages that forget: of an older sample `e^(-age / minutes)`
/// counts (Heroku Dev Center, "Log Runtime Metrics").
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    averages: [f64; 3],
    at: Instant,
}

impl Load {
    /// A dyno that was seen for the first time.
    pub(crate) fn new(now: Instant) -> Self {
        Self { averages: [0.0; 3], at: now }
    }

    /// Adds what was seen now.
    pub(crate) fn add(&mut self, runnable: u32, now: Instant) {
        let age = now.duration_since(self.at).as_secs_f64();
        for (average, minutes) in self.averages.iter_mut().zip(MINUTES) {
            let kept = (-age / (60.0 * minutes)).exp();
            *average = *average * kept + f64::from(runnable) * (1.0 - kept);
        }
        self.at = now;
    }

    /// Over one, five and fifteen minutes.
    pub(crate) fn averages(&self) -> [f64; 3] {
        self.averages
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_load_is_approached_and_forgotten() {
        let near = |found: [f64; 3], wanted: [f64; 3]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.005);
        let begun = Instant::now();
        let mut load = Load::new(begun);
        let at = |seconds| begun + Duration::from_secs(seconds);
        load.add(2, at(0));
        assert!(near(load.averages(), [0.0; 3]), "{load:?}");
        for tick in 1..=3 {
            load.add(2, at(20 * tick));
        }
        // 2 · (1 - e^-1), 2 · (1 - e^-1/5), 2 · (1 - e^-1/15)
        assert!(near(load.averages(), [1.264, 0.3625, 0.129]), "{load:?}");
        load.add(0, at(120));
        assert!(near(load.averages(), [0.465, 0.297, 0.1207]), "{load:?}");
        for tick in 0..1000 {
            load.add(7, at(140 + 20 * tick));
        }
        assert!(near(load.averages(), [7.0; 3]), "{load:?}");
    }
}
