//! The engine of one machine: namespaces, mounts, network, images, repositories.

pub mod git;
pub mod images;
pub mod network;
pub mod stack;
