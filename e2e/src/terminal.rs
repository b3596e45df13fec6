//! The official command at a terminal, for what it only asks people: `script` (bsdutils, on every Debian) holds the
//! pseudo-terminal.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Failure, Output, Platform};

/// How long a prompt may take to come, or the command to end.
const LIMIT: Duration = Duration::from_mins(2);

/// A running command; ended when dropped.
#[derive(Debug)]
pub struct Terminal<'a> {
    platform: &'a Platform,
    words: String,
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<String>,
    /// Everything shown so far.
    shown: String,
    /// How much of it was waited for already.
    read: usize,
}

impl<'a> Terminal<'a> {
    /// Starts `words`, as a shell reads them, in the environment of `script`, a command that runs
    /// the program of that name. The terminal has 101 columns and 37 rows.
    pub(crate) fn start(platform: &'a Platform, mut script: Command, words: &str) -> Result<Self, Failure> {
        let line = format!("stty cols 101 rows 37; {words}");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let keyboard = child.stdin.take().ok_or("no keyboard")?;
        let mut output = child.stdout.take().ok_or("no screen")?;
        let (show, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if show.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { platform, words: words.to_owned(), child, keyboard, screen, shown: String::new(), read: 0 })
    }

    /// Waits until a text is shown that was not waited for before; answers what was shown since.
    pub fn wait_for(&mut self, text: &str) -> Result<String, Failure> {
        let begun = Instant::now();
        loop {
            let unread = self.shown.get(self.read..).unwrap_or_default();
            if let Some(at) = unread.find(text) {
                let shown = unread.to_owned();
                self.read += at + text.len();
                return Ok(shown);
            }
            let left = LIMIT.saturating_sub(begun.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.shown.push_str(&more),
                Err(_) => return Err(format!("the terminal never showed {text:?}:\n{}", self.shown).into()),
            }
        }
    }

    /// Types a text and Enter.
    pub fn enter(&mut self, text: &str) -> Result<(), Failure> {
        // A prompt that is shown listens a moment later.
        thread::sleep(Duration::from_millis(300));
        self.press(&format!("{text}\r"))
    }

    /// Presses keys, nothing else.
    pub fn press(&mut self, keys: &str) -> Result<(), Failure> {
        self.keyboard.write_all(keys.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Waits for the end; answers everything shown.
    pub fn end(mut self) -> Result<Output, Failure> {
        let begun = Instant::now();
        while let Ok(more) = self.screen.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
            self.shown.push_str(&more);
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                let output = Output { status, stdout: std::mem::take(&mut self.shown), stderr: String::new() };
                if let Some(line) = self.words.strip_prefix("heroku ") {
                    self.platform.ran(&line.split(' ').collect::<Vec<_>>(), &output);
                }
                return Ok(output);
            }
            if begun.elapsed() > LIMIT {
                return Err(format!("the command at the terminal did not end:\n{}", self.shown).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
