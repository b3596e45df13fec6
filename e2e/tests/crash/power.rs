//! The power is cut.

use e2e::Failure;

pub fn nothing_acknowledged_is_lost(_: u32) -> Result<(), Failure> {
    Err("to be written".into())
}
