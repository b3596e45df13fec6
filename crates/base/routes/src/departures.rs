//! Whether a dyno that is to stop still gets requests: said by `rooms/routes`, asked by `rooms/dynos`.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use vocabulary::DynoId;

/// What every live router has acknowledged.
#[derive(Debug, Clone)]
pub struct Routed {
    /// When the store was read from which the acknowledged table was made: what was written before stands in it.
    pub read_at: Instant,
    /// Requests under way at dynos that are in no table any more; a dyno that is not listed has none.
    pub in_flight: HashMap<DynoId, u32>,
}

/// How a departure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// No router sends it requests, and none is under way.
    Drained,
    /// The time limit passed first.
    TimedOut,
}

/// The shared knowledge; clones share it.
#[derive(Debug, Clone)]
pub struct Departures(watch::Sender<Option<Routed>>);

impl Default for Departures {
    fn default() -> Self {
        Self(watch::channel(None).0)
    }
}

impl Departures {
    /// Says what every live router has acknowledged.
    pub fn tell(&self, routed: Routed) {
        self.0.send_replace(Some(routed));
    }

    /// Waits until a dyno gets no requests any more. `since` is a moment after the write that took it out of the
    /// routes; `limit` is how long requests under way may take.
    pub async fn departed(&self, dyno: DynoId, since: Instant, limit: Duration) -> Departure {
        let mut routed = self.0.subscribe();
        let gone = routed.wait_for(|routed| {
            routed.as_ref().is_some_and(|routed| {
                routed.read_at >= since && routed.in_flight.get(&dyno).is_none_or(|requests| *requests == 0)
            })
        });
        match tokio::time::timeout(limit, gone).await {
            Ok(Ok(_)) => Departure::Drained,
            _ => Departure::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dyno_has_departed_when_a_later_table_is_served_and_its_requests_ended() {
        let (departures, dyno) = (Departures::default(), DynoId::new());
        let limit = Duration::from_secs(30);
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let since = Instant::now();
        departures.tell(Routed { read_at: before, in_flight: HashMap::new() });
        assert_eq!(departures.departed(dyno, since, limit).await, Departure::TimedOut);
        departures.tell(Routed { read_at: Instant::now(), in_flight: HashMap::from([(dyno, 2)]) });
        assert_eq!(departures.departed(dyno, since, limit).await, Departure::TimedOut);
        departures.tell(Routed { read_at: Instant::now(), in_flight: HashMap::from([(dyno, 0)]) });
        assert_eq!(departures.departed(dyno, since, limit).await, Departure::Drained);
    }
}
