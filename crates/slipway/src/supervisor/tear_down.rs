//! What is left of an install when nothing of it runs any more: taken away, so that `slipway down` leaves no trace.
//!
//! Each thing may be gone already; then there is nothing to do. So a `down` that was cut off is finished by the next.
//! Everything is found by the install's id alone, so that an install whose data folder is gone ends as well. Data stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::layout::Layout;

/// How long an engine may take to end once its lifeline did, and killed processes to be gone.
const LIMIT: Duration = Duration::from_secs(10);
const CGROUPS: &str = "/sys/fs/cgroup";

/// Waits until no process holds the engine's socket: it repairs what we are about to take away. One that does not end is
/// killed with the rest.
pub(super) async fn engine_ended(layout: &Layout) {
    let (socket, begun) = (layout.in_run("engine.sock"), Instant::now());
    while begun.elapsed() < LIMIT && UnixStream::connect(&socket).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes away processes, firewall, address, links, mounts, cgroups and the folder under `/run`.
pub(super) async fn tear_down(layout: &Layout) -> io::Result<()> {
    let install = &layout.install;
    end_processes(layout).await?;
    // What could not be taken out of a firewall of others names links that are gone, and lets nothing through.
    if let Err(error) = local::network::foreign::close(Path::new("/usr/sbin/nft"), install).await {
        tracing::warn!(%error, "could not take the rules for dynos out of a firewall");
    }
    quietly(Command::new("nft").args(["delete", "table", "inet", &format!("slipway-{install}")]));
    quietly(Command::new("ip").args(["address", "flush", "dev", "lo", "label", &format!("lo:{install}")]));
    for link in entries(Path::new("/sys/class/net")).into_iter().filter(|link| is_link_of(link, install)) {
        quietly(Command::new("ip").args(["link", "delete", "dev"]).arg(link.file_name().unwrap_or_default()));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    for mount in mounts_below(&mounts, &layout.run()).iter().rev() {
        rustix::mount::unmount(mount, UnmountFlags::DETACH)?;
    }
    for folder in cgroups(install) {
        remove_cgroup(&folder);
    }
    match fs::remove_dir_all(layout.run()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What there is to take away of an install, in words; nothing while a process of it runs.
pub(super) fn left(layout: &Layout) -> io::Result<Vec<String>> {
    if !processes(layout).is_empty() {
        return Ok(vec![]);
    }
    let install = &layout.install;
    let links = entries(Path::new("/sys/class/net")).into_iter().filter(|link| is_link_of(link, install)).count();
    let mounts = mounts_below(&fs::read_to_string("/proc/self/mountinfo")?, &layout.run()).len();
    let table = format!("slipway-{install}");
    let has_table = succeeds(Command::new("nft").args(["list", "table", "inet", &table]));
    let counted = [(links, "links"), (mounts, "mounts"), (cgroups(install).len(), "control groups")];
    let mut left: Vec<String> =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    left.extend(has_table.then(|| format!("the firewall table {table}")));
    left.extend(layout.run().exists().then(|| layout.run().display().to_string()));
    Ok(left)
}

/// Kills what the engine did not end: dynos it does not know any more, and their shims.
async fn end_processes(layout: &Layout) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        let left = processes(layout);
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > LIMIT {
            return Err(io::Error::other(format!("{} processes do not end, such as {:?}", left.len(), left.first())));
        }
        for pid in left {
            // It may have ended meanwhile.
            rustix::process::kill_process(pid, Signal::KILL).unwrap_or(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Processes in the install's cgroups, and programs of ours that were started for it or have files in its folder.
fn processes(layout: &Layout) -> Vec<Pid> {
    let (run, me) = (layout.run(), rustix::process::getpid());
    let mut all: Vec<Pid> = cgroups(&layout.install).iter().flat_map(|folder| members(folder)).collect();
    let numbers = entries(Path::new("/proc")).into_iter().filter(|process| is_ours(process, &run));
    all.extend(numbers.filter_map(|process| pid(process.file_name()?.to_str()?)));
    all.retain(|pid| *pid != me);
    all
}

/// Whether a process (its folder under `/proc`) runs a program of ours and has to do with a folder under `/run`.
fn is_ours(process: &Path, run: &Path) -> bool {
    let program = fs::read_link(process.join("exe")).unwrap_or_default();
    if !program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slipway")) {
        return false;
    }
    let words = fs::read(process.join("cmdline")).unwrap_or_default();
    let named = words.split(|byte| *byte == 0).any(|word| Path::new(&*String::from_utf8_lossy(word)).starts_with(run));
    named || entries(&process.join("fd")).iter().any(|fd| fs::read_link(fd).is_ok_and(|file| file.starts_with(run)))
}

fn members(cgroup: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let below = entries(cgroup).into_iter().filter(|path| path.is_dir());
    text.lines().filter_map(pid).chain(below.flat_map(|folder| members(&folder))).collect()
}

fn pid(number: &str) -> Option<Pid> {
    Pid::from_raw(number.parse().ok()?)
}

/// The install's top groups: one in each hierarchy of v1, or the one of v2.
fn cgroups(install: &str) -> Vec<PathBuf> {
    let name = format!("slipway-{install}");
    let hierarchies = entries(Path::new(CGROUPS)).into_iter().chain([PathBuf::from(CGROUPS)]);
    hierarchies.map(|root| root.join(&name)).filter(|folder| folder.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// A thing that is gone already makes the command fail, which is as good.
fn quietly(command: &mut Command) {
    succeeds(command);
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The host's end of an instance's pair: `INSTALL-NUMBER`.
fn is_link_of(link: &Path, install: &str) -> bool {
    let name = link.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.strip_prefix(install).is_some_and(|rest| rest.starts_with('-'))
}

/// Mount points at or below a folder, in the order they were mounted (field 5 of mountinfo, proc(5)).
fn mounts_below(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(folder)).collect()
}

/// A cgroup's folder goes when its children are gone; the files in it are the kernel's.
fn remove_cgroup(folder: &Path) {
    entries(folder).iter().filter(|path| path.is_dir()).for_each(|path| remove_cgroup(path));
    // One that a stranger put a process into stays as it is.
    drop(fs::remove_dir(folder));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_and_links_of_the_install_are_found() {
        let mountinfo = "30 1 7:0 / /run/slipway-abc/mounts/x ro - squashfs /dev/loop0 ro\n\
                         31 1 7:1 / /run/slipway-abcd/mounts/y ro - squashfs /dev/loop1 ro\n\
                         32 1 0:4 / / rw - ext4 /dev/vda rw\n";
        assert_eq!(mounts_below(mountinfo, Path::new("/run/slipway-abc")), [Path::new("/run/slipway-abc/mounts/x")]);
        assert!(is_link_of(Path::new("/sys/class/net/abc-000001"), "abc"));
        assert!(!is_link_of(Path::new("/sys/class/net/abcd-000001"), "abc"));
    }

    #[tokio::test]
    async fn what_is_gone_already_is_no_error() {
        let layout = Layout { data: PathBuf::from("/nonexistent"), install: "nothere".to_owned() };
        assert!(processes(&layout).is_empty());
        tear_down(&layout).await.unwrap();
        tear_down(&layout).await.unwrap();
    }
}
