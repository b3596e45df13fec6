//! The root of an instance as a folder in which no path leads out: no symbolic link is followed on the way.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::{Doing, Error};

/// A folder, and who is root in it.
pub(crate) struct Tree {
    fd: OwnedFd,
    root_id: u32,
}

impl Tree {
    pub(crate) fn new(fd: OwnedFd, root_id: u32) -> Self {
        Self { fd, root_id }
    }

    /// A folder below, made if it is not there.
    pub(crate) fn folder(&self, path: &str) -> Result<OwnedFd, Error> {
        let mut folder = self.open(".", OFlags::DIRECTORY)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => self.give(folder.as_fd(), name, 0)?,
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).doing(format!("make the folder {path}")),
            }
            folder = open_below(folder.as_fd(), name, OFlags::DIRECTORY).doing(format!("open the folder {path}"))?;
        }
        Ok(folder)
    }

    /// Something below that is there.
    pub(crate) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Error> {
        open_below(self.fd.as_fd(), path.trim_start_matches('/'), flags).doing(format!("open {path}"))
    }

    /// Replaces a file in a folder by one with this content.
    pub(crate) fn write(&self, folder: &str, name: &str, content: &str) -> Result<(), Error> {
        let parent = self.readable_folder(folder)?;
        match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error).doing(format!("replace {folder}/{name}")),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))
            .doing(format!("make {folder}/{name}"))?;
        rustix::io::write(&file, content.as_bytes()).doing(format!("write {folder}/{name}"))?;
        self.give(parent.as_fd(), name, 0)
    }

    /// Makes an id of the instance the owner of something in a folder.
    pub(crate) fn give(&self, folder: BorrowedFd<'_>, name: &str, id: u32) -> Result<(), Error> {
        let host = self.root_id + id;
        let (user, group) = (Uid::from_raw(host), Gid::from_raw(host));
        rustix::fs::chownat(folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
            .doing(format!("change the owner of {name}"))
    }

    /// Makes an id of the instance the owner of a folder itself.
    pub(crate) fn give_folder(&self, folder: BorrowedFd<'_>, id: u32) -> Result<(), Error> {
        let host = self.root_id + id;
        let (user, group) = (Uid::from_raw(host), Gid::from_raw(host));
        rustix::fs::chownat(folder, "", Some(user), Some(group), AtFlags::EMPTY_PATH).doing("change a folder's owner")
    }

    fn readable_folder(&self, path: &str) -> Result<OwnedFd, Error> {
        drop(self.folder(path)?);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.fd, path.trim_start_matches('/'), flags, Mode::empty(), inside())
            .doing(format!("open the folder {path}"))
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A new file system of a kind, mounted nowhere yet.
pub(crate) fn file_system(kind: &str, options: &[(&str, &str)], flags: MountAttrFlags) -> Result<OwnedFd, Error> {
    let doing = || format!("make a file system of the kind {kind}");
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).doing(doing())?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value).doing(doing())?;
    }
    rustix::mount::fsconfig_create(context.as_fd()).doing(doing())?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags).doing(doing())
}

/// A copy of the mount at a place, from that place on, mounted nowhere yet.
pub(crate) fn copy_of(place: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Error> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(place, path, flags).doing(format!("copy the mount at {path}"))
}

/// Mounts what is mounted nowhere yet.
pub(crate) fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<(), Error> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", place, "", flags).doing("mount")
}

fn open_below(folder: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat2(folder, path, flags | OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside())
}

fn inside() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}
