//! Where images of registries are fetched to: `CACHE/stacks/pulled/REFERENCE`, an OCI layout.
//!
//! A folder goes once its image is imported. One that a broken connection or a killed import left stays for a while, so
//! that what was fetched is not fetched again, and goes with a later import. Whoever uses a folder holds a shared lock
//! on it, which the kernel takes back with the process; a folder goes only to one who gets it alone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

/// How long what nobody came back for is kept.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How often a folder that goes away in our hands is made again.
const ATTEMPTS: usize = 8;

/// A folder that is in use.
#[derive(Debug)]
pub(super) struct Pulled {
    path: PathBuf,
    lock: File,
}

impl Pulled {
    /// Makes the folder for an image, or takes up what is there.
    pub(super) fn open(all: &Path, reference: &str) -> io::Result<Self> {
        let path = all.join(name(reference));
        for _ in 0..ATTEMPTS {
            fs::create_dir_all(&path)?;
            let lock = File::open(&path)?;
            flock(&lock, FlockOperation::LockShared)?;
            // Another may have removed it before we had the lock.
            let ours = lock.metadata()?.ino();
            if fs::metadata(&path).is_ok_and(|about| about.ino() == ours) {
                return Ok(Self { path, lock });
            }
        }
        Err(io::Error::other("others remove it again and again"))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes it, unless another import uses it as well: then that one does.
    pub(super) fn forget(&self) {
        remove(&self.path, &self.lock);
    }
}

/// The name of a reference's folder: what one can read of it, and what no other reference has.
fn name(reference: &str) -> String {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '-' };
    let hash = Sha256::digest(reference.as_bytes());
    let own = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    format!("{}-{own:016x}", reference.bytes().map(plain).take(100).collect::<String>())
}

/// Deletes what was left long ago and nobody uses.
pub(super) fn sweep(all: &Path, now: SystemTime) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let path = entry.path();
        let old = touched(&path).is_some_and(|at| now.duration_since(at).is_ok_and(|age| age > KEPT));
        if old && let Ok(lock) = File::open(&path) {
            remove(&path, &lock);
        }
    }
}

/// When something was last fetched into a folder; nothing if it is none.
fn touched(folder: &Path) -> Option<SystemTime> {
    let of = |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir)?.modified().ok();
    of(folder).max(of(&folder.join("blobs/sha256"))).filter(|_| of(folder).is_some())
}

fn remove(path: &Path, lock: &File) {
    if flock(lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "could not delete a fetched image");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_long_ago_goes_unless_it_is_in_use() {
        let all = tempfile::tempdir().unwrap();
        let [left, used] = ["left/image:1", "used/image:1"].map(|name| Pulled::open(all.path(), name).unwrap());
        fs::create_dir_all(left.path().join("blobs/sha256")).unwrap();
        let paths = [left.path().to_owned(), used.path().to_owned()];
        let there = || (paths[0].exists(), paths[1].exists());
        // As the end of a killed process does.
        drop(left);
        sweep(all.path(), SystemTime::now() + KEPT / 2);
        assert_eq!(there(), (true, true), "it may be taken up again");
        sweep(all.path(), SystemTime::now() + KEPT * 2);
        assert_eq!(there(), (false, true));
        drop(used);
        sweep(all.path(), SystemTime::now() + KEPT * 2);
        assert_eq!(there(), (false, false));
    }

    #[test]
    fn references_that_read_alike_have_folders_of_their_own() {
        assert_ne!(name("r/a:1-2"), name("r/a-1:2"));
        assert!(name("r/a:1-2").starts_with("r-a-1-2-"));
    }

    #[test]
    fn the_last_of_two_imports_deletes() {
        let all = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Pulled::open(all.path(), "x").unwrap());
        one.forget();
        assert!(other.path().exists());
        drop(one);
        other.forget();
        assert!(!other.path().exists());
        assert!(Pulled::open(all.path(), "x").unwrap().path().exists(), "and it is made again");
    }
}
