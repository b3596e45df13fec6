//! The handlers' state: the platform, and what the API keeps in memory for itself.

use std::sync::Arc;

use tokio::sync::Semaphore;
use vocabulary::AccountId;

use crate::Platform;
use crate::http::bucket::{Buckets, Rate};
use crate::streams::sources::Sources;

/// Requests of one account: 4,500 an hour (Heroku Dev Center, "Limits": 75 come back each minute).
const REQUESTS: Rate = Rate { most: 4500, per_minute: 75 };
/// Attempts at the password of one email; an attempt costs us a tenth of a second of computing.
const ATTEMPTS: Rate = Rate { most: 20, per_minute: 4 };
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
    /// How many attempts at each email's password are left.
    pub(crate) attempts: Buckets<String>,
    /// Passwords being checked.
    pub(crate) passwords: Semaphore,
    /// Sources that were uploaded and not built yet.
    pub(crate) sources: Sources,
}

impl State {
    /// The state at the start.
    pub(crate) fn new(platform: Platform) -> Shared {
        Arc::new(Self {
            platform,
            requests: Buckets::new(REQUESTS),
            attempts: Buckets::new(ATTEMPTS),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
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
