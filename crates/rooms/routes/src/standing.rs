//! Where each router stands: what it was sent, what it serves, and whether it counts.

use std::collections::HashMap;
use std::time::Duration;

use routes_table::InFlight;
use tokio::time::Instant;
use vocabulary::DynoId;

/// How long a router may take to acknowledge (the design's contract).
pub(crate) const ACKNOWLEDGE: Duration = Duration::from_secs(5);
/// How long a router whose connection ended while its process lives counts on; it serves, and comes back well before.
pub(crate) const RETURN: Duration = Duration::from_secs(5);

/// Every router that may serve requests.
#[derive(Debug, Default)]
pub(crate) struct Routers(HashMap<u64, Router>);

#[derive(Debug)]
struct Router {
    /// 0 before its hello.
    pid: u32,
    acknowledged: u64,
    /// The version it owes an answer to, and since when.
    owes: Option<(u64, Instant)>,
    in_flight: HashMap<DynoId, u32>,
    /// When its connection ended.
    lost: Option<Instant>,
}

impl Routers {
    /// A connection came.
    pub(crate) fn came(&mut self, number: u64) {
        let router = Router { pid: 0, acknowledged: 0, owes: None, in_flight: HashMap::new(), lost: None };
        self.0.insert(number, router);
    }

    /// It said who it is. A connection of the same process before it is forgotten, but what was under way then is not.
    pub(crate) fn hello(&mut self, number: u64, pid: u32, table: u64) {
        let before = self.0.extract_if(|other, router| *other != number && router.pid == pid).next();
        if let Some(router) = self.0.get_mut(&number) {
            (router.pid, router.acknowledged) = (pid, table);
            router.in_flight = before.map(|(_, before)| before.in_flight).unwrap_or_default();
        }
    }

    pub(crate) fn sent(&mut self, number: u64, version: u64, now: Instant) {
        if let Some(router) = self.0.get_mut(&number) {
            // The oldest debt counts, however many tables follow.
            let since = router.owes.map_or(now, |(_, since)| since);
            router.owes = Some((version, since));
        }
    }

    pub(crate) fn acknowledged(&mut self, number: u64, version: u64, in_flight: Vec<InFlight>, now: Instant) {
        let Some(router) = self.0.get_mut(&number) else { return };
        router.acknowledged = version;
        router.in_flight = in_flight.into_iter().map(|dyno| (dyno.dyno, dyno.requests)).collect();
        router.owes = router.owes.filter(|(owed, _)| *owed > version).map(|(owed, _)| (owed, now));
    }

    pub(crate) fn drained(&mut self, number: u64, dyno: DynoId) {
        if let Some(router) = self.0.get_mut(&number) {
            router.in_flight.remove(&dyno);
        }
    }

    /// A connection ended. If the process is gone as well, or never said who it is, so is the router.
    pub(crate) fn gone(&mut self, number: u64, now: Instant, lives: impl Fn(u32) -> bool) {
        let Some(router) = self.0.get_mut(&number) else { return };
        if router.pid != 0 && lives(router.pid) {
            (router.lost, router.owes) = (Some(now), None);
        } else {
            self.0.remove(&number);
        }
    }

    /// Forgets routers that did not come back; true if there were any.
    pub(crate) fn forget_lost(&mut self, now: Instant, lives: impl Fn(u32) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|_, router| router.lost.is_none_or(|lost| now - lost < RETURN && lives(router.pid)));
        self.0.len() != before
    }

    /// The routers that have owed an answer for too long. Each is named again after as long.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<(u32, u64)> {
        let mut overdue = Vec::new();
        for router in self.0.values_mut() {
            if let Some((version, since)) = router.owes.filter(|(_, since)| now - *since >= ACKNOWLEDGE) {
                overdue.push((router.pid, version));
                router.owes = Some((version, since.max(now)));
            }
        }
        overdue
    }

    /// What is under way at dynos that are in no table, if every router serves this version or a later one.
    pub(crate) fn agreed(&self, version: u64) -> Option<HashMap<DynoId, u32>> {
        let mut in_flight: HashMap<DynoId, u32> = HashMap::new();
        for router in self.0.values() {
            if router.acknowledged < version {
                return None;
            }
            for (dyno, requests) in &router.in_flight {
                *in_flight.entry(*dyno).or_default() += requests;
            }
        }
        Some(in_flight)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a process lives. One that may not be signalled does.
pub(crate) fn lives(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(dyno: DynoId, requests: u32) -> Vec<InFlight> {
        vec![InFlight { dyno, requests }]
    }

    #[test]
    fn agreement_takes_every_router() {
        let (mut routers, now, dyno) = (Routers::default(), Instant::now(), DynoId::new());
        assert_eq!(routers.agreed(7), Some(HashMap::new()));
        routers.came(1);
        assert_eq!(routers.agreed(7), None, "one that may serve anything");
        routers.hello(1, 100, 6);
        assert_eq!(routers.agreed(7), None);
        routers.acknowledged(1, 7, busy(dyno, 2), now);
        assert_eq!(routers.agreed(7), Some(HashMap::from([(dyno, 2)])));
        routers.came(2);
        routers.hello(2, 200, 7);
        routers.acknowledged(2, 7, busy(dyno, 1), now);
        assert_eq!(routers.agreed(7), Some(HashMap::from([(dyno, 3)])));
        routers.drained(1, dyno);
        routers.drained(2, dyno);
        assert_eq!(routers.agreed(7), Some(HashMap::new()));
    }

    #[test]
    fn a_router_that_lost_its_connection_counts_while_it_lives_and_may_return() {
        let (mut routers, now, dyno) = (Routers::default(), Instant::now(), DynoId::new());
        routers.came(1);
        routers.hello(1, 100, 0);
        routers.acknowledged(1, 7, busy(dyno, 2), now);
        routers.gone(1, now, |_| true);
        assert_eq!(routers.agreed(8), None);
        routers.came(2);
        routers.hello(2, 100, 7);
        assert_eq!(routers.agreed(7), Some(HashMap::from([(dyno, 2)])));
        routers.gone(2, now, |_| true);
        assert!(!routers.forget_lost(now, |_| true));
        assert!(routers.forget_lost(now + RETURN, |_| true));
        assert!(routers.is_empty());
        routers.came(3);
        routers.hello(3, 100, 7);
        routers.gone(3, now, |_| false);
        assert!(routers.is_empty());
    }

    #[test]
    fn a_router_that_does_not_answer_is_overdue() {
        let (mut routers, now) = (Routers::default(), Instant::now());
        routers.came(1);
        routers.hello(1, 100, 0);
        routers.sent(1, 7, now);
        routers.sent(1, 8, now + ACKNOWLEDGE / 2);
        assert_eq!(routers.overdue(now + ACKNOWLEDGE / 2), []);
        assert_eq!(routers.overdue(now + ACKNOWLEDGE), [(100, 8)]);
        assert_eq!(routers.overdue(now + ACKNOWLEDGE), []);
        assert_eq!(routers.overdue(now + ACKNOWLEDGE * 2), [(100, 8)]);
        routers.acknowledged(1, 8, vec![], now);
        assert_eq!(routers.overdue(now + ACKNOWLEDGE * 9), []);
    }
}
