//! Deleting the blobs that nothing refers to.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use vocabulary::Digest;

use crate::Blobs;

/// A collection under way; [`Blobs::sweep`] begins it.
#[derive(Debug)]
pub struct Sweep {
    blobs: Blobs,
}

/// What a sweep deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Whether there is more than it was allowed to delete.
    pub more: bool,
}

impl Sweep {
    pub(crate) fn begin(blobs: Blobs) -> Self {
        blobs.pins.begin();
        Self { blobs }
    }

    /// All that somebody holds, or held at some moment since the sweep began.
    #[must_use]
    pub fn pinned(&self) -> BTreeSet<Digest> {
        self.blobs.pins.known()
    }

    /// Deletes, at most `most` at a time, the blobs that are not among `referenced` and that nobody held since the
    /// sweep began. `referenced` must have been read after that. Blocks.
    pub fn delete_others(&self, referenced: &HashSet<Digest>, most: usize) -> io::Result<Swept> {
        let mut swept = Swept::default();
        for (digest, path) in self.files()?.into_iter().filter(|(digest, _)| !referenced.contains(digest)) {
            if swept.files == most {
                swept.more = true;
                break;
            }
            let delete = || fs::symlink_metadata(&path).and_then(|about| fs::remove_file(&path).map(|()| about.len()));
            if let Some(bytes) = self.blobs.pins.unless_known(&digest, delete).transpose()? {
                swept.files += 1;
                swept.bytes += bytes;
            }
        }
        Ok(swept)
    }

    fn files(&self) -> io::Result<Vec<(Digest, PathBuf)>> {
        let mut files = Vec::new();
        for folder in fs::read_dir(&self.blobs.folder)? {
            let folder = folder?;
            if folder.file_name().len() != 2 {
                continue; // drafts
            }
            for entry in fs::read_dir(folder.path())? {
                let path = entry?.path();
                let digest = path.file_name().and_then(|name| Digest::from_str(name.to_str()?).ok());
                files.extend(digest.map(|digest| (digest, path)));
            }
        }
        Ok(files)
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.blobs.pins.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pin;

    fn blob(blobs: &Blobs, text: &str) -> Pin {
        let mut draft = blobs.draft().unwrap();
        draft.write(text.as_bytes()).unwrap();
        draft.finish().unwrap().0
    }

    fn is_there(blobs: &Blobs, digest: &Digest) -> bool {
        blobs.get(digest).is_ok()
    }

    fn sweep(blobs: &Blobs, referenced: &[&Digest]) -> Swept {
        blobs.sweep().delete_others(&referenced.iter().map(|digest| (*digest).clone()).collect(), 100).unwrap()
    }

    fn scratch() -> (Blobs, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Blobs::open(folder.path()).unwrap(), folder)
    }

    #[test]
    fn what_is_referenced_stays_and_the_rest_goes() {
        let (blobs, _folder) = scratch();
        let (kept, gone): (Digest, Digest) = ((*blob(&blobs, "kept")).clone(), (*blob(&blobs, "gone")).clone());
        assert_eq!(sweep(&blobs, &[&kept]), Swept { files: 1, bytes: 4, more: false });
        assert!(is_there(&blobs, &kept) && !is_there(&blobs, &gone));
    }

    #[test]
    fn what_is_pinned_stays_until_the_last_pin_is_dropped() {
        let (blobs, _folder) = scratch();
        let pin = blob(&blobs, "a source");
        let second = blob(&blobs, "a source");
        let digest: Digest = (*pin).clone();
        drop(pin);
        assert_eq!(sweep(&blobs, &[]).files, 0);
        drop(second);
        assert_eq!(sweep(&blobs, &[]).files, 1);
        assert!(!is_there(&blobs, &digest));
    }

    #[test]
    fn what_was_pinned_at_some_moment_of_the_sweep_stays() {
        let (blobs, _folder) = scratch();
        let old: Digest = (*blob(&blobs, "made again")).clone();
        let sweep = blobs.sweep();
        let referenced = HashSet::new();
        // A row that names it is written after the references were read, and the pin is let go.
        drop(blob(&blobs, "made again"));
        assert_eq!(sweep.delete_others(&referenced, 100).unwrap().files, 0);
        assert!(sweep.pinned().contains(&old) && is_there(&blobs, &old));
        drop(sweep);
        assert!(blobs.sweep().pinned().is_empty());
    }

    #[test]
    fn a_sweep_ends_at_its_budget_and_says_so() {
        let (blobs, _folder) = scratch();
        for text in ["1", "2", "3"] {
            drop(blob(&blobs, text));
        }
        let first = blobs.sweep().delete_others(&HashSet::new(), 2).unwrap();
        assert_eq!((first.files, first.more), (2, true));
        let second = blobs.sweep().delete_others(&HashSet::new(), 2).unwrap();
        assert_eq!((second.files, second.more), (1, false));
    }

    #[test]
    fn a_draft_is_nobodys_garbage() {
        let (blobs, _folder) = scratch();
        let mut draft = blobs.draft().unwrap();
        draft.write(b"under way").unwrap();
        assert_eq!(sweep(&blobs, &[]).files, 0);
        assert!(is_there(&blobs, &draft.finish().unwrap().0));
    }
}
