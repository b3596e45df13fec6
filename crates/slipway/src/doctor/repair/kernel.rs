//! Modules, device nodes and limits of the kernel. What is changed here holds until the next boot.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::super::host::is_nearly_used;
use super::super::kernel::{FEWEST_NAMESPACES, missing_filesystems};
use super::super::network::CONNECTIONS;
use super::super::{quiet, read};
use super::{Repair, failed, mended};

/// What a limit that is too low is raised to.
const NAMESPACES: u64 = 15_000;
const TRACKED: u64 = 262_144;

pub(super) fn all() -> Vec<Repair> {
    let mut repairs = modules();
    repairs.extend(loop_devices(Path::new("/sys"), Path::new("/dev")));
    repairs.extend(limits(Path::new("/proc/sys")));
    repairs
}

/// A module that cannot be loaded is not in this kernel, or a container may not load it.
fn modules() -> Vec<Repair> {
    let missing = |name: &str| missing_filesystems(&read("/proc/filesystems")).contains(&name);
    let load = |name: &'static str| {
        quiet("modprobe", &[name]);
        if missing(name) {
            let advice = "apt-get install linux-modules-extra-$(uname -r) where there is one, or run modprobe on the \
                          host of this container";
            return failed("filesystems", format!("the module {name} cannot be loaded"), advice);
        }
        mended("filesystems", format!("loaded the module {name}"))
    };
    let mut repairs: Vec<Repair> = missing_filesystems(&read("/proc/filesystems")).into_iter().map(load).collect();
    if !Path::new("/sys/class/misc/loop-control").exists() {
        repairs.push(if quiet("modprobe", &["loop"]) {
            mended("loop", "loaded the module loop")
        } else {
            failed("loop", "the module loop cannot be loaded", "modprobe loop on the host of this container")
        });
    }
    repairs
}

/// Makes the nodes of loop devices that the kernel has and the folder lacks, as in containers whose `/dev` is fixed.
fn loop_devices(sys: &Path, dev: &Path) -> Option<Repair> {
    let blocks = fs::read_dir(sys.join("block")).into_iter().flatten().flatten().map(|entry| entry.path());
    let blocks = blocks.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("loop")));
    let mut wanted = vec![(sys.join("class/misc/loop-control"), FileType::CharacterDevice)];
    wanted.extend(blocks.map(|path| (path, FileType::BlockDevice)));
    let mut made = vec![];
    for (device, kind) in wanted {
        let Some(node) = device.file_name().map(|name| dev.join(name)).filter(|node| !node.exists()) else { continue };
        let Some(number) = number(&device) else { continue };
        if let Err(error) = make_node(&node, kind, number) {
            let advice = "allow loop devices in this container, or mount the host's /dev in it";
            return Some(failed("loop", format!("{} cannot be made: {error}", node.display()), advice));
        }
        made.push(node.display().to_string());
    }
    made.sort();
    let more = made.len().checked_sub(4).filter(|more| *more > 0).map(|more| format!(" and {more} more"));
    let told = made.iter().take(4).cloned().collect::<Vec<_>>().join(", ") + &more.unwrap_or_default();
    (!made.is_empty())
        .then(|| mended("loop", format!("made {told}")).for_good("such a /dev lacks them after a restart"))
}

