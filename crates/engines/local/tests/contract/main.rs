//! What every engine promises, tried on this machine: real namespaces, cgroups, mounts and links. Needs root.

mod fixture;
mod isolation;
mod life;
mod limits;
mod port;
