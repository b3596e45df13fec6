//! The Platform API, version 3: Heroku's resources over JSON, and the streams they point to.
//!
//! Knows paths, headers, statuses, and how a row becomes a resource. Knows no reason for anything to change: a handler
//! parses, asks whether the caller may, calls a room, and shapes the answer. `router.rs` is the table of contents.
//!
//! What the published schema has and this table has not is answered with 501, derived from the schema itself
//! ([`unbuilt`]).

mod http;
mod platform;
mod resources;
mod router;
mod served;
mod setup;
mod signin;
mod streams;
mod unbuilt;
pub mod users;

pub use platform::{Hosts, Platform, Repositories};
pub use router::{Access, Endpoint, endpoints, router};
pub use setup::{SetupError, create_administrator};
