//! What the measuring programs share: figures of several runs, the moments the platform's log tells, and
//! what its processes take.
//!
//! Knows how to read and print. Knows nothing of what is measured.

mod figures;
mod moments;
mod processes;

pub use figures::{Figures, milliseconds};
pub use moments::{Moment, moments};
pub use processes::{Process, processes};
