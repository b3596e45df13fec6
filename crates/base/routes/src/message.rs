//! The messages between control, which publishes, and a router, which connects to it.

use serde::{Deserialize, Serialize};
use vocabulary::DynoId;

/// The version of these messages; both sides must have the same.
pub const VERSION: u32 = 1;

/// Towards a router.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ToRouter {
    /// A new table; it comes as sealed memory (JSON of [`crate::Table`]) in the frame's one descriptor.
    Publish {
        /// The table's version.
        version: u64,
    },
}

/// From a router.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromRouter {
    /// First on every connection.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The router's process id.
        pid: u32,
        /// The version of the table it serves, 0 without one.
        table: u64,
    },
    /// The table is served and persisted.
    Acknowledge {
        /// Its version.
        version: u64,
        /// Requests still under way at dynos that are in no table any more.
        in_flight: Vec<InFlight>,
    },
    /// The table was refused; the older one stays.
    Refuse {
        /// Its version.
        version: u64,
        /// Why.
        reason: String,
    },
    /// No request is under way any more at a dyno that left the table.
    Drained {
        /// Which.
        dyno: DynoId,
    },
    /// Log lines of requests, oldest first.
    Lines(Vec<loglines::LogLine>),
    /// So many log lines were dropped, because control was away or slow.
    Dropped(u64),
}

/// How many requests a dyno still serves.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct InFlight {
    /// Which.
    pub dyno: DynoId,
    /// How many.
    pub requests: u32,
}
