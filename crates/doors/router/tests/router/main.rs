//! The router through its sockets: what a client, a dyno and control see of it.

#![allow(clippy::string_slice, reason = "the texts cut here are ASCII of the tests' own")]

mod bodies;
mod codes;
mod harness;
mod platform;
mod smuggling;
mod tables;
