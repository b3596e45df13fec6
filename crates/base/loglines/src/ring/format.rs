//! How the ring's parts look in bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::LogLine;

/// The least data bytes of a ring: one longest record and some.
pub const MIN_CAPACITY: u64 = 16 * 1024;
/// The most data bytes of a ring; a header that says more is not believed.
pub const MAX_CAPACITY: u64 = 1 << 30;

/// Bytes before the data area: one page.
pub(super) const DATA: u64 = 4096;
/// Bytes before a record's text.
pub(super) const RECORD: usize = 24;
/// The longest text of a record.
pub(super) const MAX_TEXT: usize = LogLine::MAX_TEXT;

const MAGIC: u64 = u64::from_le_bytes(*b"SLIPRING");
const VERSION: u64 = 1;
const STATE: u64 = 64;
/// How often a state that does not check is read again; a write of 40 bytes takes less than one of these.
const STATE_READS: usize = 1000;

/// What the dyno wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The moving part of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) tail: u64,
    pub(super) head: u64,
    pub(super) sequence: u64,
    pub(super) ended: bool,
}

/// A record's fields but its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: u16,
    pub(super) stream: Stream,
    pub(super) sequence: u64,
    pub(super) time: i64,
}

/// A hash of a few numbers; it finds torn and stale bytes, it does not keep out an enemy.
fn check(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, word| {
        let hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ (hash >> 32)
    })
}

fn words<const N: usize>(file: &File, at: u64) -> io::Result<[u64; N]> {
    let mut words = [0; N];
    let mut bytes = [0; 64];
    let bytes = &mut bytes[..N * 8];
    file.read_exact_at(bytes, at)?;
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Ok(words)
}

fn write_words(file: &File, at: u64, words: &[u64]) -> io::Result<()> {
    let mut bytes = [0; 64];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    file.write_all_at(&bytes[..words.len() * 8], at)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Writes the fixed part of the header.
pub(super) fn format(file: &File, capacity: u64) -> io::Result<()> {
    write_words(file, 0, &[MAGIC, VERSION, capacity, check(&[VERSION, capacity])])
}

/// The capacity in the header.
pub(super) fn capacity(file: &File) -> io::Result<u64> {
    let [magic, version, capacity, sum] = words(file, 0)?;
    if magic != MAGIC || sum != check(&[version, capacity]) {
        return Err(invalid("the file is no ring"));
    }
    if version != VERSION {
        return Err(invalid("the ring has an unknown version"));
    }
    if !(MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) || file.metadata()?.len() < DATA + capacity {
        return Err(invalid("the ring's capacity is out of bounds"));
    }
    Ok(capacity)
}

impl State {
    pub(super) fn write(self, file: &File) -> io::Result<()> {
        let state = [self.tail, self.head, self.sequence, u64::from(self.ended)];
        let [tail, head, sequence, ended] = state;
        write_words(file, STATE, &[tail, head, sequence, ended, check(&state)])
    }

    pub(super) fn read(file: &File, capacity: u64) -> io::Result<Self> {
        for _ in 0..STATE_READS {
            let [tail, head, sequence, ended, sum] = words(file, STATE)?;
            if sum != check(&[tail, head, sequence, ended]) {
                continue;
            }
            if tail > head || head - tail > capacity {
                return Err(invalid("the ring's ends are out of bounds"));
            }
            return Ok(Self { tail, head, sequence, ended: ended != 0 });
        }
        Err(invalid("the ring's state does not check"))
    }
}

impl Head {
    /// The record's first bytes, when it lies at `offset`.
    pub(super) fn bytes(self, offset: u64) -> [u8; RECORD] {
        let stream = match self.stream {
            Stream::Out => 1,
            Stream::Err => 2,
        };
        let mut bytes = [0; RECORD];
        bytes[4..6].copy_from_slice(&self.length.to_le_bytes());
        bytes[6] = stream;
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        let sum = record_check(offset, &bytes);
        bytes[..4].copy_from_slice(&sum);
        bytes
    }

    /// The record that lies at `offset`; `None` if these bytes are none.
    pub(super) fn parse(offset: u64, bytes: &[u8; RECORD]) -> Option<Self> {
        let stream = match bytes[6] {
            1 => Stream::Out,
            2 => Stream::Err,
            _ => return None,
        };
        let head = Self {
            length: u16::from_le_bytes([bytes[4], bytes[5]]),
            stream,
            sequence: u64::from_le_bytes(bytes[8..16].try_into().ok()?),
            time: i64::from_le_bytes(bytes[16..24].try_into().ok()?),
        };
        (bytes[..4] == record_check(offset, bytes) && usize::from(head.length) <= MAX_TEXT).then_some(head)
    }
}

fn record_check(offset: u64, bytes: &[u8; RECORD]) -> [u8; 4] {
    let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let [a, b, c, d, ..] = check(&[offset, word(4), word(12), word(16)]).to_le_bytes();
    [a, b, c, d]
}
