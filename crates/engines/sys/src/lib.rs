//! All `unsafe` of the project: what the kernel offers and no safe crate wraps for our use.

pub mod confine;
pub mod loop_device;
pub mod namespace;
