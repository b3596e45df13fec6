//! Token buckets: how often someone may do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The most buckets kept; beyond it, those that are more than half full are forgotten, and then new callers wait for a
/// place.
const MOST_KEYS: usize = 10_000;

/// How much a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// What a full bucket holds.
    pub(crate) most: u32,
    /// What comes back each hour.
    pub(crate) per_hour: u32,
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
        let hours = now.saturating_duration_since(self.at).as_secs_f64() / 3600.0;
        Self { tokens: (self.tokens + hours * f64::from(rate.per_hour)).min(f64::from(rate.most)), at: now }
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
            levels.retain(|_, level| level.now(self.rate, now).whole() <= self.rate.most / 2);
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

    /// Puts back what was taken for something that does not count after all.
    pub(crate) fn put_back<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(level) = levels.get_mut(key) {
            level.tokens = (level.tokens + 1.0).min(f64::from(self.rate.most));
        }
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
        let buckets = Buckets::new(Rate { most: 2, per_hour: 60 });
        let start = Instant::now();
        assert_eq!(buckets.take("a", start), Some(1));
        assert_eq!(buckets.take("a", start), Some(0));
        assert_eq!(buckets.take("a", start), None);
        assert_eq!(buckets.take("b", start), Some(1));
        assert_eq!(buckets.take("a", start + Duration::from_secs(61)), Some(0));
        buckets.put_back("a");
        assert_eq!(buckets.left(&"a", start + Duration::from_secs(61)), 1);
        assert_eq!(buckets.left(&"a", start + Duration::from_hours(1)), 2);
    }

    #[test]
    fn however_many_keys_come_few_are_kept() {
        let buckets = Buckets::new(Rate { most: 2, per_hour: 60 });
        let start = Instant::now();
        for key in 0..MOST_KEYS {
            buckets.take(key, start);
            buckets.take(key, start);
        }
        assert_eq!(buckets.take(MOST_KEYS, start), None);
        assert_eq!(buckets.take(0, start), None, "an empty bucket was forgotten");
        assert_eq!(buckets.take(MOST_KEYS, start + Duration::from_mins(3)), Some(1));
        assert!(buckets.levels.lock().unwrap().len() < MOST_KEYS);
    }
}
