//! Running a program and keeping what it said.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// The longest any single command may take.
const LIMIT: Duration = Duration::from_mins(5);

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Both outputs, for messages.
    pub fn both(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The output if it ended well, or a failure that shows it.
    pub fn good(self) -> Result<Self, Failure> {
        if self.status.success() {
            Ok(self)
        } else {
            Err(format!("ended with {}:\n{}", self.status, self.both()).into())
        }
    }

    /// The output if it ended badly, or a failure that shows it.
    pub fn bad(self) -> Result<Self, Failure> {
        if self.status.success() { Err(format!("should have failed:\n{}", self.both()).into()) } else { Ok(self) }
    }
}

/// Runs a command to its end; one that takes longer than five minutes is ended and is a failure.
pub fn run(command: &mut Command) -> Result<Output, Failure> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take().map(collect), child.stderr.take().map(collect));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            let told = [out, err].into_iter().flatten().filter_map(|thread| thread.join().ok()).collect::<String>();
            return Err(format!("{command:?} took more than {} s:\n{told}", LIMIT.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text =
        |thread: Option<thread::JoinHandle<String>>| thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
    Ok(Output { status, stdout: text(out), stderr: text(err) })
}

/// Waits until a condition holds, for at most 30 s; `what` tells what did not happen.
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let begun = Instant::now();
    while !holds()? {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(format!("not within 30 s: {what}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends the text there.
        drop(pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
