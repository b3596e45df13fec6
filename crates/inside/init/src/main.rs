//! Process 1 of an instance: starts the one program it is there for, hands signals on, and ends as that program ended.
//!
//! Knows the launch it reads from descriptor 3, and nothing of who made it. Everything that takes rights away
//! happened before: it already runs without capabilities, under the filter of kernel calls, as the app's user. It is
//! needed because the kernel drops signals without a handler to process 1, and leaves orphans for it to reap.
//!
//! As `init exec` it is no process 1 but one more in an instance that runs: it becomes its program at once.

mod program;
mod reaper;

use std::fs::File;
use std::io::{self, Read, Write};

use inside_contract::{EXEC, LAUNCH_FD, Launch};
use rustix::fs::Mode;

/// What a shell answers for a program that cannot be started.
const CANNOT_START: i32 = 126;
/// The largest launch in bytes: config vars are at most 64 KiB at Heroku, a build's environment is of the same order.
const MAX_LAUNCH: u64 = 8 * 1024 * 1024;

fn main() {
    let status = run().unwrap_or_else(|error| {
        // Standard error is the app's log: the one place where its owner can see this. If even that fails, the
        // status still tells.
        drop(writeln!(io::stderr(), "slipway: could not start the program: {error}"));
        CANNOT_START
    });
    sys::processes::end(status);
}

fn run() -> io::Result<i32> {
    if std::env::args().nth(1).as_deref() == Some(EXEC) {
        let launch = read_launch()?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        program::become_program(&launch);
    }
    sys::signals::block_all()?;
    let launch = read_launch()?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let program = program::start(&launch)?;
    let_go()?;
    reaper::wait_for(program)
}

fn read_launch() -> io::Result<Launch> {
    let mut text = Vec::new();
    File::from(sys::descriptors::inherited(LAUNCH_FD)?).take(MAX_LAUNCH).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Closes every descriptor, so that whoever reads the program's output or its other pipes sees their end when the
/// program closes them.
fn let_go() -> io::Result<()> {
    sys::descriptors::close_from(0)
}
