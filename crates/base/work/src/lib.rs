//! Work that happens while nobody asks: waking the reconcilers, and running jobs.
//!
//! Knows who can be woken and how a job is taken, run once per lane, and repeated; knows no job's and no
//! reconciler's content. *Write, then wake*: a request records what should be in the store, and wakes the reconciler
//! that owns it ([`Wakers`]). One-time long work (a build, a release phase) is a job in the store's queue, added in
//! the same write as what it is about; it may run twice, and always ends, done or failed
//! with a reason ([`Jobs`]). What a request does itself takes one of a bounded number of places ([`Places`]).

mod handler;
mod jobs;
mod patience;
mod places;
mod tasks;
mod wakers;

pub use handler::{Handler, Outcome, guarded, handler};
pub use jobs::Jobs;
pub use patience::Patience;
pub use places::{Full, Place, Places};
pub use tasks::Tasks;
pub use wakers::{Changes, Waker, Wakers};
