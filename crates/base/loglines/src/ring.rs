//! The ring file a dyno's output waits in. (signatures; being built)
#![allow(missing_docs, clippy::todo, unused_variables, clippy::unused_async, dead_code, reason = "signatures first")]

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use vocabulary::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

#[derive(Debug)]
pub struct Writer {}

impl Writer {
    /// Formats an empty file on tmpfs (mode 0644 in a 0700 folder) as a ring of `capacity` data bytes.
    pub fn create(file: File, capacity: u64) -> io::Result<Self> {
        todo!()
    }

    /// Adds one line (no line end, at most 10,000 bytes; longer is split by the caller). Drops the oldest if full.
    pub fn push(&mut self, stream: Stream, time: Timestamp, text: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// Marks the end: readers end after the last line.
    pub fn end(&mut self) -> io::Result<()> {
        todo!()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// 1, 2, 3, … without gaps except where lines were dropped.
    pub sequence: u64,
    pub time: Timestamp,
    pub stream: Stream,
    pub text: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<Record>,
    /// Lines dropped before the first record of this batch.
    pub dropped: u64,
    /// No more will come.
    pub ended: bool,
}

#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Reads from the oldest line after `sequence` (0: from the oldest there is).
    pub fn new(fd: OwnedFd, after: u64) -> io::Result<Self> {
        todo!()
    }

    /// Waits until there are lines or the end. Must run in a tokio runtime.
    pub async fn next(&mut self) -> io::Result<Batch> {
        todo!()
    }
}
