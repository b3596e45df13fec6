//! Packs as no git would write them: each object as it is given.
//!
//! ```text
//! pack   := "PACK" version (u32) count (u32) object* SHA-1
//! object := kind and size (7 bits a byte, 4 in the first)  [distance or name of the base]  zlib
//! ```

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest as _, Sha1};

pub(crate) type Name = [u8; 20];

const COMMIT: u8 = 1;
const TREE: u8 = 2;
const BLOB: u8 = 3;
const OFFSET_DELTA: u8 = 6;
const NAME_DELTA: u8 = 7;

/// A pack that is being made.
pub(crate) struct Pack {
    bytes: Vec<u8>,
    count: u32,
}

impl Pack {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![], count: 0 }
    }

    pub(crate) fn blob(&mut self, content: &[u8]) -> Name {
        self.whole(BLOB, "blob", content)
    }

    /// A tree of entries as they are: mode, name, object.
    pub(crate) fn tree(&mut self, entries: &[(&str, &[u8], Name)]) -> Name {
        let mut content = vec![];
        for (mode, name, object) in entries {
            content.extend([mode.as_bytes(), b" ", name, b"\0", object].concat());
        }
        self.whole(TREE, "tree", &content)
    }

    pub(crate) fn commit(&mut self, tree: Name) -> Name {
        let text = format!("tree {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nOne\n", hex(&tree));
        self.whole(COMMIT, "commit", text.as_bytes())
    }

    /// A delta against the object this many bytes before it.
    pub(crate) fn offset_delta(&mut self, distance: u64, delta: &[u8]) -> u64 {
        let at = self.head(OFFSET_DELTA, delta.len());
        let mut digits = vec![u8::try_from(distance & 0x7f).unwrap()];
        let mut rest = distance >> 7;
        while rest > 0 {
            rest -= 1;
            digits.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
            rest >>= 7;
        }
        self.bytes.extend(digits.iter().rev());
        self.body(delta);
        at
    }

    /// A delta against an object by its name.
    pub(crate) fn name_delta(&mut self, base: Name, delta: &[u8]) {
        self.head(NAME_DELTA, delta.len());
        self.bytes.extend(base);
        self.body(delta);
    }

    /// Where the next object will be, counted from the pack's beginning.
    pub(crate) fn place(&self) -> u64 {
        self.bytes.len() as u64 + 12
    }

    /// The request that sets `main` to a commit with this pack.
    pub(crate) fn push(&self, commit: Name) -> Vec<u8> {
        let mut request = line(&format!("{} {} refs/heads/main\0 report-status\n", "0".repeat(40), hex(&commit)));
        request.extend(b"0000");
        request.extend(self.finished());
        request
    }

    pub(crate) fn finished(&self) -> Vec<u8> {
        let mut pack = [b"PACK".as_slice(), &2_u32.to_be_bytes(), &self.count.to_be_bytes(), &self.bytes].concat();
        pack.extend(Sha1::digest(&pack));
        pack
    }

    fn whole(&mut self, kind: u8, word: &str, content: &[u8]) -> Name {
        self.head(kind, content.len());
        self.body(content);
        Sha1::digest([format!("{word} {}\0", content.len()).as_bytes(), content].concat()).into()
    }

    fn head(&mut self, kind: u8, size: usize) -> u64 {
        let at = self.place();
        let mut rest = size >> 4;
        let mut byte = kind << 4 | u8::try_from(size & 15).unwrap();
        while rest > 0 {
            self.bytes.push(byte | 0x80);
            byte = u8::try_from(rest & 0x7f).unwrap();
            rest >>= 7;
        }
        self.bytes.push(byte);
        self.count += 1;
        at
    }

    fn body(&mut self, content: &[u8]) {
        let mut zlib = ZlibEncoder::new(vec![], Compression::best());
        zlib.write_all(content).unwrap();
        self.bytes.extend(zlib.finish().unwrap());
    }
}

/// A delta that makes `times` copies of a base of `size` bytes.
pub(crate) fn copies(size: usize, times: usize) -> Vec<u8> {
    let mut delta = [number(size), number(size * times)].concat();
    for _ in 0..times {
        // A copy takes at most 2^24 - 1 bytes; of larger bases, several.
        let mut from = 0;
        while from < size {
            let length = (size - from).min(0xff_ffff);
            let offset = u32::try_from(from).unwrap().to_le_bytes();
            let [a, b, c, _] = u32::try_from(length).unwrap().to_le_bytes();
            delta.push(0xff);
            delta.extend(offset);
            delta.extend([a, b, c]);
            from += length;
        }
    }
    delta
}

/// A size as a delta writes it.
pub(crate) fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = vec![];
    while value > 0x7f {
        bytes.push(0x80 | u8::try_from(value & 0x7f).unwrap());
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// A pkt-line.
pub(crate) fn line(text: &str) -> Vec<u8> {
    [format!("{:04x}", text.len() + 4).as_bytes(), text.as_bytes()].concat()
}

pub(crate) fn hex(name: &Name) -> String {
    name.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
