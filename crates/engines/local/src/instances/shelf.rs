//! Writable layers that are ready before anybody asks.
//!
//! A layer is a file, a loop device and a mounted file system: the disk has a part in each, which takes longer than all else
//! of a start. So a few are kept ready of the sizes that are asked for, mounted nowhere yet: who is given the descriptor of
//! such a mount puts it into its own tree, and when both are gone the kernel takes mount and device apart.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use sys::loops::Access;
use vocabulary::DynoId;

use super::disk::Disks;

/// How many of a size are kept ready: a deploy starts one dyno and one build at a time.
const READY: usize = 2;
/// Of how many sizes.
const SIZES: usize = 4;

/// Makes layers, and keeps some ready.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    disks: Disks,
    folder: PathBuf,
    sizes: Arc<Mutex<VecDeque<Size>>>,
}

/// The layers of one size; the size asked for last comes first.
#[derive(Debug)]
struct Size {
    bytes: u64,
    ready: Vec<Layer>,
    /// Whether somebody is about to make more.
    filling: bool,
}

/// A file system and its file, which is deleted with it unless somebody takes it.
#[derive(Debug)]
struct Layer {
    mount: OwnedFd,
    file: Unclaimed,
}

#[derive(Debug)]
struct Unclaimed(PathBuf);

impl Drop for Unclaimed {
    fn drop(&mut self) {
        // One that was taken is no longer here.
        drop(fs::remove_file(&self.0));
    }
}

impl Shelf {
    /// Opens the folder. Layers that an earlier engine had ready are gone with it; their files go now.
    pub(crate) fn open(folder: &Path, mkfs: PathBuf) -> io::Result<Self> {
        let disks = Disks::open(folder.to_owned(), mkfs)?;
        let all = folder.join("ready");
        if let Err(error) = fs::remove_dir_all(&all)
            && error.kind() != io::ErrorKind::NotFound
        {
            // The next engine tries again.
            tracing::warn!(folder = %all.display(), %error, "could not delete the layers of an earlier engine");
        }
        let folder = all.join(DynoId::new().to_string());
        fs::create_dir_all(&folder)?;
        Ok(Self { disks, folder, sizes: Arc::default() })
    }

    /// An empty writable layer whose file is put at `path`. One that is ready takes no time, one that has to be made
    /// milliseconds. Blocks, and is to be called within a runtime.
    pub(crate) fn take(&self, bytes: u64, path: &Path) -> io::Result<OwnedFd> {
        let ready = self.pick(bytes);
        self.fill(bytes);
        if let Some(layer) = ready {
            match fs::rename(&layer.file.0, path) {
                Ok(()) => return Ok(layer.mount),
                Err(error) => tracing::warn!(%error, "a writable layer that was ready could not be used"),
            }
        }
        self.disks.make(bytes, path)?;
        mount(path)
    }

    /// One of those that are ready. Sizes that nobody has asked for since so many others are forgotten.
    fn pick(&self, bytes: u64) -> Option<Layer> {
        let (layer, forgotten) = {
            let mut sizes = self.sizes();
            let place = sizes.iter().position(|size| size.bytes == bytes);
            let known = place.and_then(|place| sizes.remove(place));
            let mut size = known.unwrap_or_else(|| Size { bytes, ready: vec![], filling: false });
            let layer = size.ready.pop();
            sizes.push_front(size);
            let kept = SIZES.min(sizes.len());
            (layer, sizes.split_off(kept))
        };
        // Outside the lock: to take a mount apart takes time.
        drop(forgotten);
        layer
    }

