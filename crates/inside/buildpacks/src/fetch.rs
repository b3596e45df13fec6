//! Fetches a buildpack that is not built in, with the `git` and `curl` of the build image, under the build's own egress
//! rules. What comes may be hostile: it runs in this sandbox anyway, but fetching it must do no more than fetch.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use inside_contract::BuildpackRef;

use crate::environment::{CERTIFICATES, Environment};
use crate::error::BuildError;
use crate::layout::Layout;
use crate::output::Output;
use crate::source;

/// Longest a clone or a download may take, in seconds. The build's own limit is 15 minutes.
const SECONDS: &str = "180";
/// Largest tarball, in bytes.
const TARBALL: &str = "104857600";

/// Fetches into `folder`, which is made, and gives the buildpack's root in it.
pub(crate) fn fetch(
    what: &BuildpackRef,
    folder: &Path,
    env: &Environment,
    layout: &Layout,
    out: &Output,
) -> Result<PathBuf, BuildError> {
    let job = Fetch { folder, env, layout };
    let (kind, url, fetched) = match what {
        BuildpackRef::Git(url) => ("git", url, job.git(url)),
        BuildpackRef::Tarball(url) => ("tarball", url, job.tarball(url)),
        BuildpackRef::BuiltIn(name) => return Err(BuildError::UnknownBuiltIn(name.clone())),
    };
    let word = if fetched.is_ok() { "done" } else { "failed" };
    out.section(&format!("Fetching custom {kind} buildpack... {word}"));
    let fetched = fetched.and_then(|()| root(folder));
    fetched.map_err(|reason| BuildError::Fetch { url: url.clone(), reason })
}

struct Fetch<'a> {
    folder: &'a Path,
    env: &'a Environment,
    layout: &'a Layout,
}

impl Fetch<'_> {
    /// A shallow clone of the branch or tag; for a commit, which cannot be cloned by name, the whole history.
    fn git(&self, url: &str) -> Result<(), String> {
        let (url, reference) = url.split_once('#').map_or((url, None), |(url, name)| (url, Some(name)));
        if url.starts_with('-') || reference.is_some_and(|name| name.is_empty() || name.starts_with('-')) {
            return Err("that is no URL of a git repository".to_owned());
        }
        let mut shallow = self.clone_command();
        shallow.args(["--depth", "1", "--single-branch"]);
        if let Some(name) = reference {
            shallow.args(["--branch", name]);
        }
        let first = run(shallow.arg("--").arg(url).arg(self.folder));
        let Some(commit) = reference.filter(|name| first.is_err() && is_commit(name)) else { return first };
        fs::remove_dir_all(self.folder).or_else(absent).map_err(|error| error.to_string())?;
        run(self.clone_command().arg("--no-checkout").arg("--").arg(url).arg(self.folder))?;
        run(self.git_command().arg("-C").arg(self.folder).args(["checkout", "--quiet", "--detach", commit]))
    }

    fn clone_command(&self) -> Command {
        let mut command = self.git_command();
        // An empty template and hooks path: nothing but what was asked for runs. Submodules are not fetched.
        command.args(["clone", "--quiet", "--no-tags", "--template=", "--no-recurse-submodules"]);
        command
    }

    fn git_command(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", SECONDS, "git"]);
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=true", "-c", "advice.detachedHead=false"]);
        command.env_clear().envs(self.env).env("GIT_ALLOW_PROTOCOL", &self.layout.git_protocols);
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_ASKPASS", "/bin/true");
        if Path::new(CERTIFICATES).exists() {
            command.env("GIT_SSL_CAINFO", CERTIFICATES);
        }
        command
    }

    fn tarball(&self, url: &str) -> Result<(), String> {
        let archive = self.folder.with_extension("tar");
        self.download(url, &archive)?;
        fs::create_dir_all(self.folder).map_err(|error| error.to_string())?;
        let file = File::open(&archive).map_err(|error| error.to_string())?;
        source::extract(file, self.folder, self.layout.buildpack, false)
            .map_err(|error| BuildError::from(error).with_causes())?;
        fs::remove_file(&archive).map_err(|error| error.to_string())
    }

    fn download(&self, url: &str, archive: &Path) -> Result<(), String> {
        let protocols = self.layout.curl_protocols.as_str();
        let mut curl = Command::new("curl");
        // `--disable` first: no configuration of the app's home is read.
        curl.args(["--disable", "--proto", protocols, "--proto-redir", protocols, "--globoff"]);
        curl.args(["--fail", "--silent", "--show-error", "--location", "--max-redirs", "5"]);
        curl.args(["--connect-timeout", "30", "--max-time", SECONDS, "--retry", "2", "--max-filesize", TARBALL]);
        curl.arg("--output").arg(archive).arg("--url").arg(url);
        run(curl.env_clear().envs(self.env))
    }
}

/// What `git clone` cannot take as a branch but `git checkout` can.
fn is_commit(name: &str) -> bool {
    (7..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Runs a command quietly; the error is the last line it printed.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
    Err(last.unwrap_or_else(|| output.status.to_string()))
}

/// The folder with `bin/`: the fetched one, or its only folder (archives of code hosts have one on top). Its programs
/// are made executable, as archives often forget.
fn root(folder: &Path) -> Result<PathBuf, String> {
    let root = [Some(folder.to_owned()), only_folder(folder)].into_iter().flatten().find(|root| {
        let compile = root.join("bin/compile");
        compile.is_file()
    });
    let root = root.ok_or_else(|| "it has no bin/compile".to_owned())?;
    executable(&root.join("bin")).map_err(|error| error.to_string())?;
    Ok(root)
}

fn only_folder(folder: &Path) -> Option<PathBuf> {
    let mut folders = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let only = folders.next()?;
    folders.next().is_none().then_some(only)
}

fn executable(bin: &Path) -> io::Result<()> {
    for entry in fs::read_dir(bin)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode | 0o755))?;
        }
    }
    Ok(())
}
