//! What the measuring programs share: figures of several runs, and the moments the platform's log tells.
//!
//! Knows how to read and print. Knows nothing of what is measured.

mod figures;
mod moments;

pub use figures::{Figures, milliseconds};
pub use moments::{Moment, moments};