/// Major and minor number, as sysfs has them: `7:3`.
fn number(device: &Path) -> Option<(u32, u32)> {
    let text = fs::read_to_string(device.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn make_node(node: &Path, kind: FileType, (major, minor): (u32, u32)) -> io::Result<()> {
    Ok(mknodat(CWD, node, kind, Mode::from_raw_mode(0o600), makedev(major, minor))?)
}

fn limits(proc: &Path) -> Vec<Repair> {
    let number = |name: &str| -> Option<u64> { fs::read_to_string(proc.join(name)).ok()?.trim().parse().ok() };
    let mut repairs = vec![];
    if number("user/max_user_namespaces").is_some_and(|most| most < FEWEST_NAMESPACES) {
        repairs.push(raise(proc, "namespaces", "user/max_user_namespaces", NAMESPACES));
    }
    let tracked = number("net/netfilter/nf_conntrack_count").unwrap_or_default();
    if let Some(most) = number("net/netfilter/nf_conntrack_max")
        && (most < CONNECTIONS || is_nearly_used(tracked, most))
    {
        repairs.push(raise(proc, "connections", "net/netfilter/nf_conntrack_max", TRACKED.max(most.saturating_mul(2))));
    }
    let opened = fs::read_to_string(proc.join("fs/file-nr")).unwrap_or_default();
    let opened = opened.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default();
    if let Some(most) = number("fs/file-max").filter(|most| is_nearly_used(opened, *most)) {
        repairs.push(raise(proc, "files", "fs/file-max", most.saturating_mul(2)));
    }
    repairs
}

fn raise(proc: &Path, check: &'static str, name: &str, to: u64) -> Repair {
    let (file, setting) = (proc.join(name), name.replace('/', "."));
    let before = fs::read_to_string(&file).unwrap_or_default();
    let line = format!("echo '{setting} = {to}' >> /etc/sysctl.d/60-slipway.conf");
    match fs::write(&file, to.to_string()) {
        Ok(()) => mended(check, format!("raised {setting} from {} to {to} until the next boot", before.trim()))
            .for_good(format!("{line} keeps it")),
        Err(error) => failed(check, format!("{setting} cannot be raised: {error}"), format!("on the host: {line}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    use super::*;

    fn put(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Real nodes in a folder of the test's own; needs root.
    #[test]
    fn nodes_of_loop_devices_that_are_missing_are_made() {
        let (sys, dev) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(sys.path(), "class/misc/loop-control/dev", "10:237\n");
        for number in 0..6 {
            put(sys.path(), &format!("block/loop{number}/dev"), &format!("7:{number}\n"));
        }
        put(sys.path(), "block/sda/dev", "8:0\n");
        fs::write(dev.path().join("loop0"), "").unwrap();
        let repair = loop_devices(sys.path(), dev.path()).unwrap();
        assert!(
            repair.mended && repair.text.contains("loop-control") && repair.text.ends_with("and 2 more"),
            "{repair:?}"
        );
        let about = |name: &str| fs::metadata(dev.path().join(name)).unwrap();
        assert!(about("loop-control").file_type().is_char_device() && about("loop5").file_type().is_block_device());
        assert_eq!((about("loop5").rdev(), about("loop5").mode() & 0o777), (makedev(7, 5), 0o600));
        assert!(!dev.path().join("sda").exists() && about("loop0").is_file(), "what is there stays");
        assert_eq!(loop_devices(sys.path(), dev.path()), None);
    }

    #[test]
    fn limits_that_are_too_low_are_raised_and_no_others() {
        let proc = tempfile::tempdir().unwrap();
        put(proc.path(), "user/max_user_namespaces", "100\n");
        put(proc.path(), "net/netfilter/nf_conntrack_max", "8192\n");
        put(proc.path(), "net/netfilter/nf_conntrack_count", "7\n");
        put(proc.path(), "fs/file-nr", "90000\t0\t100000\n");
        put(proc.path(), "fs/file-max", "100000\n");
        let repairs = limits(proc.path());
        assert!(repairs.len() == 3 && repairs.iter().all(|repair| repair.mended), "{repairs:?}");
        assert!(repairs[0].text.contains("user.max_user_namespaces from 100 to 15000"), "{repairs:?}");
        assert!(repairs[1].advice.as_ref().unwrap().contains("net.netfilter.nf_conntrack_max = 262144"), "{repairs:?}");
        assert_eq!(fs::read_to_string(proc.path().join("fs/file-max")).unwrap(), "200000");
        assert!(limits(proc.path()).is_empty());
    }
}
