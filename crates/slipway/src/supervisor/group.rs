//! The control group of the roles, on cgroup v2.
//!
//! A unit of systemd stays loaded, and its name taken, as long as its group holds processes. The router and the parents
//! of instances outlive the unit, so they must not be in it: roles enter a group of the install's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The top of all groups.
const MOUNTED: &str = "/sys/fs/cgroup";
/// Among the groups of instances, whose names are ids.
const NAME: &str = "platform";

/// Makes the group; `None` on cgroup v1, where systemd keeps its books apart.
pub(super) fn make(install: &str) -> io::Result<Option<PathBuf>> {
    let mounted = Path::new(MOUNTED);
    if !mounted.join("cgroup.controllers").exists() {
        return Ok(None);
    }
    let group = mounted.join(format!("slipway-{install}")).join(NAME);
    fs::create_dir_all(&group)?;
    Ok(Some(group))
}

/// Moves a process there, which all it starts from then on inherit.
pub(super) fn enter(group: &Path, pid: u32) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), pid.to_string())
}
