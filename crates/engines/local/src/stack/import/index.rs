//! What an archive holds and where: read by the child without rights, so that its parent only reads JSON and ranges.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};
use tar::{Archive, EntryType};

use super::child::Problem;

/// The most entries of an archive of an image: three for each layer, and a few.
const MAX_ENTRIES: usize = 4096;
/// The longest name in one.
const MAX_NAME: usize = 512;

/// The files of an archive by name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    pub(super) files: BTreeMap<String, Range>,
    /// Older exports write a layer once and links for the images that share it.
    pub(super) links: BTreeMap<String, String>,
}

/// Where a file's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// The child's part.
pub(super) fn main(output: impl io::Write) -> Result<(), Problem> {
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|error| Problem::Archive(error.to_string()))?;
    let index = index(File::from(input))?;
    serde_json::to_writer(output, &index).map_err(|error| Problem::Archive(error.to_string()))
}

/// Reads the names and places of the files of a tar.
fn index(file: File) -> Result<Index, Problem> {
    let broken = |error: io::Error| Problem::Archive(error.to_string());
    let mut index = Index::default();
    let mut archive = Archive::new(file);
    for entry in archive.entries_with_seek().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if index.files.len() + index.links.len() >= MAX_ENTRIES {
            return Err(Problem::Archive(format!("it holds more than {MAX_ENTRIES} files")));
        }
        let path = entry.path_bytes();
        let name = String::from_utf8_lossy(path.strip_prefix(b"./").unwrap_or(&path)).into_owned();
        if name.len() > MAX_NAME {
            return Err(Problem::Archive(format!("it holds a name of {} bytes", name.len())));
        }
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                index.files.insert(name, Range { offset: entry.raw_file_position(), size: entry.size() });
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                index.links.insert(name, String::from_utf8_lossy(&target).chars().take(MAX_NAME).collect());
            }
            _ => {}
        }
    }
    Ok(index)
}
