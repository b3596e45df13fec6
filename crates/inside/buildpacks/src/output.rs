//! What the person who pushed reads: Heroku's three forms of a line. Knows no step of a build.
//!
//! ```text
//! -----> A section
//!        A line of it
//!  !     An error
//! ```

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};

/// The build's output. Every line is written at once, so that lines of children keep their place between ours.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
}

/// Longest line of a child that is passed on whole; a longer one is broken here. The log's own limit is near it.
const LINE_LIMIT: u64 = 10_000;

impl Output {
    pub(crate) fn new(file: File) -> Self {
        Self { file }
    }

    /// `-----> text`
    pub(crate) fn section(&self, text: &str) {
        self.write(format!("-----> {text}\n").as_bytes());
    }

    /// Seven spaces and each line of the text.
    pub(crate) fn text(&self, text: &str) {
        for line in text.split('\n') {
            self.write(format!("       {line}\n").as_bytes());
        }
    }

    /// ` !     ` and each line of the text.
    pub(crate) fn error(&self, text: &str) {
        for line in text.split('\n') {
            self.write(format!(" !     {line}\n").as_bytes());
        }
    }

    /// The text as it is.
    pub(crate) fn raw(&self, text: &str) {
        self.write(text.as_bytes());
    }

    /// For a child that writes its own forms: a buildpack's `compile`.
    pub(crate) fn stdio(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.file.try_clone()?))
    }

    /// Runs a command with closed stdin; its output and errors go out unchanged, in their order.
    pub(crate) fn stream(&self, command: &mut Command) -> io::Result<ExitStatus> {
        command.stdin(Stdio::null()).stdout(self.stdio()?).stderr(self.stdio()?).status()
    }

    /// Like [`Output::stream`], each line seven spaces to the right.
    pub(crate) fn stream_indented(&self, command: &mut Command) -> io::Result<ExitStatus> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // The command holds the pipe's writing ends; the reader below would wait for them for ever.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.indent(BufReader::new(reader))?;
        child.wait()
    }

    fn indent(&self, mut reader: BufReader<io::PipeReader>) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            line.extend_from_slice(b"       ");
            let read = io::Read::take(&mut reader, LINE_LIMIT).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            self.write(&line);
        }
    }

    /// Output that nobody takes must not fail a build: the record of it is the report.
    fn write(&self, bytes: &[u8]) {
        (&self.file).write_all(bytes).ok();
    }
}
