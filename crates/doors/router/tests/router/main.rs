//! The router through its sockets: what a client, a dyno and control see of it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail as the test does")]

mod bodies;
mod codes;
mod connect;
mod harness;
mod platform;
mod rendezvous;
mod smuggling;
mod stand_in;
mod tables;
