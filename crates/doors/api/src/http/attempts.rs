//! Attempts at passwords: how often one client may try one email, and how often all strangers together may.
//!
//! A limit by email alone would let anybody keep its owner out; a limit by client alone lets many clients guess at one
//! email together. So a client that once knew an email's password has a limit of its own there, and all others share
//! a second one. Who knew what is kept in memory: after a restart of control an owner is a stranger until the next
//! sign-in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::http::bucket::{Buckets, Rate};
use crate::http::client::ClientAddress;

/// The most pairs of email and client that are known; then the one that signed in longest ago is forgotten.
const MOST_KNOWN: usize = 10_000;

/// A client at an email, in lower case.
type Pair = (String, ClientAddress);

/// See the module.
#[derive(Debug)]
pub(crate) struct Attempts {
    pairs: Buckets<Pair>,
    strangers: Buckets<String>,
    /// When a client last knew an email's password.
    known: Mutex<HashMap<Pair, Instant>>,
}

/// An attempt under way; it counts unless it was right.
#[derive(Debug)]
pub(crate) struct Attempt {
    pair: Pair,
    stranger: bool,
}

impl Attempts {
    /// No attempts yet.
    pub(crate) fn new(each: Rate, strangers: Rate) -> Self {
        Self { pairs: Buckets::new(each), strangers: Buckets::new(strangers), known: Mutex::default() }
    }

    /// Counts an attempt; nothing if there were too many.
    pub(crate) fn begin(&self, email: &str, client: &ClientAddress, now: Instant) -> Option<Attempt> {
        let pair = (email.to_owned(), client.clone());
        let stranger = !self.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&pair);
        self.pairs.take(pair.clone(), now)?;
        if stranger {
            self.strangers.take(email.to_owned(), now)?;
        }
        Some(Attempt { pair, stranger })
    }

    /// The password was right: the attempt does not count, and the client is no stranger.
    pub(crate) fn was_right(&self, attempt: Attempt, now: Instant) {
        self.pairs.put_back(&attempt.pair);
        if attempt.stranger {
            self.strangers.put_back(&attempt.pair.0);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(attempt.pair, now);
        if known.len() > MOST_KNOWN {
            let oldest = known.iter().min_by_key(|(_, at)| **at).map(|(pair, _)| pair.clone());
            oldest.and_then(|pair| known.remove(&pair));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: usize) -> ClientAddress {
        ClientAddress(number.to_string())
    }

    #[test]
    fn strangers_share_a_limit_that_is_not_the_owners() {
        let attempts = Attempts::new(Rate { most: 2, per_hour: 1 }, Rate { most: 5, per_hour: 1 });
        let (now, owner) = (Instant::now(), client(0));
        let right = attempts.begin("a@b", &owner, now).unwrap();
        attempts.was_right(right, now);
        for stranger in 1..=5 {
            assert!(attempts.begin("a@b", &client(stranger), now).is_some());
        }
        assert!(attempts.begin("a@b", &client(6), now).is_none(), "strangers guess no more together");
        assert!(attempts.begin("c@d", &client(6), now).is_some(), "another email has a limit of its own");
        for _ in 0..2 {
            assert!(attempts.begin("a@b", &owner, now).is_some(), "who knew the password is not kept out by others");
        }
        assert!(attempts.begin("a@b", &owner, now).is_none(), "nor may they guess for ever");
    }
}
