//! The rest of process 1's life.

use std::io;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

/// Hands SIGTERM (and its kin) to every process, as Heroku does, reaps whatever ends, and answers the status of
/// `program` once it ended, as a shell tells it. When this process ends the kernel kills all that is left.
pub(super) fn wait_for(program: Pid) -> io::Result<i32> {
    loop {
        match sys::signals::wait()? {
            Signal::CHILD => {
                if let Some(status) = reap(program)? {
                    return Ok(status);
                }
            }
            signal @ (Signal::TERM | Signal::INT | Signal::HUP | Signal::USR1 | Signal::USR2 | Signal::QUIT) => {
                hand_on(signal)?;
            }
            _ => {}
        }
    }
}

fn reap(program: Pid) -> io::Result<Option<i32>> {
    let mut ended = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => ended = Some(as_a_shell_tells(status)),
            Ok(Some(_)) => {}
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(ended),
            Err(error) => return Err(error.into()),
        }
    }
}

fn as_a_shell_tells(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1)
}

fn hand_on(signal: Signal) -> io::Result<()> {
    match sys::signals::send_to_all(signal) {
        // Nobody is left; their end is on its way.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
        done => done,
    }
}
