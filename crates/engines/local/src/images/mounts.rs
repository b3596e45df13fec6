//! The images mounted on this host: each once, shared by every instance, so that the page cache is shared too.
//!
//! Mounts are kept across a restart of the engine, since dynos stand on them. What is mounted is read from the kernel
//! at the start, not from a file of ours.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use tokio::time::Instant;

use super::Error;

/// How long a mount without a user stays: the next deploy or restart of the same app finds it.
const IDLE: Duration = Duration::from_hours(1);

/// The folder of mounts.
#[derive(Debug)]
pub(super) struct Mounts {
    folder: PathBuf,
    /// When each was last seen in use.
    mounted: Mutex<HashMap<String, Instant>>,
}

/// The mounts, while nobody else mounts or unmounts.
#[derive(Debug)]
pub(super) struct Locked<'a> {
    folder: &'a Path,
    mounted: MutexGuard<'a, HashMap<String, Instant>>,
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
        let names = inside.filter_map(|name| name.to_str()).filter(|name| !name.is_empty());
        let mounted = names.map(|name| (name.to_owned(), Instant::now())).collect();
        Ok(Self { folder, mounted: Mutex::new(mounted) })
    }

    /// Holds off everybody else.
    pub(super) fn lock(&self) -> Locked<'_> {
        Locked { folder: &self.folder, mounted: self.mounted.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The folder at which `image` is mounted as `name`, mounting it if it is not.
    pub(super) fn mount(&self, name: &str, image: &Path) -> Result<PathBuf, Error> {
        let target = self.folder.join(name);
        let mut locked = self.lock();
        if !locked.mounted.contains_key(name) {
            mount_image(image, &target).map_err(|source| Error::Mount { path: image.to_owned(), source })?;
        }
        locked.mounted.insert(name.to_owned(), Instant::now());
        Ok(target)
    }
}

impl Locked<'_> {
    /// Unmounts all that `keep` does not want.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let unwanted: Vec<String> = self.mounted.keys().filter(|name| !keep(name)).cloned().collect();
        for name in &unwanted {
            self.unmount(name);
        }
    }

    /// Unmounts those that were without a user for a while; `is_idle` says whether one is without a user now.
    pub(super) fn unmount_idle(&mut self, is_idle: impl Fn(&str) -> bool) {
        let now = Instant::now();
        for (_, seen) in self.mounted.iter_mut().filter(|(name, _)| !is_idle(name)) {
            *seen = now;
        }
        let idle = self.mounted.iter().filter(|(_, seen)| now.duration_since(**seen) >= IDLE);
        let idle: Vec<String> = idle.map(|(name, _)| name.clone()).collect();
        for name in &idle {
            self.unmount(name);
        }
    }

    /// Unmounts one, if it is mounted; its loop device detaches itself. An instance that stands on it keeps it until it
    /// ends.
    pub(super) fn unmount(&mut self, name: &str) {
        if self.mounted.remove(name).is_none() {
            return;
        }
        let target = self.folder.join(name);
        let gone = rustix::mount::unmount(&target, UnmountFlags::DETACH).map_err(io::Error::from);
        if let Err(error) = gone.and_then(|()| fs::remove_dir(&target)) {
            tracing::warn!(path = %target.display(), %error, "could not unmount an image");
        }
    }
}

fn mount_image(image: &Path, target: &Path) -> io::Result<()> {
    let image = File::open(image)?;
    fs::create_dir_all(target)?;
    let device = sys::loops::attach(image.as_fd(), sys::loops::Access::ReadOnly)?;
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
