//! The product through its doors: a platform of its own for the tests, and the real clients that use it.
//!
//! Knows `slipway up`, git, the official `heroku` command, plain HTTP. Knows nothing of the inside.

mod acts;
mod another_build;
mod browser;
mod client;
mod compatibility;
mod crash_points;
mod disk;
mod held;
mod http;
mod leftovers;
mod load;
mod outside;
mod platform;
mod registry;
mod run;
mod scenario;
mod terminal;
mod witness;

pub use acts::act;
pub use another_build::another_build;
pub use browser::Browser;
pub use client::{Client, Repository};
pub use crash_points::CrashPoints;
pub use disk::Disk;
pub use held::Held;
pub use http::{Connection, Response, request};
pub use leftovers::leftovers;
pub use load::{Load, Report};
pub use outside::Outside;
pub use platform::{Platform, program as slipway_program};
pub use registry::{Layer as RegistryLayer, Registry};
pub use run::{Output, run, until};
pub use scenario::{Scenario, main};
pub use terminal::Terminal;
pub use witness::Witness;

/// What a scenario says when something does not hold.
pub type Failure = Box<dyn std::error::Error>;

/// Fails a scenario with a sentence unless a condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($told:tt)+) => {
        if !$condition {
            return Err(format!($($told)+).into());
        }
    };
}
