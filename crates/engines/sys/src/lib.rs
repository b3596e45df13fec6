//! Safe faces of Linux calls: all `unsafe` of the house.

mod inherit;

pub use inherit::inherited;
