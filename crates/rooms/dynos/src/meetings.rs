//! The secrets by which a client and a program meet: each is good once, for a minute.
//!
//! Kept in memory alone: a client that does not come within the minute does not come at all, and a program whose
//! client cannot come any more is stopped by its shim. What the program would have been given, config vars among it,
//! is forgotten with the reconciler's next pass.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Terminal;
use inside_contract::Launch;
use sha2::{Digest as _, Sha256};
use store::dynos::Attached;
use tokio::time::Instant;
use vocabulary::{DynoId, Secret};

/// How long a secret is good for.
const GOOD_FOR: Duration = Duration::from_mins(1);
/// The most secrets at a time; the oldest goes when there are more, and the platform's log says so.
const MOST: usize = 4096;
/// The most secrets for programs inside one dyno: as many as run there at a time (`shim`), so that nobody takes the
/// place of others' secrets.
const MOST_INSIDE: usize = 32;

/// What a secret leads to.
#[derive(Debug)]
pub(crate) enum Program {
    /// A one-off dyno that was started for it.
    OneOff(DynoId),
    /// A program that starts in a running dyno when the client comes.
    Inside(DynoId, Launch),
}

/// A meeting that was arranged.
#[derive(Debug)]
pub(crate) struct Meeting {
    pub(crate) program: Program,
    pub(crate) terminal: Option<Terminal>,
    until: Instant,
}

/// All of them; clones share them. They are found by the hash of their secret, so that how long the search takes
/// tells nothing of a secret that would be like it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meetings(Arc<Mutex<HashMap<[u8; 32], Meeting>>>);

impl Meetings {
    /// A secret for a one-off dyno.
    pub(crate) fn one_off(&self, id: DynoId, attached: Attached) -> Secret {
        self.arrange(Program::OneOff(id), attached)
    }

    /// A secret for one more program in a running dyno; nothing if [`MOST_INSIDE`] wait for their clients.
    pub(crate) fn inside(&self, id: DynoId, launch: Launch, attached: Attached) -> Option<Secret> {
        let waiting = |meeting: &&Meeting| matches!(&meeting.program, Program::Inside(other, _) if *other == id);
        let now = Instant::now();
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meetings.retain(|_, meeting| meeting.until > now);
        let count = meetings.values().filter(waiting).count();
        drop(meetings);
        (count < MOST_INSIDE).then(|| self.arrange(Program::Inside(id, launch), attached))
    }

    fn arrange(&self, program: Program, attached: Attached) -> Secret {
        let terminal = attached.terminal.map(|(columns, rows)| Terminal { columns, rows });
        let (secret, until) = (random_text(), Instant::now() + GOOD_FOR);
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meetings.retain(|_, meeting| meeting.until > Instant::now());
        if meetings.len() >= MOST
            && let Some(oldest) = meetings.iter().min_by_key(|(_, meeting)| meeting.until).map(|(hash, _)| *hash)
        {
            meetings.remove(&oldest);
            tracing::warn!("more than {MOST} clients of programs are waited for; the oldest is given up");
        }
        meetings.insert(hash(&secret), Meeting { program, terminal, until });
        Secret::new(secret)
    }

    /// Forgets those whose minute is over.
    pub(crate) fn forget_old(&self) {
        self.forget_before(Instant::now());
    }

    fn forget_before(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, meeting| meeting.until > now);
    }

    /// Takes a meeting by its secret; it cannot be had again.
    pub(crate) fn take(&self, secret: &str) -> Option<Meeting> {
        self.take_at(secret, Instant::now())
    }

    fn take_at(&self, secret: &str, now: Instant) -> Option<Meeting> {
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meetings.remove(&hash(secret)).filter(|meeting| meeting.until > now)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// 256 random bits as text: 43 characters.
#[expect(
    clippy::expect_used,
    reason = "without the kernel's randomness no secret may be made, and nothing can be done"
)]
fn random_text() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_secret_is_good_once_and_for_a_minute() {
        let meetings = Meetings::default();
        let secret = meetings.one_off(DynoId::new(), Attached { terminal: Some((80, 24)) });
        assert_eq!(secret.reveal().len(), 43);
        assert!(meetings.take("something else").is_none());
        assert_eq!(meetings.take(secret.reveal()).unwrap().terminal, Some(Terminal { columns: 80, rows: 24 }));
        assert!(meetings.take(secret.reveal()).is_none());
        let late = meetings.one_off(DynoId::new(), Attached { terminal: None });
        assert!(meetings.take_at(late.reveal(), Instant::now() + GOOD_FOR).is_none());
        meetings.one_off(DynoId::new(), Attached { terminal: None });
        meetings.forget_old();
        assert_eq!(meetings.0.lock().unwrap().len(), 1);
        meetings.forget_before(Instant::now() + GOOD_FOR);
        assert!(meetings.0.lock().unwrap().is_empty(), "what it would have been given is not kept");
    }

    #[test]
    fn a_dyno_waits_for_so_many_clients() {
        let meetings = Meetings::default();
        let launch = || Launch { program: launch::shell("true", false), env: BTreeMap::new() };
        let dyno = DynoId::new();
        let inside = |dyno| meetings.inside(dyno, launch(), Attached { terminal: None });
        let mut secrets: Vec<_> = (0..MOST_INSIDE).filter_map(|_| inside(dyno)).collect();
        assert_eq!(secrets.len(), MOST_INSIDE);
        assert!(inside(dyno).is_none());
        assert!(inside(DynoId::new()).is_some());
        assert!(meetings.take(secrets.remove(0).reveal()).is_some());
        assert!(inside(dyno).is_some());
    }
}
