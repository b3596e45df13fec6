//! Writing a layer: one pass from a normalised tar to its digest, its durable blob and its image.
//!
//! ```text
//! tar ─► packer (no rights) ─► hash ─┬► zstd ─► blob
//!                                    └► mksquashfs (no rights) ─► images/tmp-N/layer
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use engine::Refusal;
use rustix::fs::OFlags;
use rustix::process::Resource;
use sha2::{Digest as _, Sha256};
use sys::confine::{Confinement, Files, confine};
use vocabulary::Digest;

use super::{Error, ImagesConfig, packer};

/// How much goes through at once.
const CHUNK: usize = 256 * 1024;
/// zstd's own default: 16 times as fast as gzip -6 and smaller.
const LEVEL: i32 = 3;
/// Address space of a packer: bounds what a hostile header can make it keep in memory.
const PACKER_MEMORY: u64 = 1 << 30;
/// Seconds of a processor a packer may take: no tree of the sizes allowed needs a tenth of it.
const PACKER_SECONDS: u64 = 1800;
/// The most bytes a blob may unpack to: no layer is larger (slugs end at 1 GB, runtimes at 2).
const MAX_LAYER: u64 = 8 << 30;
/// The most of a child's complaint that is read.
const MAX_COMPLAINT: u64 = 16 * 1024;

/// What one pass made.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) digest: Digest,
    pub(crate) tar_bytes: u64,
    pub(crate) image: Scratch,
}

/// A folder of its own for an image under construction; gone when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new folder under `images`, writable for `uid`.
    pub(super) fn new(images: &Path, uid: u32) -> Result<Self, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = images.join(format!("tmp-{}-{number}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|source| Error::Write { path: folder.clone(), source })?;
        let scratch = Self(folder);
        std::os::unix::fs::chown(&scratch.0, Some(uid), Some(uid))
            .map_err(|source| Error::Write { path: scratch.0.clone(), source })?;
        Ok(scratch)
    }

    fn image(&self) -> PathBuf {
        self.0.join("layer")
    }

    /// Moves the image to `target`, root's and durable.
    pub(crate) fn publish(&self, target: &Path) -> Result<(), Error> {
        let write = |source: io::Error| Error::Write { path: target.to_owned(), source };
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(self.image()).map_err(write)?;
        let about = file.metadata().map_err(write)?;
        if !about.is_file() || about.nlink() != 1 {
            return Err(Error::Image("mksquashfs left no plain file".to_owned()));
        }
        std::os::unix::fs::fchown(&file, Some(0), Some(0)).map_err(write)?;
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o600)).map_err(|error| write(error.into()))?;
        file.sync_all().map_err(write)?;
        fs::rename(self.image(), target).map_err(write)?;
        let folder = target.parent().unwrap_or(target);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(write)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "could not remove a folder of the image store");
        }
    }
}

/// Packs the tar from `tar`, writing its blob to `blob`.
pub(super) fn pack(
    config: &ImagesConfig,
    prefix: &str,
    limit_bytes: u64,
    tar: OwnedFd,
    blob: &mut File,
) -> Result<Written, Refusal> {
    packer::Plan::new(prefix, limit_bytes)?;
    let limit = limit_bytes.to_string();
    let mut child = start_packer(config, &[prefix, &limit], PACKER_MEMORY, tar.into())?;
    let complaint = child.stderr.take();
    let output = child.stdout.take().ok_or_else(|| Refusal::Failed("the packer has no output".to_owned()))?;
    let written = write(config, output, Some(blob));
    // Its pipe is closed by now, so it ends whatever it was doing.
    let status = child.wait().map_err(|error| Refusal::Failed(format!("could not wait for the packer: {error}")))?;
    if status.success() {
        return Ok(written?);
    }
    match complained(complaint, status) {
        // It could not write because mksquashfs ended first.
        Refusal::Failed(reason) => Err(written.err().map_or(Refusal::Failed(reason), Refusal::from)),
        refusal => Err(refusal),
    }
}

fn complained(stderr: Option<impl Read>, status: std::process::ExitStatus) -> Refusal {
    let mut text = Vec::new();
    // Whatever can be read is all there is to tell.
    drop(stderr.map(|stderr| stderr.take(MAX_COMPLAINT).read_to_end(&mut text)));
    serde_json::from_slice(&text).unwrap_or_else(|_| Refusal::Failed(format!("the packer ended with {status}")))
}

