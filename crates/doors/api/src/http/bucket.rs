//! Token buckets: how often someone may do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The most buckets kept; beyond it, full ones are forgotten, and then new callers wait for a place.
const MOST_KEYS: usize = 10_000;

/// How much a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// What a full bucket holds.
    pub(crate) most: u32,
    /// What comes back each minute.
    pub(crate) per_minute: u32,
}

/// One bucket per key.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    levels: Mutex<HashMap<K, Level>>,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    tokens: f64,
    at: Instant,
}

impl Level {
    fn now(self, rate: Rate, now: Instant) -> Self {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        Self { tokens: (self.tokens + minutes * f64::from(rate.per_minute)).min(f64::from(rate.most)), at: now }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and Rate::most")]
    fn whole(self) -> u32 {
        self.tokens as u32
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Full buckets.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, levels: Mutex::default() }
    }

    /// Takes one token; answers how many are left, or nothing if there was none.
    pub(crate) fn take(&self, key: K, now: Instant) -> Option<u32> {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MOST_KEYS && !levels.contains_key(&key) {
            levels.retain(|_, level| level.now(self.rate, now).whole() < self.rate.most);
            if levels.len() >= MOST_KEYS {
                return None;
            }
        }
        let level = levels.entry(key).or_insert(Level { tokens: f64::from(self.rate.most), at: now });
        *level = level.now(self.rate, now);
        if level.tokens < 1.0 {
            return None;
        }
        level.tokens -= 1.0;
        Some(level.whole())
    }

    /// How many tokens are left.
    pub(crate) fn left(&self, key: &K, now: Instant) -> u32 {
        let levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        levels.get(key).map_or(self.rate.most, |level| level.now(self.rate, now).whole())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let buckets = Buckets::new(Rate { most: 2, per_minute: 1 });
        let start = Instant::now();
        assert_eq!(buckets.take("a", start), Some(1));
        assert_eq!(buckets.take("a", start), Some(0));
        assert_eq!(buckets.take("a", start), None);
        assert_eq!(buckets.take("b", start), Some(1));
        assert_eq!(buckets.take("a", start + Duration::from_secs(61)), Some(0));
        assert_eq!(buckets.left(&"a", start + Duration::from_hours(1)), 2);
    }
}
