//! Writable layers: a file system of a fixed size in a sparse file.
//!
//! For each size there is a template, made once: making the file system takes longer than copying the few blocks it
//! consists of while it is empty.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::SeekFrom;

/// The smallest file system with room for something.
const MIN_BYTES: u64 = 16 << 20;
/// Sizes are rounded up to whole units, so that there are few templates.
const UNIT: u64 = 1 << 20;

/// Where the templates are.
#[derive(Debug, Clone)]
pub(crate) struct Disks {
    folder: PathBuf,
    mkfs: PathBuf,
}

impl Disks {
    pub(crate) fn open(folder: PathBuf, mkfs: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            // Half a template, of an engine that was killed while it made it.
            if path.extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { folder, mkfs })
    }

    /// Makes an empty writable layer. Takes milliseconds; the first of a size some more.
    pub(crate) fn make(&self, bytes: u64, path: &Path) -> io::Result<()> {
        let bytes = bytes.max(MIN_BYTES).div_ceil(UNIT) * UNIT;
        let template = self.folder.join(format!("{bytes}.ext4"));
        if !template.exists() {
            self.make_template(bytes, &template)?;
        }
        copy_sparse(&File::open(template)?, path)
    }

    fn make_template(&self, bytes: u64, template: &Path) -> io::Result<()> {
        // Two starts may need the same size at once: each makes its own, the later one wins.
        let new = self.folder.join(format!("{bytes}.{}.new", uuid_like()));
        File::create(&new)?.set_len(bytes)?;
        // No journal, no reserve, no second superblock: the layer dies with its instance, and a crash ends both.
        let made = Command::new(&self.mkfs)
            .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode,sparse_super2"])
            .args(["-E", "lazy_itable_init=1,nodiscard,num_backup_sb=0"])
            .arg(&new)
            .env_clear()
            .output()?;
        if !made.status.success() {
            fs::remove_file(&new)?;
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).trim().to_owned()));
        }
        fs::rename(new, template)
    }
}

fn uuid_like() -> vocabulary::DynoId {
    vocabulary::DynoId::new()
}

/// Copies a sparse file, its holes as holes.
fn copy_sparse(from: &File, to: &Path) -> io::Result<()> {
    let size = from.metadata()?.len();
    let copy = File::options().write(true).create_new(true).open(to)?;
    copy.set_len(size)?;
    let mut end = 0;
    loop {
        let start = match rustix::fs::seek(from, SeekFrom::Data(end)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        end = rustix::fs::seek(from, SeekFrom::Hole(start))?;
        let mut part = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        from.read_exact_at(&mut part, start)?;
        copy.write_all_at(&part, start)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_equal_and_as_sparse() {
        let folder = tempfile::tempdir().unwrap();
        let disks = Disks::open(folder.path().join("templates"), "/sbin/mkfs.ext4".into()).unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        disks.make(64 << 20, &one).unwrap();
        disks.make((64 << 20) - 5, &two).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
        let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&one).unwrap());
        assert!(blocks * 512 < 4 << 20, "{blocks} blocks");
    }
}