    /// Has more made, beside the caller.
    fn fill(&self, bytes: u64) {
        let is_needed = |size: &mut Size| size.ready.len() < READY && !std::mem::replace(&mut size.filling, true);
        let is_needed = self.sizes().iter_mut().find(|size| size.bytes == bytes).is_some_and(is_needed);
        if is_needed {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.fill_up(bytes));
        }
    }

    fn fill_up(&self, bytes: u64) {
        loop {
            let made = self.make(bytes);
            let mut sizes = self.sizes();
            let Some(size) = sizes.iter_mut().find(|size| size.bytes == bytes) else { return };
            match made {
                Ok(layer) => size.ready.push(layer),
                // Whoever needs one makes it, and is told why that fails.
                Err(error) => {
                    tracing::debug!(bytes, %error, "could not make a writable layer ahead");
                    size.filling = false;
                    return;
                }
            }
            if size.ready.len() >= READY {
                size.filling = false;
                return;
            }
        }
    }

    fn make(&self, bytes: u64) -> io::Result<Layer> {
        let file = Unclaimed(self.folder.join(format!("{}.img", DynoId::new())));
        self.disks.make(bytes, &file.0)?;
        let mount = mount(&file.0)?;
        Ok(Layer { mount, file })
    }

    fn sizes(&self) -> MutexGuard<'_, VecDeque<Size>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mounts the file system in a file, nowhere yet.
fn mount(file: &Path) -> io::Result<OwnedFd> {
    let file = fs::File::options().read(true).write(true).open(file)?;
    // Frees itself with the mount.
    let device = sys::loops::attach(file.as_fd(), Access::ReadWrite)?;
    let context = rustix::mount::fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", &device.path)?;
    // The layer dies with its instance: nobody waits for a disk that will not be asked again.
    rustix::mount::fsconfig_set_flag(context.as_fd(), "nobarrier")?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    // Read and written past the cache of the file, from here on: what making it left there is of no use.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let flags =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOATIME;
    Ok(rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BYTES: u64 = 16 << 20;

    fn ready(shelf: &Shelf, bytes: u64) -> Option<usize> {
        shelf.sizes().iter().find(|size| size.bytes == bytes).map(|size| size.ready.len())
    }

    async fn filled(shelf: &Shelf, bytes: u64) {
        let waiting = async {
            while ready(shelf, bytes) != Some(READY) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the shelf is filled");
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn what_is_taken_is_made_again_and_sizes_nobody_asks_for_are_forgotten() {
        assert!(rustix::process::getuid().is_root(), "mounting needs root");
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&folder.path().join("disks"), "/sbin/mkfs.ext4".into()).unwrap();
        let taken = |number: u64, bytes| {
            let path = folder.path().join(format!("{number}.img"));
            let mount = shelf.take(bytes, &path).unwrap();
            assert!(path.is_file());
            let place = rustix::fs::openat(&mount, "lost+found", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
            place.expect("an empty file system");
        };
        taken(0, BYTES);
        filled(&shelf, BYTES).await;
        taken(1, BYTES);
        filled(&shelf, BYTES).await;
        assert_eq!(files(&shelf.folder), READY);
        for other in 1..=SIZES as u64 {
            taken(1 + other, BYTES + (other << 20));
            filled(&shelf, BYTES + (other << 20)).await;
        }
        assert_eq!(ready(&shelf, BYTES), None);
        assert_eq!(files(&shelf.folder), READY * SIZES, "the files of a forgotten size are gone");
    }

    #[tokio::test]
    async fn files_of_an_earlier_engine_are_deleted_and_what_is_not_there_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let disks = folder.path().join("disks");
        fs::create_dir_all(disks.join("ready/earlier")).unwrap();
        fs::write(disks.join("ready/earlier/one.img"), "").unwrap();
        let shelf = Shelf::open(&disks, "/sbin/mkfs.ext4".into()).unwrap();
        assert_eq!(files(&disks.join("ready")), 1);
        drop(shelf.take(BYTES, &folder.path().join("first.img")).unwrap());
        filled(&shelf, BYTES).await;
        for entry in fs::read_dir(&shelf.folder).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let path = folder.path().join("second.img");
        drop(shelf.take(BYTES, &path).unwrap());
        assert!(path.is_file());
    }
}
