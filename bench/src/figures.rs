//! The figures of one thing in several runs.

use std::fmt;
use std::time::Duration;

/// Durations of several runs.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<Duration>);

impl Figures {
    /// Adds a run's.
    pub fn add(&mut self, duration: Duration) {
        let place = self.0.partition_point(|known| *known < duration);
        self.0.insert(place, duration);
    }

    /// The middle one, or the mean of the two in the middle; zero without any.
    pub fn median(&self) -> Duration {
        let half = self.0.len() / 2;
        match (self.0.get(half), half.checked_sub(1).and_then(|before| self.0.get(before))) {
            (Some(&above), Some(&below)) if self.0.len().is_multiple_of(2) => (above + below) / 2,
            (Some(&middle), _) => middle,
            (None, _) => Duration::ZERO,
        }
    }

    /// The smallest of the figures that so many of a hundred do not exceed; zero without any.
    pub fn percentile(&self, of_hundred: usize) -> Duration {
        let place = (self.0.len() * of_hundred).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }

    /// How many runs there were.
    pub fn runs(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edge = |edge: Option<&Duration>| milliseconds(edge.copied().unwrap_or_default());
        write!(
            f,
            "median {} ms   min {} ms   max {} ms   ({} runs)",
            milliseconds(self.median()),
            edge(self.0.first()),
            edge(self.0.last()),
            self.runs()
        )
    }
}

/// A duration in whole milliseconds.
pub fn milliseconds(duration: Duration) -> u128 {
    (duration.as_micros() + 500) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(of: &[u64]) -> u128 {
        let mut figures = Figures::default();
        for one in of {
            figures.add(Duration::from_millis(*one));
        }
        milliseconds(figures.median())
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), 0);
        assert_eq!(median(&[7]), 7);
        assert_eq!(median(&[9, 1, 5]), 5);
        assert_eq!(median(&[9, 1, 5, 6]), 6);
    }

    #[test]
    fn ninety_nine_of_a_hundred_are_below_the_percentile() {
        let mut figures = Figures::default();
        assert_eq!(figures.percentile(99), Duration::ZERO);
        for one in 1..=200 {
            figures.add(Duration::from_millis(one));
        }
        assert_eq!(figures.percentile(99), Duration::from_millis(198));
        assert_eq!(figures.percentile(100), Duration::from_millis(200));
    }
}
