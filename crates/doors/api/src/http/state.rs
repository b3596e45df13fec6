//! The handlers' state: the platform, and what the API keeps in memory for itself.

use std::sync::Arc;

use tokio::sync::Semaphore;
use vocabulary::AccountId;

use crate::Platform;
use crate::http::attempts::Attempts;
use crate::http::bucket::{Buckets, Rate};
use crate::http::client::ClientAddress;
use crate::signin::Logins;
use crate::streams::sources::Sources;

/// Requests of one account: 4,500 an hour (Heroku Dev Center, "Limits": 75 come back each minute).
const REQUESTS: Rate = Rate { most: 4500, per_hour: 4500 };
/// Wrong attempts at the password of one email by one client; an attempt costs us a tenth of a second of computing.
const ATTEMPTS: Rate = Rate { most: 10, per_hour: 240 };
/// Wrong attempts at the password of one email by all clients together that never knew it.
const STRANGE_ATTEMPTS: Rate = Rate { most: 100, per_hour: 1200 };
/// Wrong attempts at any password by one client; many people may share its address.
const GUESSES: Rate = Rate { most: 60, per_hour: 1200 };
/// Wrong codes of one account's second factor: at this pace, guessing one takes years.
const CODES: Rate = Rate { most: 10, per_hour: 12 };
/// What one client may ask for without being signed in: the begin of a login, tokens for a code.
const STRANGERS: Rate = Rate { most: 120, per_hour: 3600 };
/// Passwords checked at the same time: each takes some 20 MiB.
const PASSWORDS_AT_ONCE: usize = 2;

/// The handlers' state; clones share it.
pub(crate) type Shared = Arc<State>;

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    /// The platform.
    pub(crate) platform: Platform,
    /// How many requests each account has left.
    pub(crate) requests: Buckets<AccountId>,
    /// Whose password was tried from where.
    pub(crate) attempts: Attempts,
    /// How many wrong attempts at any password each client has left.
    pub(crate) guesses: Buckets<ClientAddress>,
    /// How many wrong codes of each account's second factor are left.
    pub(crate) codes: Buckets<AccountId>,
    /// How many requests each client that is not signed in has left.
    pub(crate) strangers: Buckets<ClientAddress>,
    /// Passwords being checked.
    pub(crate) passwords: Semaphore,
    /// Logins of command lines under way.
    pub(crate) logins: Logins,
    /// Sources that were uploaded and not built yet.
    pub(crate) sources: Sources,
}

impl State {
    /// The state at the start.
    pub(crate) fn new(platform: Platform) -> Shared {
        Arc::new(Self {
            platform,
            requests: Buckets::new(REQUESTS),
            attempts: Attempts::new(ATTEMPTS, STRANGE_ATTEMPTS),
            guesses: Buckets::new(GUESSES),
            codes: Buckets::new(CODES),
            strangers: Buckets::new(STRANGERS),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            logins: Logins::default(),
            sources: Sources::default(),
        })
    }
}

impl std::ops::Deref for State {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.platform
    }
}
