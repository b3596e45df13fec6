//! `podman run --rm`, on crun and without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::Failure;

use crate::{LIMITS, Method, Times, process};

/// Its own defaults ask for more than a root without `CAP_SYS_RESOURCE` may have.
const SETTINGS: &str = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                        [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n";

pub(crate) struct Podman {
    folder: PathBuf,
    root: PathBuf,
}

impl Podman {
    pub(crate) fn new(folder: &Path, root: &Path) -> Result<Self, Failure> {
        let folder = folder.join("podman");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("containers.conf"), SETTINGS)?;
        Ok(Self { folder, root: root.to_owned() })
    }
}

impl Method for Podman {
    fn name(&self) -> String {
        "podman, no network".to_owned()
    }

    fn once(&mut self) -> Result<Times, Failure> {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        command.arg("--root").arg(self.folder.join("root")).arg("--runroot").arg(self.folder.join("run"));
        command.args(["--storage-driver", "vfs", "--runtime", "crun", "run", "--rm", "--network", "none"]);
        command.args(["--log-driver", "none", "--read-only", "--cap-drop", "all", "--user", "1000:1000"]);
        command.args(["--memory", &LIMITS.memory_bytes.to_string(), "--pids-limit", &LIMITS.processes.to_string()]);
        command.arg("--rootfs").arg(&self.root).args(["/usr/bin/echo", "hello"]);
        process::hello(&mut command)
    }
}
