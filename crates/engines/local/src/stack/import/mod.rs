//! Makes a stack of an image that somebody else built: an OCI layout, or what `docker save` writes.
//!
//! ```text
//! image ─► layers' bytes ─► packer (no rights): digests, whiteouts, checks ─► one tar ─► mksquashfs (no rights)
//! STACKS/.import-PID-N/{run.sqfs,build.sqfs,manifest.json}     under construction; gone when it ends
//! STACKS/NAME/                                                 put in place as a whole
//! ```
//!
//! Every byte of an image is hostile. This process reads its JSON, bounded and by digest, and passes all else on; it
//! never unpacks anything. What comes out has no device, no setuid program and no attribute, whatever went in.

mod child;
mod image;
mod index;
mod merged;
mod read;
mod source;
mod system;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::images::{self, ImagesConfig, layer};
use child::{Layer, Plan};
use image::Image;

pub use child::{Problem, Report};
pub use image::{InvalidImage, platform_manifest};

/// The most bytes of all files of an image. `heroku/heroku:24-build` has 1.6 GB.
const MAX_BYTES: u64 = 8 << 30;
/// Address space of the child: the names of half a million files, and zstd's largest window.
const MEMORY: u64 = 2 << 30;
/// The most a child says.
const MAX_SAID: u64 = 64 * 1024;
/// How many bytes go to the child at once.
const CHUNK: usize = 256 * 1024;

/// What to import and where to.
#[derive(Debug, Clone)]
pub struct StackImport {
    /// The stack's name, as [`vocabulary::Stack`] reads it.
    pub name: String,
    /// What dynos run on: the folder of an OCI layout, or a tar of one, or of `docker save`.
    pub run: PathBuf,
    /// What builds run on, if it is another image.
    pub build: Option<PathBuf>,
    /// Where it came from, for the manifest.
    pub origin: String,
    /// The value of `STACK` for buildpacks, if the image's own is not right.
    pub buildpacks: Option<String>,
    /// The certificates that programs inside trust.
    pub ca_bundle: PathBuf,
    /// The installed stacks: `DATA/stacks`. Root's.
    pub stacks: PathBuf,
    /// Whether a stack of this name may be there already; dynos keep the old one until they restart.
    pub replace: bool,
    /// The user (and group) the packer and mksquashfs run as.
    pub packer_uid: u32,
    /// The program and first arguments that call [`crate::images::packer_main`].
    pub packer: Vec<String>,
    /// mksquashfs 4.5 or newer.
    pub mksquashfs: PathBuf,
}

/// What was imported.
#[derive(Debug)]
pub struct Imported {
    /// What dynos run on.
    pub run: Report,
    /// What builds run on, if it is another image.
    pub build: Option<Report>,
    /// The value of `STACK` for buildpacks.
    pub buildpacks: String,
}

