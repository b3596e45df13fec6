//! What is left of an install when nothing of it runs any more: taken away, so that `slipway down` leaves no trace.
//!
//! Each thing may be gone already; then there is nothing to do. Data stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::mount::UnmountFlags;
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::layout::Layout;

/// How long an engine may take to end once its lifeline did.
const LIMIT: Duration = Duration::from_secs(10);

/// Waits until no process holds the engine's socket: it repairs what we are about to take away.
pub(super) async fn engine_ended(layout: &Layout) -> io::Result<()> {
    let (socket, begun) = (layout.in_run("engine.sock"), Instant::now());
    while UnixStream::connect(&socket).await.is_ok() {
        if begun.elapsed() > LIMIT {
            return Err(io::Error::other("the engine did not end"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Takes away firewall, address, mounts, cgroups and the folder under `/run`.
pub(super) fn tear_down(layout: &Layout) -> io::Result<()> {
    let install = &layout.install;
    quietly(Command::new("nft").args(["delete", "table", "inet", &format!("slipway-{install}")]));
    quietly(Command::new("ip").args(["address", "flush", "dev", "lo", "label", &format!("lo:{install}")]));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    for mount in mounts_below(&mounts, &layout.run()).iter().rev() {
        rustix::mount::unmount(mount, UnmountFlags::DETACH)?;
    }
    let name = format!("slipway-{install}");
    let hierarchies = fs::read_dir("/sys/fs/cgroup")?.flatten().map(|entry| entry.path());
    for root in hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]) {
        remove_cgroup(&root.join(&name));
    }
    fs::remove_dir_all(layout.run())
}

/// A thing that is gone already makes the command fail, which is as good.
fn quietly(command: &mut Command) {
    drop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
}

/// Mount points at or below a folder, in the order they were mounted (field 5 of mountinfo, proc(5)).
fn mounts_below(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(folder)).collect()
}

/// A cgroup's folder goes when its children are gone; the files in it are the kernel's.
fn remove_cgroup(folder: &Path) {
    let children = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    children.filter(|path| path.is_dir()).for_each(|path| remove_cgroup(&path));
    // One that is missing, or that a stranger put a process into, stays as it is.
    drop(fs::remove_dir(folder));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_the_install_are_found() {
        let mountinfo = "30 1 7:0 / /run/slipway-abc/mounts/x ro - squashfs /dev/loop0 ro\n\
                         31 1 7:1 / /run/slipway-abcd/mounts/y ro - squashfs /dev/loop1 ro\n\
                         32 1 0:4 / / rw - ext4 /dev/vda rw\n";
        assert_eq!(mounts_below(mountinfo, Path::new("/run/slipway-abc")), [Path::new("/run/slipway-abc/mounts/x")]);
    }
}
