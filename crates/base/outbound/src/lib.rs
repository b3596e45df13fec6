//! The way out to every address a tenant can name: one client, so that there is one place where it is decided which
//! addresses may be reached. Whatever the name, the spelling or the name server says, a connection is made to an
//! address that was checked, and to no other.
//!
//! 1. [`Target`]: `https`, or `http` to what the operator opened; no user, no fragment, a host.
//! 2. The name is resolved once. Of its addresses those are kept that [`Rules`] allow: public ones that are not this
//!    machine's own, and what the operator opened with `--egress-allow`. `http` reaches the latter alone: what is told
//!    is told in the clear only where the operator said so.
//! 3. The connection goes to one of these addresses; the name is used for TLS and `Host`, and not resolved again. There
//!    is no proxy and no cookie, a redirect is an answer like any other and is not followed, and of the answer the
//!    status is read, its head being at most 16 KiB, its body not at all.
//! 4. All of it takes 15 s at most.
//!
//! Knows nothing of what is sent.

mod addresses;
mod client;
mod own;
mod target;

pub use addresses::{Rules, is_public};
pub use client::{Failed, Outbound};
pub use target::{Refused, Target};
