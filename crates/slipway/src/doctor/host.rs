//! The machine: memory, disks, time, users, and who keeps it up to date.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::finding::{Finding, ok, problem, warning};
use super::read;
use crate::roles::ID_RANGE;
use crate::settings::Settings;

/// Free space under which deploys soon fail: two stack images, a few slugs and build space.
const FREE_GIB: u64 = 5;
/// Free files under which they do: a dependency tree of Node.js unpacks to tens of thousands.
const FREE_INODES: u64 = 200_000;
/// A build of a middling app takes so much beside the platform and a few dynos.
const MEMORY_MIB: u64 = 2000;
/// A router holds one descriptor for each connection on either side.
const FILES: u64 = 65_536;
/// Folders of the data folder that grow with use; who bounds each is told in its owner's documents.
const OWNED: [&str; 7] = ["blobs", "images", "stacks", "git", "outputs", "logs", "dynos"];

pub(super) fn all(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![
        root(rustix::process::geteuid().is_root()),
        memory(&read("/proc/meminfo")),
        clock(&synchronized()),
        upgrades(&periodic()),
        ids(&read("/etc/passwd"), &read("/etc/subuid")),
        files(rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum, &read("/proc/sys/fs/file-nr")),
        disk("disk", &settings.data),
        disk("cache disk", &settings.cache),
    ];
    findings.extend(usage(&settings.data));
    findings
}

fn root(is: bool) -> Finding {
    if is {
        return ok("root", "running as root");
    }
    problem("root", "not root", "run slipway as root; it makes namespaces, mounts and cgroups")
}

fn memory(meminfo: &str) -> Finding {
    let mebibytes = |name: &str| -> u64 {
        let value = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() / 1024
    };
    let (memory, swap) = (mebibytes("MemTotal"), mebibytes("SwapTotal"));
    let told = format!("{memory} MiB of memory, {swap} MiB of swap");
    if memory + swap < MEMORY_MIB {
        let advice = "add swap, so that builds pass: fallocate -l 2G /swapfile && chmod 600 /swapfile && mkswap \
                      /swapfile && swapon /swapfile, and a line for it in /etc/fstab";
        return warning("memory", told, advice);
    }
    ok("memory", told)
}

/// What systemd says of the clock; empty where there is no systemd.
fn synchronized() -> String {
    let mut command = Command::new("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]).stdin(Stdio::null());
    let output = command.output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn clock(synchronized: &str) -> Finding {
    let advice =
        "apt-get install systemd-timesyncd (or chrony): certificates, tokens and log lines need the right time";
    match synchronized.trim() {
        "yes" => ok("clock", "kept right by a time server"),
        "no" => warning("clock", "no time server keeps it right", advice),
        _ => warning("clock", "cannot see whether a time server keeps it right", advice),
    }
}

/// What apt does by itself.
fn periodic() -> String {
    let files = fs::read_dir("/etc/apt/apt.conf.d").into_iter().flatten().flatten();
    files.map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
}

fn upgrades(conf: &str) -> Finding {
    let on = conf.lines().map(str::trim).filter(|line| !line.starts_with("//")).any(|line| {
        let value =
            line.strip_prefix("APT::Periodic::Unattended-Upgrade").map(|rest| rest.trim().trim_matches([';', '"']));
        value.is_some_and(|value| value != "0")
    });
    if on {
        return ok("upgrades", "security fixes of the host are installed by themselves");
    }
    warning(
        "upgrades",
        "security fixes of the host are not installed by themselves",
        "apt-get install unattended-upgrades && dpkg-reconfigure -plow unattended-upgrades",
    )
}

/// Nobody else may have the ids that instances get.
fn ids(passwd: &str, subuid: &str) -> Finding {
    let (first, last) = ID_RANGE;
    let users = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?.parse::<u64>().ok()?);
        Some((name, id, 1))
    });
    let ranges = subuid.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?))
    });
    let ours = |id: u64, count: u64| id <= last.into() && id.saturating_add(count) > first.into();
    let taken: Vec<&str> =
        users.chain(ranges).filter(|(_, id, count)| ours(*id, *count)).map(|(name, ..)| name).collect();
    if taken.is_empty() {
        return ok("ids", format!("{first} to {last} are free for dynos"));
    }
    problem(
        "ids",
        format!("{} has ids between {first} and {last}, which dynos get", taken.join(", ")),
        "give other ids to them (usermod, /etc/subuid)",
    )
}

fn files(most: Option<u64>, used: &str) -> Finding {
    let mut numbers = used.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
    let (open, all) = (numbers.next().unwrap_or_default(), numbers.nth(1).unwrap_or(u64::MAX));
    if is_nearly_used(open, all) {
        return warning(
            "files",
            format!("{open} of {all} files of the machine are open"),
            "sysctl -w fs.file-max=1000000",
        );
    }
    match most {
        Some(most) if most < FILES => warning(
            "files",
            format!("a process may have {most} files open"),
            format!("raise it to {FILES} or more: LimitNOFILE= in the service, or /etc/security/limits.conf"),
        ),
        _ => ok("files", "enough files may be open"),
    }
}