/// Starts a child without rights on what `input` gives; `asked` are its last arguments.
pub(crate) fn start_packer(
    config: &ImagesConfig,
    asked: &[&str],
    memory_bytes: u64,
    input: Stdio,
) -> Result<Child, Error> {
    let (program, args) =
        config.packer.split_first().ok_or_else(|| Error::Program(PathBuf::new(), io::ErrorKind::NotFound.into()))?;
    let flags = OFlags::TMPFILE.bits().cast_signed();
    let spool = File::options().read(true).write(true).mode(0o600).custom_flags(flags).open(&config.folder);
    let spool = spool.map_err(|source| Error::Write { path: config.folder.clone(), source })?;
    let mut command = Command::new(program);
    command.args(args).args(asked).env_clear().current_dir("/");
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let confinement = Confinement {
        uid: config.packer_uid,
        gid: config.packer_uid,
        no_network: true,
        limits: vec![
            (Resource::As, memory_bytes),
            (Resource::Cpu, PACKER_SECONDS),
            (Resource::Nofile, 16),
            (Resource::Core, 0),
        ],
        files: Some(Files { read: program_files(Path::new(program)), write: vec![] }),
        fds: vec![(spool.into(), packer::SPOOL)],
    };
    spawn(command, confinement, Path::new(program))
}

/// What a dynamically linked program needs to start.
fn program_files(program: &Path) -> Vec<PathBuf> {
    let libraries = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache"].map(PathBuf::from);
    libraries.into_iter().chain([program.to_owned()]).collect()
}

fn spawn(mut command: Command, confinement: Confinement, program: &Path) -> Result<Child, Error> {
    let _places = confine(&mut command, confinement)?;
    command.spawn().map_err(|error| Error::Program(program.to_owned(), error))
}

/// Makes the image again from a blob.
pub(super) fn unpack(config: &ImagesConfig, blob: File) -> Result<Written, Error> {
    let tar = zstd::stream::read::Decoder::new(blob).map_err(Error::Blob)?;
    write(config, tar.take(MAX_LAYER), None)
}

/// Reads a tar that a packer wrote to its end.
pub(crate) fn write(config: &ImagesConfig, tar: impl Read, blob: Option<&mut File>) -> Result<Written, Error> {
    let image = Scratch::new(&config.folder, config.packer_uid)?;
    let mut squash = start_squash(config, &image)?;
    let stderr = squash.stderr.take();
    let copied = squash.stdin.take().map(|stdin| copy(tar, stdin, blob));
    tracing::debug!(target: "timing", step = "tar read");
    let status = squash.wait().map_err(|error| Error::Image(error.to_string()))?;
    let copied = copied.unwrap_or_else(|| Err(Error::Image("mksquashfs has no input".to_owned())));
    if !status.success() {
        let mut text = String::new();
        // Whatever can be read is all there is to tell.
        drop(stderr.map(|stderr| stderr.take(MAX_COMPLAINT).read_to_string(&mut text)));
        // A tar that broke off explains mksquashfs's end better than mksquashfs does.
        return match copied {
            Err(error @ Error::Blob(_)) => Err(error),
            _ => Err(Error::Image(text.lines().next().unwrap_or_default().to_owned())),
        };
    }
    let (digest, tar_bytes) = copied?;
    Ok(Written { digest, tar_bytes, image })
}

fn start_squash(config: &ImagesConfig, image: &Scratch) -> Result<Child, Error> {
    let mut command = Command::new(&config.mksquashfs);
    command.arg("-").arg(image.image()).args(["-tar", "-comp", "zstd", "-Xcompression-level", "3"]);
    command.args(["-noappend", "-quiet", "-no-progress", "-no-xattrs", "-mem", "128M"]);
    command.args(["-root-mode", "755", "-root-uid", "0", "-root-gid", "0"]);
    command.args(["-mkfs-time", &packer::MODIFIED.to_string()]);
    command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut read = program_files(&config.mksquashfs);
    read.extend(["/proc", "/sys"].map(PathBuf::from));
    let confinement = Confinement {
        uid: config.packer_uid,
        gid: config.packer_uid,
        no_network: true,
        limits: vec![(Resource::Core, 0)],
        files: Some(Files { read, write: vec![image.0.clone()] }),
        fds: vec![],
    };
    spawn(command, confinement, &config.mksquashfs)
}

/// Copies, hashes and counts.
fn copy(tar: impl Read, mut image: impl Write, blob: Option<&mut File>) -> Result<(Digest, u64), Error> {
    let mut tar = BufReader::with_capacity(CHUNK, tar);
    let mut blob = blob.map(|blob| zstd::stream::write::Encoder::new(blob, LEVEL)).transpose().map_err(Error::Blob)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = tar.read(&mut chunk).map_err(Error::Blob)?;
        let Some(part) = chunk.get(..count).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes += part.len() as u64;
        if let Some(blob) = &mut blob {
            blob.write_all(part).map_err(Error::Blob)?;
        }
        image.write_all(part).map_err(|error| Error::Image(error.to_string()))?;
    }
    if let Some(blob) = blob {
        blob.finish().map_err(Error::Blob)?;
    }
    Ok((Digest::from_bytes(&hash.finalize().into()), bytes))
}
