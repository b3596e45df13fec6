//! The world outside: a network namespace with a host of buildpacks that dynos may reach, and hosts they may not.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Failure, run};

/// The port of everything outside.
const PORT: u16 = 8000;
/// How many this process started: a scenario may have a platform of its own beside the suite's.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A namespace with addresses of its own; gone when dropped. The names carry our process id and a number, so that
/// suites stand side by side, and platforms of one suite.
#[derive(Debug)]
pub struct Outside {
    name: String,
    /// 10.213.NET.0/24 is this namespace's.
    net: u8,
    server: Child,
    folder: PathBuf,
}

impl Outside {
    /// Makes the namespace and serves the buildpacks of `examples/` from it.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let (process, number) = (std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let id = format!("{process}x{number}");
        let (name, net) = (format!("outside-{id}"), u8::try_from((process + 125 * number) % 250)?);
        let folder = folder.join("outside");
        fs::create_dir_all(&folder)?;
        pack_buildpacks(&folder)?;
        let (near, far) = (format!("out{id}"), format!("far{id}"));
        let (gateway, host) = (format!("10.213.{net}.1/24"), format!("10.213.{net}.2/24"));
        let forbidden = [format!("192.168.{net}.2/32"), format!("169.254.170.{net}/32")];
        ip(&["netns", "add", &name])?;
        ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &name])?;
        ip(&["addr", "add", &gateway, "dev", &near])?;
        ip(&["link", "set", &near, "up"])?;
        ip(&["-n", &name, "addr", "add", &host, "dev", &far])?;
        ip(&["-n", &name, "link", "set", &far, "up"])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        ip(&["-n", &name, "route", "add", "default", "via", &format!("10.213.{net}.1")])?;
        for address in &forbidden {
            ip(&["-n", &name, "addr", "add", address, "dev", &far])?;
            ip(&["route", "add", address, "via", &format!("10.213.{net}.2")])?;
        }
        let server = serve(&name, &folder)?;
        Ok(Self { name, net, server, folder })
    }

    /// What `--egress-allow` opens for it.
    pub fn allowed(&self) -> String {
        format!("10.213.{}.2/32:{PORT}", self.net)
    }

    /// A buildpack of `examples/buildpacks` as a git repository.
    pub fn git(&self, name: &str) -> String {
        format!("http://10.213.{}.2:{PORT}/{name}.git", self.net)
    }

    /// A buildpack of `examples/buildpacks` as a tarball.
    pub fn tarball(&self, name: &str) -> String {
        format!("http://10.213.{}.2:{PORT}/{name}.tgz", self.net)
    }

    /// This machine's address as it is seen from there.
    pub fn gateway(&self) -> std::net::Ipv4Addr {
        std::net::Ipv4Addr::new(10, 213, self.net, 1)
    }

    /// A command that runs a program there. Nothing of this machine's loopback is in reach.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg(program);
        command
    }

    /// Addresses that answer, but not to dynos: a private host, and one where clouds keep their metadata.
    pub fn forbidden(&self) -> [String; 2] {
        [format!("192.168.{}.2 {PORT}", self.net), format!("169.254.170.{} {PORT}", self.net)]
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Its routes and links go with the namespace's end of the veth.
        drop(self.server.kill());
        drop(self.server.wait());
        drop(ip(&["netns", "delete", &self.name]));
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn ip(arguments: &[&str]) -> Result<(), Failure> {
    run(Command::new("ip").args(arguments))?.good().map(drop)
}

fn serve(name: &str, folder: &Path) -> Result<Child, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("outside/server.js");
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{name}")).arg("node").arg(script).arg(folder).arg(PORT.to_string());
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    if line.trim() == "ready" { Ok(server) } else { Err("the host of buildpacks did not start".into()) }
}

/// Each buildpack as NAME.tgz and as a bare repository NAME.git.
fn pack_buildpacks(folder: &Path) -> Result<(), Failure> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/buildpacks");
    for entry in fs::read_dir(&from)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let (work, bare) = (folder.join(&name), folder.join(format!("{name}.git")));
        run(Command::new("cp").arg("-r").arg(from.join(&name)).arg(&work))?.good()?;
        let archive = folder.join(format!("{name}.tgz"));
        run(Command::new("tar").arg("-czf").arg(archive).arg("-C").arg(&work).arg("."))?.good()?;
        let git = |arguments: &[&str]| -> Result<(), Failure> {
            let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
            run(Command::new("git").arg("-C").arg(&work).args(identity).args(arguments))?.good().map(drop)
        };
        git(&["init", "--quiet", "--initial-branch", "main"])?;
        git(&["add", "--all"])?;
        git(&["commit", "--quiet", "--message", "a buildpack"])?;
        run(Command::new("git").args(["clone", "--quiet", "--bare"]).arg(&work).arg(&bare))?.good()?;
    }
    Ok(())
}
