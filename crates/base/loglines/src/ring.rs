//! The ring file a dyno's output waits in: one writer (the shim), many readers in other processes.
//!
//! Knows bytes, sequences and times; neither what a line means nor who asks. The writer never waits for a reader: when
//! the ring is full the oldest lines go, and a reader that had not read them finds a gap in the sequence.
//!
//! # The file (version 1; integers little endian)
//!
//! ```text
//! 0     magic "SLIPRING"                     8 bytes
//! 8     version                              u64
//! 16    capacity: bytes of the data area     u64   16 KiB ..= 1 GiB
//! 24    check over version and capacity      u64
//! 64    state, replaced by one write:
//!         tail      offset of the oldest record        u64
//!         head      offset after the newest record     u64
//!         sequence  of the newest record, 0: none yet  u64
//!         ended     0 or 1                             u64
//!         check     over the four                      u64
//! 4096  data area: `capacity` bytes
//! ```
//!
//! Offsets only grow; the byte of offset `o` lies at `4096 + o % capacity`, and a record may wrap around the end:
//!
//! ```text
//! check     over its offset and all fields below but the text  u32
//! length    of the text                                        u16   at most 10,000
//! stream    1 out, 2 err                                       u8
//! zero                                                         u8
//! sequence  1, 2, 3, …                                         u64
//! time      microseconds since 1970                            i64
//! text      `length` bytes, no line end
//! ```
//!
//! # The order of things
//!
//! The writer moves `tail` forward before it overwrites what lay there, and `head` after the records are in place. A
//! reader reads the state, then records, then the state again: what lies before the second `tail` may have been
//! overwritten meanwhile and is thrown away. Checks catch the rest: a torn state is read again, a record that does not
//! check makes the reader jump to `head`. Whatever the file holds, a reader neither panics nor loops nor takes more
//! than a bounded batch.

mod format;
mod reader;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

pub use format::{MAX_CAPACITY, MIN_CAPACITY, Stream};
pub use reader::{Batch, Reader, Record};
pub use writer::Writer;
