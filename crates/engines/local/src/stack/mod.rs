//! Builds a stack: the images that dynos and builds run on, from package lists and a Debian mirror.
//!
//! Knows mmdebstrap, overlays and squashfs; knows no buildpack. The build image is a delta over the run image, so that
//! both share what they have in common on disk and in memory. A finished stack is kept in the cache under the hash of
//! all it was made from; making the same one again is a link or a copy.
//!
//! ```text
//! LISTS/{run.txt,build.txt,customize.sh,install-build.sh}                shipped in stacks/NAME
//! CACHE/KEY/{run.sqfs,build-delta.sqfs,manifest.json}                    finished
//! CACHE/work-PID/                                                        under construction
//! OUTPUT/NAME/{run.sqfs,build-delta.sqfs,manifest.json}                  installed
//! ```
//!
//! In the delta nothing of the run image is deleted and no extended attribute is kept: it can be laid over the run
//! image by any overlay mount, and no file in either image gives anybody rights (setuid, capabilities).

pub mod import;
mod recipe;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use recipe::Recipe;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use recipe::InvalidList;

/// What to build and where.
#[derive(Debug, Clone)]
pub struct StackBuild {
    /// The stack's name: `debian-13`.
    pub name: String,
    /// The folder of its lists and scripts.
    pub lists: PathBuf,
    /// Finished stacks; may be deleted at any time.
    pub cache: PathBuf,
    /// Where stacks are installed: `DATA/stacks`.
    pub output: PathBuf,
    /// Debian's suite: `trixie`.
    pub suite: String,
    /// The mirror; Debian's own if there is none. The security suite is taken from its `debian-security` neighbour.
    pub mirror: Option<String>,
    /// The certificates that programs inside trust: the host's own bundle, so that what the host's operator trusts is
    /// trusted by buildpacks too.
    pub ca_bundle: PathBuf,
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("could not {0} {1}: {2}")]
    File(&'static str, PathBuf, #[source] io::Error),
    /// A package list.
    #[error(transparent)]
    List(#[from] InvalidList),
    /// A program could not be started.
    #[error("could not run {0}: {1}")]
    Run(&'static str, #[source] io::Error),
    /// A program failed; its last words, and where all of them are.
    #[error("{program} ended with {status}: {last}; all it said is in {log}")]
    Program {
        /// Which.
        program: &'static str,
        /// How.
        status: ExitStatus,
        /// The last lines of what it said.
        last: String,
        /// Where the rest is.
        log: PathBuf,
    },
    /// The delta would need something an overlay cannot do here.
    #[error("could not use the build packages: installing them deletes {0} of the run image")]
    Deletes(PathBuf),
}

/// The files of a finished stack.
const FILES: [&str; 3] = ["run.sqfs", "build-delta.sqfs", "manifest.json"];

/// Builds and installs a stack, or installs it from the cache. Blocking, for minutes; `progress` gets one line per
/// step. May be repeated, and two at once build twice.
pub fn build(plan: &StackBuild, progress: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let recipe = Recipe::read(plan)?;
    let cached = plan.cache.join(recipe.key());
    if cached.join("manifest.json").exists() {
        progress(&format!("Stack {}: taking it from the cache", plan.name));
    } else {
        let work = Work::new(&plan.cache)?;
        construct(plan, &recipe, &work, progress)?;
        let finished = work.0.join("finished");
        // Somebody else may have built the same meanwhile; theirs is as good.
        fs::rename(&finished, &cached)
            .or_else(|error| if cached.is_dir() { Ok(()) } else { Err(error) })
            .map_err(file("keep", &cached))?;
    }
    install(&cached, &plan.output.join(&plan.name))?;
    progress(&format!("Stack {}: installed", plan.name));
    Ok(())
}

fn construct(plan: &StackBuild, recipe: &Recipe, work: &Work, progress: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let (run, finished) = (work.0.join("run"), work.folder("finished")?);
    progress(&format!("Stack {}: installing {} packages of the run image", plan.name, recipe.run.len()));
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(recipe.mmdebstrap(plan, &run));
    execute("mmdebstrap", mmdebstrap, work)?;
    finish_root(&run, &plan.ca_bundle)?;
    progress(&format!("Stack {}: writing the run image", plan.name));
    squash(&run, &finished.join("run.sqfs"), work)?;
    progress(&format!("Stack {}: installing {} packages of the build image", plan.name, recipe.build.len()));
    let upper = install_build(plan, recipe, work, &run)?;
    check_delta(&upper, &run)?;
    progress(&format!("Stack {}: writing the build image", plan.name));
    squash(&upper, &finished.join("build-delta.sqfs"), work)?;
    let manifest = finished.join("manifest.json");
    let digests = digests(&finished, &["run.sqfs", "build-delta.sqfs"])?;
    fs::write(&manifest, recipe.manifest(plan, &digests).to_string()).map_err(file("write", &manifest))
}

/// SHA-256 of image files by their names. With them in it a manifest says which images it is about: the same packages
/// installed on another day are other images.
fn digests(folder: &Path, names: &[&str]) -> Result<Value, Error> {
    let mut digests = serde_json::Map::new();
    for name in names {
        let path = folder.join(name);
        let digest = digest(&path).map_err(file("read", &path))?;
        digests.insert((*name).to_owned(), digest.as_str().into());
    }
    Ok(Value::Object(digests))
}

fn digest(path: &Path) -> io::Result<vocabulary::Digest> {
    let mut image = io::BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut hash = Sha256::new();
    loop {
        let piece = image.fill_buf()?;
        if piece.is_empty() {
            return Ok(vocabulary::Digest::from_bytes(&hash.finalize().into()));
        }
        hash.update(piece);
        let length = piece.len();
        image.consume(length);
    }
}

/// What mmdebstrap leaves of the host, and what the host gives.
fn finish_root(root: &Path, ca_bundle: &Path) -> Result<(), Error> {
    for name in ["etc/resolv.conf", "etc/hosts", "etc/hostname"] {
        let path = root.join(name);
        // It may be a link into the host, so it is replaced, never written through.
        fs::remove_file(&path)
            .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
            .map_err(file("replace", &path))?;
        File::create_new(&path).map_err(file("make", &path))?;
    }
    let bundle = root.join("etc/ssl/certs/ca-certificates.crt");
    fs::copy(ca_bundle, &bundle).map_err(file("copy the certificates to", &bundle))?;
    Ok(())
}

/// Installs the build packages into an overlay over the run image and answers the folder with what they changed.
fn install_build(plan: &StackBuild, recipe: &Recipe, work: &Work, run: &Path) -> Result<PathBuf, Error> {
    let (upper, merged) = (work.folder("upper")?, work.folder("merged")?);
    let overlay = work.folder("overlay")?;
    let mut options = OsString::from("redirect_dir=off,metacopy=off,index=off,lowerdir=");
    options.push(run);
    options.push(",upperdir=");
    options.push(&upper);
    options.push(",workdir=");
    options.push(&overlay);
    // In a mount namespace of its own, so that a killed build leaves no mount behind.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"]);
    command.arg(plan.lists.join("install-build.sh")).arg(&merged).arg(work.folder("downloads")?).arg(options);
    command.args(&recipe.build);
    execute("install-build.sh", command, work)?;
    Ok(upper)
}

/// Whether the delta only adds and replaces: a folder that hides one of the run image, or a mark that deletes, would
/// be lost with the extended attributes, or shown as a device.
fn check_delta(upper: &Path, run: &Path) -> Result<(), Error> {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = upper.join(&folder);
        let entries = fs::read_dir(&path).map_err(file("read", &path))?;
        for entry in entries {
            let entry = entry.map_err(file("read", &path))?;
            let kind = entry.file_type().map_err(file("read", &path))?;
            let inside = folder.join(entry.file_name());
            let deletes = !kind.is_dir() && !kind.is_file() && !kind.is_symlink();
            if deletes || (kind.is_dir() && is_opaque(&entry.path()) && run.join(&inside).symlink_metadata().is_ok()) {
                return Err(Error::Deletes(inside));
            }
            if kind.is_dir() {
                folders.push(inside);
            }
        }
    }
    Ok(())
}

fn is_opaque(folder: &Path) -> bool {
    let mut value = [0; 8];
    rustix::fs::lgetxattr(folder, "trusted.overlay.opaque", &mut value)
        .is_ok_and(|length| value.get(..length) == Some(b"y"))
}

fn squash(folder: &Path, image: &Path, work: &Work) -> Result<(), Error> {
    let mut command = Command::new("mksquashfs");
    command.arg(folder).arg(image).args(["-comp", "zstd", "-Xcompression-level", "3"]);
    command.args(["-no-xattrs", "-noappend", "-quiet", "-no-progress"]);
    execute("mksquashfs", command, work)?;
    File::open(image).and_then(|image| image.sync_all()).map_err(file("write", image))
}

/// Runs a program, its output in the work folder's log.
fn execute(program: &'static str, mut command: Command, work: &Work) -> Result<(), Error> {
    let path = work.0.join(format!("{program}.log"));
    let log = File::create(&path).map_err(file("write", &path))?;
    let errors = log.try_clone().map_err(file("write", &path))?;
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let status = command.status().map_err(|error| Error::Run(program, error))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join(" / ");
    let log = std::env::temp_dir().join(format!("slipway-{program}.log"));
    // The work folder goes; what was said must stay. If it cannot, the last lines are all there is.
    let log = fs::copy(&path, &log).map_or(path, |_| log);
    Err(Error::Program { program, status, last, log })
}

/// Puts a cached stack in place: each file whole, the manifest last.
fn install(cached: &Path, target: &Path) -> Result<(), Error> {
    fs::create_dir_all(target).map_err(file("make", target))?;
    for name in FILES {
        let (from, to, fresh) = (cached.join(name), target.join(name), target.join(format!(".{name}.new")));
        fs::remove_file(&fresh)
            .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
            .map_err(file("replace", &fresh))?;
        // Another file system cannot be linked to.
        fs::hard_link(&from, &fresh)
            .or_else(|_| fs::copy(&from, &fresh).map(|_| ()))
            .map_err(file("copy to", &fresh))?;
        fs::rename(&fresh, &to).map_err(file("install", &to))?;
        // Renaming one name of a file over another of the same file does nothing.
        drop(fs::remove_file(&fresh));
    }
    Ok(())
}

/// A folder for one build; gone when dropped.
struct Work(PathBuf);

impl Work {
    fn new(cache: &Path) -> Result<Self, Error> {
        let folder = cache.join(format!("work-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(file("make", &folder))?;
        Ok(Self(folder.canonicalize().map_err(file("find", &folder))?))
    }

    fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.0.join(name);
        fs::create_dir(&folder).map_err(file("make", &folder))?;
        Ok(folder)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "could not remove what a stack was built in");
        }
    }
}

fn file<'a>(attempted: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |error| Error::File(attempted, path.to_owned(), error)
}
