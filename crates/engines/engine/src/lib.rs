//! The socket into which engines are plugged: what the platform needs from a machine to run instances.
//!
//! Knows instances (a dyno, a build), layers and repositories as requests with digests and ids, never paths. Knows no
//! app's reasons: formation, release and restart stay with the rooms. The [`Engine`] handle speaks to the engine's
//! process over its socket and survives that process's death: requests under way fail with [`Error::Away`], the next
//! ones wait for its return, and [`Event::Connected`] tells the rooms to look anew with [`Engine::list`].
//!
//! Every request may be repeated: starting an id that runs answers as the first time, stopping or removing an id that
//! is gone succeeds, packing the same tree gives the same digest.

mod client;
mod message;
mod spec;
mod usage;

pub use client::{Engine, Error, Git};
pub use message::{Event, FromEngine, PAGE, Refusal, Reply, Request, ToEngine, VERSION};
pub use spec::{
    Discarded, Exit, GitService, Image, InstalledStack, InstanceSpec, InstanceState, InstanceStatus, Kind, Limits,
    Packed, Started, Stdio, Terminal, Variant,
};
pub use usage::{MemoryUsage, Pages, Usage};
