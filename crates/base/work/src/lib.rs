//! Work that happens while nobody asks: waking the reconcilers, and running jobs.
//!
//! Knows who can be woken and how a job is taken, run once per lane, and repeated; knows no job's and no
//! reconciler's content. *Write, then wake*: a request records what should be in the store, and wakes the reconciler
//! that owns it ([`Wakers`]). One-time long work (a build, a release phase) is a job in the store's queue, added in
//! the same write as what it is about; it may run twice ([`Jobs`]).

mod jobs;
mod tasks;
mod wakers;

pub use jobs::{Handler, Jobs, Outcome, handler};
pub use tasks::Tasks;
pub use wakers::{Changes, Waker, Wakers};
