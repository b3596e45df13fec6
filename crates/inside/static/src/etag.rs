//! Entity tags made of the content. Times are no use: every slug is packed with the same ones, so that two releases may
//! have files of one size and one time that differ.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// Largest file that is read through for its tag; larger ones are sent without.
const LIMIT: u64 = 8 << 20;
/// Most tags that are remembered; beyond it they are made anew.
const KEPT: usize = 4096;

/// A file as the kernel knows it, so that a rewritten one gets a new tag.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity([u64; 3], i64, i64);

/// Remembers the tags of files.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    known: Mutex<HashMap<Identity, String>>,
}

impl Tags {
    /// The tag with its quotes; none for a file too large.
    pub(crate) fn of(&self, file: &File) -> io::Result<Option<String>> {
        let metadata = file.metadata()?;
        if metadata.len() > LIMIT {
            return Ok(None);
        }
        let identity =
            Identity([metadata.dev(), metadata.ino(), metadata.len()], metadata.mtime(), metadata.mtime_nsec());
        if let Some(tag) = self.lock().get(&identity) {
            return Ok(Some(tag.clone()));
        }
        let tag = digest(file, metadata.len())?;
        let mut known = self.lock();
        if known.len() < KEPT {
            known.insert(identity, tag.clone());
        }
        Ok(Some(tag))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Identity, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads at its own offsets: the file's position stays where it is.
fn digest(file: &File, length: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut offset = 0;
    while offset < length {
        let read = std::os::unix::fs::FileExt::read_at(file, &mut buffer, offset)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        offset += read as u64;
    }
    let digest = hash.finalize();
    let digits = digest.iter().take(12).flat_map(|byte| [byte >> 4, byte & 15]);
    let text: String = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect();
    Ok(format!("\"{text}\""))
}

/// Whether `If-None-Match` names the tag; weak and strong tags are the same here (RFC 9110, 13.1.2).
pub(crate) fn matches(if_none_match: &str, tag: &str) -> bool {
    let mut named = if_none_match.split(',').map(|text| text.trim().trim_start_matches("W/"));
    named.any(|text| text == "*" || text == tag)
}
