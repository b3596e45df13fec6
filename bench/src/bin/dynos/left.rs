//! What our engine leaves on the host on purpose, for the next engine: there is none.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Takes it away; what is not there is as good.
pub(crate) fn take_away(install: &str, folder: &Path) {
    let quietly = |command: &mut Command| {
        drop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
    };
    quietly(Command::new("nft").args(["delete", "table", "inet", &format!("slipway-{install}")]));
    let name = format!("slipway-{install}");
    for group in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        drop(fs::remove_dir(group.path().join(&name)));
    }
    drop(fs::remove_dir(Path::new("/sys/fs/cgroup").join(&name)));
    drop(fs::remove_dir_all(format!("/run/slipway-{install}")));
    if let Ok(told) = Command::new("ip").args(["-o", "addr", "show", "dev", "lo"]).output() {
        let (label, told) = (format!("lo:{install}"), String::from_utf8_lossy(&told.stdout).into_owned());
        for line in told.lines().filter(|line| line.split_whitespace().any(|word| word.trim_end_matches('\\') == label))
        {
            if let Some(address) = line.split_whitespace().nth(3) {
                quietly(Command::new("ip").args(["addr", "del", address, "dev", "lo"]));
            }
        }
    }
    // All mounts of ours lie in a mount namespace of our own, which ends with us.
    for mount in fs::read_dir(folder.join("mounts")).into_iter().flatten().flatten() {
        quietly(Command::new("umount").arg("--lazy").arg(mount.path()));
    }
    quietly(Command::new("umount").arg("--lazy").arg(folder.join("mounts")));
}
