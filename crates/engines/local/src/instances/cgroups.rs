//! The control groups of instances, on either version of the kernel's interface.
//!
//! Knows folders and limits. Every group lies under one of this install's name, at the top of each hierarchy, so that
//! installs stand side by side and what a killed engine left is found again.
//!
//! ```text
//! v1   /sys/fs/cgroup/{memory,cpu,pids}/slipway-INSTALL/ID
//! v2   /sys/fs/cgroup/slipway-INSTALL/ID
//! ```
//!
//! Under systemd as well: not below the unit that started us, as the group of a unit goes with it, and instances stay.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::Limits;
use shim::Placement;
use vocabulary::DynoId;

/// Where the kernel's control groups are mounted.
const MOUNTED: &str = "/sys/fs/cgroup";
/// The controllers of v1 that limit an instance.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];
/// CPU shares (v1) of a Standard-1X dyno, the kernel's default; the most that v1 takes is 262,144.
const SHARES: u64 = 1024;
/// CPU weight (v2) of a Standard-1X dyno, the kernel's default; the most that v2 takes is 10,000.
const WEIGHT: u64 = 100;
/// Room for process 1 beside the processes asked for.
const OWN_PROCESSES: u64 = 1;
/// Where processes go that are in the way of controllers, and how often they are looked for.
const ASIDE: &str = "init";
const ROUNDS: u32 = 10;
/// How long a group may stay busy after its last process was killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The version the host runs, with this install's top folders.
#[derive(Debug, Clone)]
pub(crate) enum Cgroups {
    /// One hierarchy for each controller.
    V1 {
        /// The top folders of the controllers that are there: name and folder.
        tops: Vec<(&'static str, PathBuf)>,
    },
    /// One hierarchy for all.
    V2 {
        /// The top folder.
        top: PathBuf,
    },
}

/// Where the kernel keeps account of an instance.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// The folder of the memory controller.
    pub(crate) memory: Option<PathBuf>,
    /// The file that lists its threads.
    pub(crate) threads: Option<PathBuf>,
    /// Whether they are those of v2.
    pub(crate) v2: bool,
}

impl Cgroups {
    /// Finds out the version and makes the install's top folders.
    pub(crate) fn open(install: &str) -> io::Result<Self> {
        let (mounted, name) = (Path::new(MOUNTED), format!("slipway-{install}"));
        if mounted.join("cgroup.controllers").exists() {
            let top = mounted.join(name);
            fs::create_dir_all(&top)?;
            hand_down(mounted)?;
            hand_down(&top)?;
            return Ok(Self::V2 { top });
        }
        let there = CONTROLLERS.into_iter().filter(|controller| mounted.join(controller).join("cgroup.procs").exists());
        let tops: Vec<_> = there.map(|controller| (controller, mounted.join(controller).join(&name))).collect();
        for (controller, top) in &tops {
            fs::create_dir_all(top)?;
            if *controller == "memory" {
                // Without it a limit of a group would not count what groups below it use.
                write_if_possible(&top.join("memory.use_hierarchy"), 1);
            }
        }
        Ok(Self::V1 { tops })
    }

    /// Makes an instance's group and sets its limits. What the host cannot grant is clamped: a limit above the
    /// largest value, or a controller that is not there, leaves the instance without that limit.
    pub(crate) fn make(&self, id: DynoId, limits: &Limits) -> io::Result<()> {
        for (file, value) in self.settings(id, limits) {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            write_if_possible(&file, value);
        }
        // A group without any of the files still holds the processes together.
        self.folders(id).iter().try_for_each(fs::create_dir_all)
    }

    fn settings(&self, id: DynoId, limits: &Limits) -> Vec<(PathBuf, u64)> {
        let processes = u64::from(limits.processes) + OWN_PROCESSES;
        let (shares, weight) = (SHARES * u64::from(limits.cpu_weight), WEIGHT * u64::from(limits.cpu_weight));
        let mut settings = Vec::new();
        for (controller, folder) in self.controllers(id) {
            match (self, controller) {
                (Self::V1 { .. }, "memory") => settings.extend([
                    (folder.join("memory.limit_in_bytes"), limits.memory_bytes),
                    (folder.join("memory.memsw.limit_in_bytes"), limits.memory_bytes),
                ]),
                (Self::V1 { .. }, "cpu") => settings.push((folder.join("cpu.shares"), shares.clamp(2, 262_144))),
                // An app of several processes ends as a whole, as on Heroku, instead of losing the largest.
                (Self::V2 { .. }, "memory") => settings.extend([
                    (folder.join("memory.max"), limits.memory_bytes),
                    (folder.join("memory.swap.max"), 0),
                    (folder.join("memory.oom.group"), 1),
                ]),
                (Self::V2 { .. }, "cpu") => settings.push((folder.join("cpu.weight"), weight.clamp(1, 10_000))),
                _ => settings.push((folder.join("pids.max"), processes)),
            }
        }
        settings
    }

    /// How a process of the instance gets in.
    pub(crate) fn placement(&self, id: DynoId) -> Placement {
        match self {
            Self::V1 { .. } => Placement::Write(self.folders(id).iter().map(|folder| folder.join("tasks")).collect()),
            Self::V2 { top } => Placement::Into(top.join(id.to_string())),
        }
    }

    /// The file that counts kills for memory.
    pub(crate) fn memory_events(&self, id: DynoId) -> Option<PathBuf> {
        let name = match self {
            Self::V1 { .. } => "memory.oom_control",
            Self::V2 { .. } => "memory.events",
        };
        let memory = self.controllers(id).into_iter().find(|(controller, _)| *controller == "memory");
        memory.map(|(_, folder)| folder.join(name))
    }

