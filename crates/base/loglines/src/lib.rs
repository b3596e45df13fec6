//! One log line, the handle every part writes to, and the ring a dyno's output waits in.
//!
//! Knows no reader. A writer never waits: a full queue drops the line and counts it.

mod line;
pub mod ring;
mod sink;

pub use line::{LogLine, Source};
pub use sink::{LogSink, Queue};
