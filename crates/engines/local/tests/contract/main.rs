//! What every engine promises, tried on this machine: real namespaces, cgroups, mounts and links. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy knows only the test functions as such")]

mod attached;
mod collection;
mod fixture;
mod isolation;
mod life;
mod limits;
mod port;
