//! Messages between the roles of one machine: a Unix stream of frames that may carry file descriptors.
//!
//! Knows framing, descriptors, peer credentials and sealed memory; knows no message.
//!
//! ```text
//! frame := length (u32, big-endian, 1 ..= 1 MiB)  body (JSON, `length` bytes)
//! ```
//!
//! Descriptors travel as SCM_RIGHTS beside the first byte of their frame, at most [`MAX_FDS`]. A body that would be
//! larger than a frame travels as a sealed memfd ([`seal`], [`unseal`]). Both sides trust the kernel for who the
//! peer is ([`Connection::peer`]) and nothing else: a frame that is too large or no JSON of the expected type ends
//! the connection.

mod connection;
mod memory;

pub use connection::{Connection, Error, Peer, Receiver, Sender};
pub use memory::{seal, unseal};

/// The largest body of a frame, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;

/// The most descriptors one frame carries.
pub const MAX_FDS: usize = 8;
