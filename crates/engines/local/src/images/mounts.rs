//! The images mounted on this host: each once, shared by every instance, so that the page cache is shared too.
//!
//! Mounts are kept across a restart of the engine, since dynos stand on them. What is mounted is read from the kernel
//! at the start, not from a file of ours.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::Error;

/// The folder of mounts.
#[derive(Debug)]
pub(super) struct Mounts {
    folder: PathBuf,
    mounted: Mutex<HashSet<String>>,
}

impl Mounts {
    /// Takes over what an earlier engine mounted under `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Mount { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let points = mount_points().map_err(failed)?;
        if !points.contains(&folder) {
            // A mount of its own that propagates nowhere: otherwise every namespace made later on a host with a shared
            // root would keep a copy of every image, and no image could ever be let go.
            rustix::mount::mount_bind(&folder, &folder).map_err(|error| failed(error.into()))?;
            let private = MountPropagationFlags::PRIVATE;
            rustix::mount::mount_change(&folder, private).map_err(|error| failed(error.into()))?;
        }
        let inside = points.iter().filter_map(|point| point.strip_prefix(&folder).ok());
        let mounted =
            inside.filter_map(|name| name.to_str()).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(Self { folder, mounted: Mutex::new(mounted) })
    }

    /// The folder at which `image` is mounted as `name`, mounting it if it is not.
    pub(super) fn mount(&self, name: &str, image: &Path) -> Result<PathBuf, Error> {
        let target = self.folder.join(name);
        let mut mounted = self.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        if !mounted.contains(name) {
            mount_image(image, &target).map_err(|source| Error::Mount { path: image.to_owned(), source })?;
            mounted.insert(name.to_owned());
        }
        Ok(target)
    }

    /// Unmounts all that `keep` does not want. Instances that stand on one keep it until they end.
    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        let mut mounted = self.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        mounted.retain(|name| {
            if keep(name) {
                return true;
            }
            let target = self.folder.join(name);
            let gone = rustix::mount::unmount(&target, UnmountFlags::DETACH).map_err(io::Error::from);
            match gone.and_then(|()| fs::remove_dir(&target)) {
                Ok(()) => false,
                Err(error) => {
                    tracing::warn!(path = %target.display(), %error, "could not unmount an image");
                    false
                }
            }
        });
    }
}

fn mount_image(image: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let device = sys::loops::attach(File::open(image)?.as_fd(), sys::loops::Access::ReadOnly)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount(&device.path, target, "squashfs", flags, None)?;
    Ok(())
}

/// Every mount point of this namespace.
fn mount_points() -> io::Result<HashSet<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    // 36 35 98:0 /root /where/it/stands rw - ext4 /dev/sda rw; blanks are written as \040.
    let fields = text.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(fields.map(|field| PathBuf::from(field.replace("\\040", " "))).collect())
}