    /// The folders that tell what an instance uses: that of the memory controller, if there is one, and one that lists
    /// its processes.
    pub(crate) fn accounts(&self, id: DynoId) -> Accounts {
        let controllers = self.controllers(id);
        let memory = controllers.iter().find(|(controller, _)| *controller == "memory").map(|(_, it)| it.clone());
        let threads = match self {
            Self::V1 { .. } => "tasks",
            Self::V2 { .. } => "cgroup.threads",
        };
        let threads = controllers.first().map(|(_, folder)| folder.join(threads));
        Accounts { memory, threads, v2: matches!(self, Self::V2 { .. }) }
    }

    /// Kills whatever is in an instance's group. v2 does it in one go, which no process can outrun by forking.
    pub(crate) fn kill(&self, id: DynoId) {
        if let Self::V2 { top } = self
            && fs::write(top.join(id.to_string()).join("cgroup.kill"), "1").is_ok()
        {
            return;
        }
        for folder in self.folders(id) {
            for pid in processes(&folder) {
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap_or(());
            }
        }
    }

    /// Removes an instance's group once its last process left it.
    pub(crate) async fn remove(&self, id: DynoId) -> io::Result<()> {
        let started = tokio::time::Instant::now();
        for folder in self.folders(id) {
            loop {
                match fs::remove_dir(&folder) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy && started.elapsed() < PATIENCE => {
                        self.kill(id);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// The names of all groups of this install.
    pub(crate) fn all(&self) -> Vec<DynoId> {
        let tops: Vec<&PathBuf> = match self {
            Self::V1 { tops } => tops.iter().map(|(_, top)| top).collect(),
            Self::V2 { top } => vec![top],
        };
        let names = tops.into_iter().filter_map(|top| fs::read_dir(top).ok()).flatten();
        let mut ids: Vec<DynoId> = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn controllers(&self, id: DynoId) -> Vec<(&'static str, PathBuf)> {
        let name = id.to_string();
        match self {
            Self::V1 { tops } => tops.iter().map(|(controller, top)| (*controller, top.join(&name))).collect(),
            Self::V2 { top } => CONTROLLERS.iter().map(|controller| (*controller, top.join(&name))).collect(),
        }
    }

    fn folders(&self, id: DynoId) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.controllers(id).into_iter().map(|(_, folder)| folder).collect();
        folders.dedup();
        folders
    }
}

/// Lets the groups below a folder of v2 have the controllers that it has.
fn hand_down(folder: &Path) -> io::Result<()> {
    let there = fs::read_to_string(folder.join("cgroup.controllers"))?;
    for controller in CONTROLLERS.iter().filter(|name| there.split_whitespace().any(|it| it == **name)) {
        let write = || fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
        write().or_else(|error| {
            if error.kind() != io::ErrorKind::ResourceBusy {
                return Err(error);
            }
            move_aside(folder)?;
            write()
        })?;
    }
    Ok(())
}

/// Moves the processes of a folder of v2 into a group of their own below it. Needed in a container, where the top is
/// no root to the kernel: what holds processes must not hand down controllers (cgroup-v2.rst, "No Internal Process
/// Constraint").
fn move_aside(folder: &Path) -> io::Result<()> {
    let aside = folder.join(ASIDE);
    fs::create_dir_all(&aside)?;
    for _ in 0..ROUNDS {
        let processes = processes(folder);
        if processes.is_empty() {
            break;
        }
        for process in processes {
            // It may have ended meanwhile; what it forked meanwhile is found in the next round.
            drop(fs::write(aside.join("cgroup.procs"), process.as_raw_nonzero().to_string()));
        }
    }
    Ok(())
}

/// Not every host has every file (memsw needs an option of the kernel) or takes every value.
fn write_if_possible(file: &Path, value: u64) {
    if let Err(error) = fs::write(file, value.to_string()) {
        tracing::debug!(file = %file.display(), value, %error, "a limit is not available on this host");
    }
}

fn processes(folder: &Path) -> Vec<rustix::process::Pid> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| rustix::process::Pid::from_raw(line.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory_bytes: 512 << 20, cpu_weight: 1_000, processes: 256, disk_bytes: 1 << 30 };

    #[test]
    fn v2_has_one_folder_and_clamps_its_weight() {
        let cgroups = Cgroups::V2 { top: PathBuf::from("/top") };
        let id = DynoId::new();
        assert_eq!(cgroups.folders(id), [PathBuf::from(format!("/top/{id}"))]);
        let settings = cgroups.settings(id, &LIMITS);
        let value = |name: &str| settings.iter().find(|(file, _)| file.ends_with(name)).map(|(_, value)| *value);
        assert_eq!(value("memory.max"), Some(512 << 20));
        assert_eq!(value("memory.swap.max"), Some(0));
        assert_eq!(value("memory.oom.group"), Some(1));
        assert_eq!(value("cpu.weight"), Some(10_000));
        assert_eq!(value("pids.max"), Some(257));
    }

    #[test]
    fn v1_has_a_folder_for_each_controller_that_is_there() {
        let cgroups = Cgroups::V1 { tops: vec![("memory", PathBuf::from("/m")), ("cpu", PathBuf::from("/c"))] };
        let id = DynoId::new();
        let settings = cgroups.settings(id, &LIMITS);
        let value = |name: &str| settings.iter().find(|(file, _)| file.ends_with(name)).map(|(_, value)| *value);
        assert_eq!(value("memory.limit_in_bytes"), Some(512 << 20));
        assert_eq!(value("cpu.shares"), Some(262_144));
        assert_eq!(value("pids.max"), None);
        assert_eq!(cgroups.memory_events(id), Some(PathBuf::from(format!("/m/{id}/memory.oom_control"))));
    }
}
