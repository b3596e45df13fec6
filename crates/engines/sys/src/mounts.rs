//! Attributes of mounts that are not attached yet, or are about to change.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// Shows the files of a detached tree (`open_tree` with `OPEN_TREE_CLONE`) with the owners that a user namespace
/// maps them to. Needs CAP_SYS_ADMIN where the file system was mounted.
pub fn map_owners(tree: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> io::Result<()> {
    set(
        tree,
        libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_IDMAP,
            attr_clr: 0,
            propagation: 0,
            userns_fd: u64::try_from(user_namespace.as_raw_fd()).unwrap_or(u64::MAX),
        },
    )
}

/// Makes one mount read-only, without those below it.
pub fn make_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    set(mount, libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 })
}

fn set(mount: BorrowedFd<'_>, attributes: libc::mount_attr) -> io::Result<()> {
    // SAFETY: the path is an empty C string, and the kernel reads `size_of::<mount_attr>()` bytes of `attributes`
    // during the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(done).map(drop)
}
