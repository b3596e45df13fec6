//! The one module that prints: what a person at a terminal reads.

use std::fmt::Display;
use std::io::Write as _;

/// Says something on standard output. A reader that went away is no error.
pub(crate) fn say(text: impl Display) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Says something on standard error.
pub(crate) fn warn(text: impl Display) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Says that a command failed, with every cause.
pub(crate) fn fail(error: &(dyn std::error::Error + 'static)) {
    let mut text = format!("slipway: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    warn(text);
}