/// Whether more than 80% of a limit is used.
pub(super) fn is_nearly_used(count: u64, most: u64) -> bool {
    count.saturating_mul(10) > most.saturating_mul(8)
}

fn disk(check: &'static str, folder: &Path) -> Finding {
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(existing) {
        Ok(stat) => {
            let inodes = Some(stat.f_favail).filter(|_| stat.f_files > 0);
            room(check, existing, stat.f_bavail * stat.f_frsize / (1 << 30), inodes)
        }
        Err(error) => {
            warning(check, format!("cannot see the free space at {}: {error}", existing.display()), "look at its mount")
        }
    }
}

/// `inodes` is nothing on file systems that make them as they are needed.
fn room(check: &'static str, folder: &Path, free_gib: u64, inodes: Option<u64>) -> Finding {
    let inodes_told = inodes.map(|free| format!(" and {free} files")).unwrap_or_default();
    let told = format!("{free_gib} GiB{inodes_told} free at {}", folder.display());
    if free_gib < FREE_GIB {
        return warning(check, told, format!("have {FREE_GIB} GiB or more; `slipway stack list`, --keep-releases"));
    }
    match inodes {
        Some(free) if free < FREE_INODES => {
            warning(check, told, "delete many small files, or use a file system with more inodes")
        }
        _ => ok(check, told),
    }
}

/// What the data folder holds, by folder; nothing before there is one.
fn usage(data: &Path) -> Option<Finding> {
    let folders = OWNED.map(|name| (name, used(&data.join(name))));
    let all: u64 = folders.iter().map(|(_, bytes)| bytes).sum();
    let told: Vec<String> = folders.iter().map(|(name, bytes)| format!("{name} {}", mebibytes(*bytes))).collect();
    data.exists().then(|| ok("usage", format!("{} holds {}: {}", data.display(), mebibytes(all), told.join(", "))))
}

/// The bytes a folder takes on the disk; holes of sparse files do not count. What cannot be read counts as nothing.
fn used(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => used(&entry.path()),
        Ok(about) => about.blocks() * 512,
        Err(_) => 0,
    });
    each.sum()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_small_machine_without_swap_is_warned_of() {
        let small = memory("MemTotal:        1014272 kB\nMemFree: 1 kB\nSwapTotal:             0 kB\n");
        assert!(small.level == Level::Warning && small.told().contains("990 MiB of memory, 0 MiB"), "{small:?}");
        assert_eq!(memory("MemTotal:        1014272 kB\nSwapTotal:       2097148 kB\n").level, Level::Ok);
        assert_eq!(memory("MemTotal:       16305412 kB\nSwapTotal:             0 kB\n").level, Level::Ok);
    }

    #[test]
    fn the_clock_and_upgrades_are_told() {
        assert_eq!(clock("yes\n").level, Level::Ok);
        assert!(clock("no\n").told().contains("no time server"));
        assert!(clock("").told().contains("cannot see"));
        let on = "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n";
        assert_eq!(upgrades(on).level, Level::Ok);
        assert_eq!(upgrades("APT::Periodic::Unattended-Upgrade \"0\";\n").level, Level::Warning);
        assert_eq!(upgrades("//APT::Periodic::Unattended-Upgrade \"1\";\n").level, Level::Warning);
    }

    #[test]
    fn ids_of_others_among_ours_are_a_problem() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n";
        assert_eq!(ids(passwd, "ada:100000:65536\n").level, Level::Ok);
        let below = format!("ada:{}:65536\n", ID_RANGE.0 - 65_536);
        assert_eq!(ids(passwd, &below).level, Level::Ok);
        let over = format!("ada:{}:65537\n", ID_RANGE.0 - 65_536);
        assert!(ids(passwd, &over).told().starts_with("Problem ada has ids"));
        assert_eq!(ids("far:x:400000000:1::/:/bin/sh\n", "").level, Level::Problem);
    }

    #[test]
    fn files_and_room_are_counted() {
        assert_eq!(files(Some(1024), "1728\t0\t9223372036854775807\n").level, Level::Warning);
        assert_eq!(files(None, "1728 0 9223372036854775807").level, Level::Ok);
        assert!(files(Some(1_048_576), "90000 0 100000").told().contains("90000 of 100000"));
        let at = Path::new("/data");
        assert_eq!(room("disk", at, 80, Some(5_000_000)).level, Level::Ok);
        assert_eq!(room("disk", at, 80, None).level, Level::Ok, "btrfs has no such count");
        assert_eq!(room("disk", at, 4, Some(5_000_000)).level, Level::Warning);
        assert!(room("disk", at, 80, Some(100)).told().contains("inodes"));
    }

    #[test]
    fn the_data_folder_is_told_by_its_folders() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(data.path().join("blobs/ab")).unwrap();
        fs::write(data.path().join("blobs/ab/blob"), vec![1; (1 << 20) + 1]).unwrap();
        let told = usage(data.path()).unwrap().told();
        assert!(told.contains("blobs 2 MiB, images 0 MiB"), "{told}");
        assert_eq!(usage(&data.path().join("missing")), None);
    }
}
