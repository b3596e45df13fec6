//! The table of routes: what `control` publishes, what each router serves from, and the copy a router keeps on disk;
//! and what the two say to each other about a client that comes to a [`rendezvous`].
//!
//! Knows the table's types, the messages between publisher and router, and the file. Knows neither how a table comes
//! about (`rooms/routes`) nor how a request is served from it (`doors/router`).
//!
//! A table is immutable and whole; a router swaps it at once. The contract (no request lost on a change):
//!
//! 1. control publishes version v ([`ToRouter::Publish`] with the table in sealed memory);
//! 2. the router validates, swaps, persists it (0600, write-rename-fsync) and answers [`FromRouter::Acknowledge`] with
//!    how many requests each dyno that is not in the table any more still serves;
//! 3. each of these dynos that comes to none is told by [`FromRouter::Drained`];
//! 4. a dyno is stopped only when every live router acknowledged a table without it and it is drained, or 30 s passed.

mod departures;
mod file;
mod message;
pub mod rendezvous;
mod table;

pub use departures::{Departure, Departures, Routed};
pub use file::{load, save};
pub use message::{FromRouter, InFlight, ToRouter, VERSION};
pub use table::{AppRoute, Invalid, Leaf, Table, Target, Web, names};
