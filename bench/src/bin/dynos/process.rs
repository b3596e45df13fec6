//! A start by a program of somebody else's: spawned, heard, waited for.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::Failure;

use crate::Times;

/// Runs a command that starts a container which says hello; it has ended when everything of it is gone.
pub(crate) fn hello(command: &mut Command) -> Result<Times, Failure> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().ok_or("it has no output")?;
    let mut byte = [0];
    let heard = stdout.read(&mut byte)?;
    let first = begun.elapsed();
    let status = child.wait()?;
    let total = begun.elapsed();
    if heard == 1 && status.success() {
        return Ok(Times { first, total });
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    Err(format!("{command:?} ended with {status}: {said}").into())
}
