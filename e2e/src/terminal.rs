//! A command in a terminal of its own, as somebody types at it. `script` from util-linux makes the terminal.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Failure, Output};

/// How long anything may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running command and its terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a shell's line in a terminal of 101 columns and 37 rows. `command` brings the environment; its program
    /// is not used.
    pub fn start(environment: &Command, line: &str) -> Result<Self, Failure> {
        let mut command = Command::new("script");
        command.env_clear().envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
        if let Some(folder) = environment.get_current_dir() {
            command.current_dir(folder);
        }
        let line = format!("stty cols 101 rows 37; {line}");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let keyboard = child.stdin.take().ok_or("no keyboard")?;
        let mut screen = child.stdout.take().ok_or("no screen")?;
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
            }
        });
        Ok(Self { child, keyboard, shown })
    }

    /// Everything that was shown.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until a text is shown.
    pub fn wait_for(&self, text: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        while !self.shown().contains(text) {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{text:?} was not shown in time: {:?}", self.shown()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Types.
    pub fn enter(&mut self, keys: &str) -> Result<(), Failure> {
        self.keyboard.write_all(keys.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Waits for the end.
    pub fn end(mut self) -> Result<Output, Failure> {
        let status = self.status()?;
        // What it showed last may still be on its way from the terminal.
        thread::sleep(Duration::from_millis(50));
        Ok(Output { status, stdout: self.shown(), stderr: String::new() })
    }

    fn status(&mut self) -> Result<ExitStatus, Failure> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > PATIENCE {
                self.child.kill()?;
                self.child.wait()?;
                return Err(format!("it did not end in time: {:?}", self.shown()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
