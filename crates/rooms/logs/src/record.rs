//! One record of a segment.
//!
//! Integers are little endian:
//!
//! ```text
//! length    of all after `check`                     u32   34 ..= 64 KiB
//! check     FNV-1a over all after it                 u32
//! id        of the line                              u64
//! time      microseconds since 1970                  i64
//! kind      1 a line of app, 2 of heroku, 3 places   u8
//! run       of the dyno that printed it, or zero     16 bytes
//! sequence  in that run's ring, or zero              u64
//! name      length u8, bytes: `web.1`
//! text      the rest
//! ```
//!
//! A record of kind 3 is no line: its text is a list of (run, sequence), 24 bytes each, and says how far the rings
//! had been read when the segment began; its id is that of the line before.

use loglines::Source;
use vocabulary::DynoId;

/// The longest record that is believed.
pub(crate) const LONGEST: usize = 64 * 1024;
const HEAD: usize = 8;
const FIXED: usize = 8 + 8 + 1 + 16 + 8 + 1;

/// One run of a dyno, as stored.
pub(crate) type Run = [u8; 16];

/// The stored form of a run's id.
pub(crate) fn run(id: DynoId) -> Run {
    *id.uuid().as_bytes()
}

/// How far a run's ring had been read with a record: up to and including this sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) run: Run,
    pub(crate) sequence: u64,
}

/// A record's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) id: u64,
    pub(crate) time: i64,
    pub(crate) place: Option<Place>,
    pub(crate) body: Body<'a>,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// A line.
    Line {
        /// Who says it.
        source: Source,
        /// Which part.
        name: &'a str,
        /// What.
        text: &'a str,
    },
    /// How far rings had been read.
    Places(&'a [u8]),
}

impl Entry<'_> {
    /// Adds the record's bytes.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        let (kind, name, text) = match self.body {
            Body::Line { source: Source::App, name, text } => (1, name, text.as_bytes()),
            Body::Line { source: Source::Heroku, name, text } => (2, name, text.as_bytes()),
            Body::Places(places) => (3, "", places),
        };
        let name = name.as_bytes();
        let name = name.get(..name.len().min(255)).unwrap_or_default();
        let text = text.get(..text.len().min(LONGEST - FIXED - 255)).unwrap_or_default();
        let length = u32::try_from(FIXED + name.len() + text.len()).unwrap_or_default();
        let place = self.place.unwrap_or(Place { run: [0; 16], sequence: 0 });
        let begin = to.len();
        to.extend_from_slice(&length.to_le_bytes());
        to.extend_from_slice(&[0; 4]);
        to.extend_from_slice(&self.id.to_le_bytes());
        to.extend_from_slice(&self.time.to_le_bytes());
        to.push(kind);
        to.extend_from_slice(&place.run);
        to.extend_from_slice(&place.sequence.to_le_bytes());
        to.push(u8::try_from(name.len()).unwrap_or_default());
        to.extend_from_slice(name);
        to.extend_from_slice(text);
        let check = check(&to[begin + HEAD..]).to_le_bytes();
        to[begin + 4..begin + HEAD].copy_from_slice(&check);
    }

    /// The record `bytes` begins with, and what follows it; `None` if it is not whole or broken.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        if !(FIXED..=LONGEST).contains(&length) {
            return None;
        }
        let (content, after) = rest.split_at_checked(length)?;
        if check(content) != u32::from_le_bytes(*sum) {
            return None;
        }
        Some((parse(content)?, after))
    }
}

fn parse(content: &[u8]) -> Option<Entry<'_>> {
    let (id, rest) = content.split_first_chunk::<8>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let (run, rest) = rest.split_first_chunk::<16>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (name, rest) = rest.split_first()?;
    let (name, text) = rest.split_at_checked(usize::from(*name))?;
    let line = |source| {
        Some(Body::Line { source, name: std::str::from_utf8(name).ok()?, text: std::str::from_utf8(text).ok()? })
    };
    let body = match kind {
        1 => line(Source::App)?,
        2 => line(Source::Heroku)?,
        3 => Body::Places(text),
        _ => return None,
    };
    let sequence = u64::from_le_bytes(*sequence);
    let place = (*run != [0; 16]).then_some(Place { run: *run, sequence });
    Some(Entry { id: u64::from_le_bytes(*id), time: i64::from_le_bytes(*time), place, body })
}

/// The text of a record of places.
pub(crate) fn write_places(places: impl Iterator<Item = Place>) -> Vec<u8> {
    places.flat_map(|place| place.run.into_iter().chain(place.sequence.to_le_bytes())).collect()
}

/// The places in such a text.
pub(crate) fn read_places(text: &[u8]) -> impl Iterator<Item = Place> + '_ {
    text.as_chunks::<24>().0.iter().filter_map(|place| {
        let (run, sequence) = place.split_first_chunk::<16>()?;
        Some(Place { run: *run, sequence: u64::from_le_bytes(sequence.try_into().ok()?) })
    })
}

fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Entry<'_> {
        let place = Some(Place { run: [7; 16], sequence: 9 });
        Entry { id: 5, time: -3, place, body: Body::Line { source: Source::App, name: "web.1", text } }
    }

    #[test]
    fn records_read_as_they_were_written() {
        let places =
            write_places([Place { run: [1; 16], sequence: 2 }, Place { run: [3; 16], sequence: 4 }].into_iter());
        let second = Entry { id: 6, time: 0, place: None, body: Body::Places(&places) };
        let mut bytes = Vec::new();
        line("hello").write(&mut bytes);
        second.write(&mut bytes);
        let (first, rest) = Entry::read(&bytes).unwrap();
        assert_eq!(first, line("hello"));
        assert_eq!(Entry::read(rest).unwrap(), (second, &[][..]));
        assert_eq!(read_places(&places).map(|place| place.sequence).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn a_torn_or_changed_record_is_none() {
        let mut bytes = Vec::new();
        line("hello").write(&mut bytes);
        for length in 0..bytes.len() {
            assert!(Entry::read(&bytes[..length]).is_none());
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Entry::read(&changed).is_none(), "{at}");
        }
    }
}
