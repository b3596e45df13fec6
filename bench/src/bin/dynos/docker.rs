//! `docker run --rm` without a network, by a daemon of our own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::{Failure, run, until};

use crate::{LIMITS, Method, Times, process};

const IMAGE: &str = "slipway-bench";

pub(crate) struct Docker {
    folder: PathBuf,
    daemon: Child,
}

impl Docker {
    /// Starts the daemon, which starts a containerd of its own, and gives it the root as an image.
    pub(crate) fn start(folder: &Path, root: &Path) -> Result<Self, Failure> {
        let folder = folder.join("docker");
        fs::create_dir_all(&folder)?;
        let mut command = Command::new("dockerd");
        command.args(["--bridge", "none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]);
        command.arg("--data-root").arg(folder.join("data")).arg("--exec-root").arg(folder.join("exec"));
        command.arg("--pidfile").arg(folder.join("pid")).arg("--host").arg(socket(&folder));
        // Its default is more than a root without CAP_SYS_RESOURCE may have.
        command.args(["--default-ulimit", "nofile=1024:1024"]);
        let log = File::create(folder.join("log"))?;
        let daemon = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let docker = Self { folder, daemon };
        until("dockerd answers", || Ok(run(docker.command().arg("version"))?.status.success()))?;
        let tar = docker.folder.join("root.tar");
        run(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(root).arg("."))?.good()?;
        run(docker.command().arg("import").arg(&tar).arg(IMAGE))?.good()?;
        Ok(docker)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.arg("--host").arg(socket(&self.folder)).env("HOME", &self.folder);
        command
    }
}

impl Method for Docker {
    fn name(&self) -> String {
        "docker, no network".to_owned()
    }

    fn once(&mut self) -> Result<Times, Failure> {
        let mut command = self.command();
        command.args(["run", "--rm", "--network", "none", "--read-only", "--cap-drop", "all", "--user", "1000:1000"]);
        command.args(["--memory", &LIMITS.memory_bytes.to_string(), "--pids-limit", &LIMITS.processes.to_string()]);
        command.args(["--log-driver", "none", "--security-opt", "no-new-privileges", IMAGE, "/usr/bin/echo", "hello"]);
        process::hello(&mut command)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // It ends its containerd on SIGTERM alone.
        drop(run(Command::new("kill").arg(self.daemon.id().to_string())));
        drop(self.daemon.wait());
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("socket").display())
}
