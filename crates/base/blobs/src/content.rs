//! Blobs named by their content.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use vocabulary::Digest;

use crate::pins::{Pin, Pins};
use crate::sweep::Sweep;

/// The folder of blobs; clones share it.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) folder: PathBuf,
    pub(crate) pins: Pins,
}

impl Blobs {
    /// Opens or makes the folder and clears away drafts an earlier process left.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let drafts = folder.join("drafts");
        if drafts.exists() {
            fs::remove_dir_all(&drafts)?;
        }
        fs::create_dir_all(&drafts)?;
        Ok(Self { folder: folder.to_owned(), pins: Pins::default() })
    }

    /// Begins a blob.
    pub fn draft(&self) -> io::Result<Draft> {
        let file = NamedTempFile::new_in(self.folder.join("drafts"))?;
        Ok(Draft { file, place: self.clone() })
    }

    /// Opens a blob for reading.
    pub fn get(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.path(digest))
    }

    /// Keeps the blob, or the layer, of this digest from collection while the pin is held; whether it is there is
    /// another question.
    #[must_use]
    pub fn pin(&self, digest: &Digest) -> Pin {
        self.pins.pin(digest)
    }

    /// Begins a collection: before the references are read.
    #[must_use]
    pub fn sweep(&self) -> Sweep {
        Sweep::begin(self.clone())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.as_str();
        self.folder.join(name.get(..2).unwrap_or_default()).join(name)
    }
}

/// A blob being written; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    place: Blobs,
}

impl Draft {
    /// The file, to write to or to hand to another process.
    #[must_use]
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Hashes what was written, syncs it, and gives it its name. Answers the digest and the size in bytes. The pin is
    /// held until a row names the digest. Blocks.
    pub fn finish(mut self) -> io::Result<(Pin, u64)> {
        let file = self.file.as_file_mut();
        file.sync_all()?;
        file.rewind()?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(buffer.get(..count).unwrap_or_default());
            size += count as u64;
        }
        let digest = self.place.pins.pin(&Digest::from_bytes(&hasher.finalize().into()));
        let path = self.place.path(&digest);
        let folder = path.parent().unwrap_or(&self.place.folder);
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            // A blob is only there after a power cut if its folder is.
            File::open(&self.place.folder)?.sync_all()?;
        }
        self.file.persist(&path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()?;
        Ok((digest, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_found_by_its_content_and_a_draft_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let mut draft = blobs.draft().unwrap();
        draft.write(b"hello").unwrap();
        let (digest, size) = draft.finish().unwrap();
        assert_eq!(digest.as_str(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        let mut text = String::new();
        blobs.get(&digest).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), size), ("hello", 5));
        drop(blobs.draft().unwrap());
        assert_eq!(fs::read_dir(folder.path().join("drafts")).unwrap().count(), 0);
    }
}
