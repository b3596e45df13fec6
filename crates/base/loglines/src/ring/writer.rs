//! The one who fills the ring.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use vocabulary::Timestamp;

use super::format::{self, DATA, Head, MAX_CAPACITY, MAX_TEXT, MIN_CAPACITY, RECORD, State, Stream};

/// How many bytes of records wait at most for a flush.
const STAGED: usize = 64 * 1024;
/// Into how many parts the ring is cut; the oldest lines go a part at a time, so that nothing is read to drop them.
const PARTS: u64 = 64;

/// The writing end. There is one per ring; it holds no more than 64 KiB.
#[derive(Debug)]
pub struct Writer {
    file: File,
    capacity: u64,
    state: State,
    /// Records not in the file yet.
    staged: Vec<u8>,
    /// The sequence of the newest record, staged ones included.
    sequence: u64,
    /// Offsets at which records begin, after `state.tail`, about one per part: where `tail` can move to.
    marks: VecDeque<u64>,
}

impl Writer {
    /// Formats an empty file on tmpfs (mode 0644 in a 0700 folder) as a ring of `capacity` data bytes
    /// ([`MIN_CAPACITY`] to [`MAX_CAPACITY`]). Pages of it take memory once they are written.
    pub fn create(file: File, capacity: u64) -> io::Result<Self> {
        if !(MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the ring's capacity is out of bounds"));
        }
        file.set_len(0)?;
        file.set_len(DATA + capacity)?;
        let state = State::default();
        state.write(&file)?;
        format::format(&file, capacity)?;
        Ok(Self { file, capacity, state, staged: Vec::new(), sequence: 0, marks: VecDeque::new() })
    }

    /// Adds one line (no line end, at most 10,000 bytes; longer is split by the caller) and makes it readable. If
    /// the ring is full, the oldest lines go, up to a 64th of the ring at once.
    pub fn push(&mut self, stream: Stream, time: Timestamp, text: &[u8]) -> io::Result<()> {
        self.stage(stream, time, text)?;
        self.flush()
    }

    /// Adds one line as [`Writer::push`] does, but readers see it at the next [`Writer::flush`] only (or earlier, when
    /// 64 KiB wait). With many lines at hand this saves most of the work.
    pub fn stage(&mut self, stream: Stream, time: Timestamp, text: &[u8]) -> io::Result<()> {
        let length = match u16::try_from(text.len()) {
            Ok(length) if text.len() <= MAX_TEXT => length,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "the line is too long for a ring")),
        };
        let limit = STAGED.min(usize::try_from(self.capacity / 4).unwrap_or(STAGED));
        if self.staged.len() + RECORD + text.len() > limit {
            self.flush()?;
        }
        let offset = self.state.head + self.staged.len() as u64;
        self.mark(offset);
        self.sequence += 1;
        let head = Head { length, stream, sequence: self.sequence, time: time.micros() };
        self.staged.extend_from_slice(&head.bytes(offset));
        self.staged.extend_from_slice(text);
        Ok(())
    }

    /// Makes all staged lines readable. When it fails the staged lines are lost and count as dropped.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let staged = std::mem::take(&mut self.staged);
        let written = self.write_records(&staged);
        self.staged = staged;
        self.staged.clear();
        written
    }

    /// Marks the end: readers end after the last line.
    pub fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.state.ended = true;
        self.state.write(&self.file)
    }

    fn write_records(&mut self, records: &[u8]) -> io::Result<()> {
        let length = records.len() as u64;
        if self.make_room(length) {
            self.state.write(&self.file)?;
        }
        let at = self.state.head % self.capacity;
        let until_end = usize::try_from(self.capacity - at).unwrap_or(usize::MAX).min(records.len());
        let (first, wrapped) = records.split_at(until_end);
        self.file.write_all_at(first, DATA + at)?;
        self.file.write_all_at(wrapped, DATA)?;
        self.state.head += length;
        self.state.sequence = self.sequence;
        self.state.write(&self.file)
    }

    /// Moves the tail until `length` bytes fit; whether it moved.
    fn make_room(&mut self, length: u64) -> bool {
        let before = self.state.tail;
        while self.state.head + length - self.state.tail > self.capacity {
            // A mark after the head is a staged record, which is not there yet.
            let mark = self.marks.pop_front_if(|mark| *mark <= self.state.head);
            self.state.tail = mark.unwrap_or(self.state.head);
        }
        self.state.tail != before
    }

    /// Remembers where a record begins if it is the first of a part.
    fn mark(&mut self, offset: u64) {
        let last = self.marks.back().copied().unwrap_or(self.state.tail);
        if offset - last >= self.capacity / PARTS {
            self.marks.push_back(offset);
        }
    }
}