/// Why there is no new stack.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("could not {0} {1}")]
    File(&'static str, PathBuf, #[source] io::Error),
    /// What was given is no image, or none for this machine.
    #[error("could not import {0}")]
    Image(PathBuf, #[source] InvalidImage),
    /// The image's contents.
    #[error("could not import {0}")]
    Contents(PathBuf, #[source] Problem),
    /// The child went away without a word.
    #[error("could not import {0}: reading it ended with {1}; it may hold far more names than a system does")]
    Ended(PathBuf, std::process::ExitStatus),
    /// Making the image.
    #[error("could not write the stack's image")]
    Images(#[from] images::Error),
    /// There is one of this name.
    #[error("there is a stack {0} already; give --replace to put this one in its place")]
    Exists(String),
}

impl Error {
    /// Whether the image itself is at fault: it would be refused again.
    #[must_use]
    pub fn is_the_images(&self) -> bool {
        match self {
            Self::Image(..) | Self::Ended(..) => true,
            Self::Contents(_, problem) => !matches!(problem, Problem::Write(_)),
            Self::File(..) | Self::Images(_) | Self::Exists(_) => false,
        }
    }
}

/// Imports. Blocking, for minutes; `progress` gets one line per step. Nothing is there before all of it is.
pub fn import(plan: &StackImport, progress: &mut dyn FnMut(&str)) -> Result<Imported, Error> {
    let target = plan.stacks.join(&plan.name);
    if target.exists() && !plan.replace {
        return Err(Error::Exists(plan.name.clone()));
    }
    let work = Work::new(&plan.stacks)?;
    let config = ImagesConfig {
        folder: work.0.clone(),
        stacks: plan.stacks.clone(),
        mounts: PathBuf::new(),
        packer_uid: plan.packer_uid,
        packer: plan.packer.clone(),
        mksquashfs: plan.mksquashfs.clone(),
    };
    let (run, report) = one(plan, &plan.run, &config, &work.0.join("run.sqfs"), progress)?;
    let build = work.0.join("build.sqfs");
    let (build_image, build_report) = if let Some(path) = &plan.build {
        let (image, report) = one(plan, path, &config, &build, progress)?;
        (Some(image), Some(report))
    } else {
        fs::hard_link(work.0.join("run.sqfs"), &build).map_err(file("link", &build))?;
        (None, None)
    };
    let buildpacks = for_buildpacks(plan, build_image.as_ref().unwrap_or(&run));
    let manifest = json!({
        "version": 1,
        "name": plan.name,
        "origin": plan.origin,
        "buildpacks": buildpacks,
        "run": {"image": run.id, "system": report.system},
        "build": build_image.as_ref().map(|image| json!({"image": image.id})),
    });
    let path = work.0.join("manifest.json");
    fs::write(&path, format!("{manifest:#}\n")).map_err(file("write", &path))?;
    put_in_place(&work, &target)?;
    Ok(Imported { run: report, build: build_report, buildpacks })
}

/// What the child does that reads images: see `child`.
pub(crate) fn child_main(what: &str, input: impl Read, output: impl Write) -> std::process::ExitCode {
    child::main(what, input, output)
}

/// Makes one image file of one image.
fn one(
    plan: &StackImport,
    path: &Path,
    config: &ImagesConfig,
    target: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<(Image, Report), Error> {
    let source = source::open(path, config).map_err(|error| Error::Image(path.to_owned(), error))?;
    let image = Image::read(&source).map_err(|error| Error::Image(path.to_owned(), error))?;
    let bytes: u64 = image.layers.iter().map(|layer| layer.blob.size).sum();
    let count = image.layers.len();
    progress(&format!("Reading {count} layers, {} MB, of {}", bytes.div_ceil(1_000_000), path.display()));
    let certificates = fs::read_to_string(&plan.ca_bundle).map_err(file("read", &plan.ca_bundle))?;
    let layers = image.layers.iter().map(|layer| Layer {
        size: layer.blob.size,
        digest: layer.digest.clone(),
        diff_id: Some(layer.diff_id.clone()),
    });
    let orders = Plan { layers: layers.collect(), limit_bytes: MAX_BYTES, certificates };
    let mut child = layer::start_packer(config, &["stack"], MEMORY, Stdio::piped())?;
    let (fed, written, said) = run_child(&mut child, &orders, &image, config);
    let status = child.wait().map_err(file("wait for the reader of", path))?;
    if !status.success() {
        let problem = serde_json::from_slice(&said).map_err(|_| Error::Ended(path.to_owned(), status))?;
        return Err(match (problem, written) {
            // It could not write because mksquashfs ended first.
            (Problem::Write(_), Err(error)) => error.into(),
            (problem, _) => Error::Contents(path.to_owned(), problem),
        });
    }
    fed.map_err(file("read", path))?;
    let report: Report = serde_json::from_slice(&said).map_err(|_| Error::Ended(path.to_owned(), status))?;
    let written = written?;
    written.image.publish(target)?;
    progress(&format!(
        "{}: {} files, {} MB, digest {}",
        report.system,
        report.entries,
        report.bytes.div_ceil(1_000_000),
        written.digest
    ));
    Ok((image, report))
}

type Run = (io::Result<()>, Result<layer::Written, images::Error>, Vec<u8>);

/// Feeds the child, makes the image of what it writes, and hears what it says, all at the same time.
fn run_child(child: &mut Child, orders: &Plan, image: &Image, config: &ImagesConfig) -> Run {
    let (input, output, complaint) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let fed = scope.spawn(move || input.map_or(Ok(()), |input| feed(input, orders, image)));
        let said = scope.spawn(move || {
            let mut text = Vec::new();
            // Whatever can be read is all there is to tell.
            drop(complaint.map(|complaint| complaint.take(MAX_SAID).read_to_end(&mut text)));
            text
        });
        let nothing = || images::Error::Image("the packer has no output".to_owned());
        let written = output.ok_or_else(nothing).and_then(|output| layer::write(config, output, None));
        let broke = |_| io::Error::other("a thread broke off");
        (fed.join().unwrap_or_else(|error| Err(broke(error))), written, said.join().unwrap_or_default())
    })
}

fn feed(mut input: impl Write, orders: &Plan, image: &Image) -> io::Result<()> {
    let json = serde_json::to_vec(orders)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut send = |bytes: &[u8]| match input.write_all(bytes) {
        // It refused what it has read so far, and says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        done => done.map(|()| true),
    };
    if !(send(&length.to_be_bytes())? && send(&json)?) {
        return Ok(());
    }
    let mut chunk = vec![0; CHUNK];
    for layer in &image.layers {
        let mut bytes = layer.blob.open()?;
        loop {
            let count = bytes.read(&mut chunk)?;
            let part = chunk.get(..count).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            if !send(part)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Heroku's images say what they are in `STACK`; any other is taken for what its name says, or for the default.
fn for_buildpacks(plan: &StackImport, image: &Image) -> String {
    let named = |text: &&str| text.parse::<vocabulary::Stack>().is_ok();
    let own = image.env.iter().find_map(|variable| variable.strip_prefix("STACK=")).filter(named);
    let by_name = Some(plan.name.as_str()).filter(|name| name.starts_with("heroku-"));
    let chosen = plan.buildpacks.as_deref().or(own).or(by_name);
    chosen.unwrap_or(vocabulary::Stack::default().name()).to_owned()
}

/// Puts the finished folder in place in one step; one that was there goes afterwards.
fn put_in_place(work: &Work, target: &Path) -> Result<(), Error> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    for name in ["manifest.json", "."] {
        let path = work.0.join(name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(file("write", &path))?;
    }
    let moved = match renameat_with(CWD, &work.0, CWD, target, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => renameat_with(CWD, &work.0, CWD, target, RenameFlags::EXCHANGE),
        done => done,
    };
    moved.map_err(|error| Error::File("put in place", target.to_owned(), error.into()))?;
    let stacks = target.parent().unwrap_or(target);
    File::open(stacks).and_then(|folder| folder.sync_all()).map_err(file("write", stacks))
}

/// A folder for one import; what is in it when dropped goes.
struct Work(PathBuf);

impl Work {
    fn new(stacks: &Path) -> Result<Self, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(stacks).map_err(file("make", stacks))?;
        sweep(stacks);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = stacks.join(format!(".import-{}-{number}", std::process::id()));
        // The children write into folders of their own below it.
        fs::create_dir(&folder).map_err(file("make", &folder))?;
        // Whatever the mask of whoever calls.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).map_err(file("open", &folder))?;
        Ok(Self(folder.canonicalize().map_err(file("find", &folder))?))
    }
}

/// Removes what an import that was killed left behind.
fn sweep(stacks: &Path) {
    for entry in fs::read_dir(stacks).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(".import-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "could not remove what a killed import left");
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "could not remove what a stack was imported in");
        }
    }
}

fn file<'a>(attempted: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |error| Error::File(attempted, path.to_owned(), error)
}
