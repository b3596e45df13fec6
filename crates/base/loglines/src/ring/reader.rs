//! The ones who read the ring.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use vocabulary::Timestamp;

use super::format::{self, DATA, Head, RECORD, State, Stream};
use super::watch::Watch;

/// How many bytes are read at once; a batch holds no more.
const CHUNK: u64 = 256 * 1024;
/// How often a read that was overtaken by the writer is tried again before the task yields.
const TRIES: usize = 16;

/// One line of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// 1, 2, 3, … without gaps except where lines were dropped.
    pub sequence: u64,
    /// When it was written.
    pub time: Timestamp,
    /// What to.
    pub stream: Stream,
    /// The line without its end; any bytes.
    pub text: Vec<u8>,
}

/// Some lines.
#[derive(Debug, Default)]
pub struct Batch {
    /// The lines, oldest first.
    pub records: Vec<Record>,
    /// Lines dropped since the last batch. They were older than the last record of this one, nearly always than its
    /// first.
    pub dropped: u64,
    /// No more will come.
    pub ended: bool,
}

/// A reading end; it needs no more than a descriptor open for reading.
#[derive(Debug)]
pub struct Reader {
    file: File,
    capacity: u64,
    /// The offset to read from.
    offset: u64,
    /// The sequence of the newest line given out.
    sequence: u64,
    watch: Option<Watch>,
}

impl Reader {
    /// Reads from the oldest line after `sequence` (0: from the oldest there is).
    pub fn new(fd: OwnedFd, after: u64) -> io::Result<Self> {
        let file = File::from(fd);
        let capacity = format::capacity(&file)?;
        Ok(Self { file, capacity, offset: 0, sequence: after, watch: None })
    }

    /// Waits until there are lines or the end; after the end it gives an empty ended batch again. May be dropped
    /// before it is ready without losing a line. Must run in a tokio runtime. An error (a ring that is none any more)
    /// stays.
    pub async fn next(&mut self) -> io::Result<Batch> {
        // The watch comes before the first look, or a line between the two would wait for the timer.
        if self.watch.is_none() {
            self.watch = Some(Watch::new(&self.file));
        }
        loop {
            let batch = self.take()?;
            if !batch.records.is_empty() || batch.ended {
                return Ok(batch);
            }
            if let Some(watch) = &mut self.watch {
                watch.changed().await;
            }
        }
    }

    /// The lines that are there now, at most 256 KiB of them, without waiting.
    pub fn take(&mut self) -> io::Result<Batch> {
        let mut batch = Batch::default();
        for _ in 0..TRIES {
            let state = State::read(&self.file, self.capacity)?;
            self.offset = self.offset.max(state.tail);
            if self.offset >= state.head {
                self.finish(state, &mut batch);
                return Ok(batch);
            }
            self.read_records(state, &mut batch)?;
            if !batch.records.is_empty() {
                break;
            }
        }
        Ok(batch)
    }

    /// All is read: tells the end, and the lines that were dropped at the very end.
    fn finish(&mut self, state: State, batch: &mut Batch) {
        if state.ended {
            batch.ended = true;
            batch.dropped += state.sequence.saturating_sub(self.sequence);
            self.sequence = self.sequence.max(state.sequence);
        }
    }

    fn read_records(&mut self, state: State, batch: &mut Batch) -> io::Result<()> {
        let bytes = self.bytes((state.head - self.offset).min(CHUNK))?;
        // What lies before this tail may have been overwritten while it was read.
        let valid = State::read(&self.file, self.capacity)?.tail;
        let skip = usize::try_from(valid.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.offset = self.offset.max(valid);
        let Some(mut rest) = bytes.get(skip..) else { return Ok(()) };
        let mut parsed = false;
        while let Some((head, text, after)) = record(self.offset, rest) {
            self.keep(head, text, batch);
            self.offset += (rest.len() - after.len()) as u64;
            rest = after;
            parsed = true;
        }
        // The longest record fits the chunk, so a first one that was not overtaken and does not parse is broken.
        if !parsed && skip == 0 {
            self.offset = self.offset.max(state.head);
        }
        Ok(())
    }

    fn keep(&mut self, head: Head, text: &[u8], batch: &mut Batch) {
        if head.sequence <= self.sequence {
            return;
        }
        batch.dropped = batch.dropped.saturating_add(head.sequence - self.sequence - 1);
        self.sequence = head.sequence;
        batch.records.push(Record {
            sequence: head.sequence,
            time: Timestamp::from_micros(head.time),
            stream: head.stream,
            text: text.to_vec(),
        });
    }

    /// So many bytes of the data area from the reader's offset.
    fn bytes(&self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let at = self.offset % self.capacity;
        let until_end = usize::try_from(self.capacity - at).unwrap_or(usize::MAX).min(bytes.len());
        let (first, wrapped) = bytes.split_at_mut(until_end);
        self.file.read_exact_at(first, DATA + at)?;
        self.file.read_exact_at(wrapped, DATA)?;
        Ok(bytes)
    }
}

/// The whole record that lies at `offset` and begins `bytes`, its text, and the bytes after it.
fn record(offset: u64, bytes: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<RECORD>()?;
    let head = Head::parse(offset, head)?;
    let (text, after) = rest.split_at_checked(usize::from(head.length))?;
    Some((head, text, after))
}
