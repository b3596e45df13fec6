//! `crun` and `runc`: a bundle of the same root with the same limits, and the kernel calls that podman allows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Failure, run};
use serde_json::{Value, json};

use crate::{LIMITS, Method, Times, process};

/// What podman gives to its runtime, in a form of its own.
const PROFILE: &str = "/usr/share/containers/seccomp.json";

pub(crate) struct Oci {
    program: &'static str,
    bundle: PathBuf,
    started: u32,
}

impl Oci {
    /// Writes the bundle.
    pub(crate) fn new(program: &'static str, folder: &Path, root: &Path) -> Result<Self, Failure> {
        let bundle = folder.join(program);
        fs::create_dir_all(&bundle)?;
        run(Command::new(program).arg("spec").current_dir(&bundle))?.good()?;
        let file = bundle.join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
        config["root"] = json!({"path": root, "readonly": true});
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/usr/bin/echo", "hello"]);
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        config["process"]["noNewPrivileges"] = json!(true);
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            config["process"]["capabilities"][set] = json!([]);
        }
        config["linux"]["resources"] = json!({
            "memory": {"limit": LIMITS.memory_bytes},
            "pids": {"limit": LIMITS.processes},
            "cpu": {"shares": 1024},
        });
        config["linux"]["seccomp"] = seccomp(&serde_json::from_slice(&fs::read(PROFILE)?)?);
        fs::write(file, serde_json::to_vec(&config)?)?;
        Ok(Self { program, bundle, started: 0 })
    }
}

impl Method for Oci {
    fn name(&self) -> String {
        self.program.to_owned()
    }

    fn once(&mut self) -> Result<Times, Failure> {
        self.started += 1;
        let name = format!("slipway-bench-{}-{}", std::process::id(), self.started);
        process::hello(Command::new(self.program).arg("run").arg("--bundle").arg(&self.bundle).arg(name))
    }
}

/// The profile as the runtime's specification writes it: what holds for a container without capabilities.
fn seccomp(profile: &Value) -> Value {
    let holds = |rule: &&Value| {
        let empty = |part: &str| rule[part]["caps"].as_array().is_none_or(Vec::is_empty);
        let arches = rule["includes"]["arches"].as_array();
        empty("includes") && arches.is_none_or(|arches| arches.is_empty() || arches.contains(&json!("amd64")))
    };
    let rules = profile["syscalls"].as_array().into_iter().flatten().filter(holds);
    let rule = |rule: &Value| {
        let mut told = json!({"names": rule["names"], "action": rule["action"]});
        for part in ["args", "errnoRet"] {
            if !rule[part].is_null() && rule[part] != json!([]) {
                told[part] = rule[part].clone();
            }
        }
        told
    };
    json!({
        "defaultAction": profile["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": rules.map(rule).collect::<Vec<_>>(),
    })
}
