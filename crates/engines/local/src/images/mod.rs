//! The image store: stacks and layers as squashfs files, mounted once per host, and the packer that makes layers.
//!
//! Knows trees, tars and mounts; knows no app. Images are only ever written here, from a normalised tar; a ready-made
//! file system never reaches the kernel.
//!
//! ```text
//! images/DIGEST.sqfs                              a layer; DIGEST is the SHA-256 of its normalised tar
//! images/tmp-PID-N/                               one being made; removed at the next start
//! stacks/NAME/{run.sqfs,build-delta.sqfs}         see `stack`
//! mounts/DIGEST, mounts/stack-NAME-FORM-INODE     where they are mounted
//! ```
//!
//! **Collection.** Images are this host's copies of blobs: any of them can go, and [`Images::import`] brings it back.
//! Which are worth their place only control knows: it asks what is there ([`Images::layers`]), decides, and names what
//! it does not need ([`Images::discard`]). An image of an instance stays, whatever is named, from the moment the
//! instance's id is claimed until it is removed; mounting and discarding exclude each other. So an instance is either
//! counted as a user of its layers, or finds one missing and is refused before it runs; who asked for it imports the
//! layer and asks again. What was made or imported after control looked is not named, and stays. With the mount its
//! loop device is freed (the device detaches itself). A mount of a layer that is kept goes after an hour without a
//! user, so that their number is bounded by what runs, not by what is kept.

mod layer;
mod mounts;
pub mod packer;
pub mod tree;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crashpoints::Point;
use engine::{Discarded, PAGE, Packed, Refusal, Variant};
use vocabulary::Digest;

use mounts::Mounts;

pub use packer::packer_main;

/// Where images are and who makes them.
#[derive(Debug, Clone)]
pub struct ImagesConfig {
    /// The layers: `DATA/images`. Root's.
    pub folder: PathBuf,
    /// The installed stacks: `DATA/stacks`.
    pub stacks: PathBuf,
    /// Where images are mounted.
    pub mounts: PathBuf,
    /// The user (and group) the packer and mksquashfs run as.
    pub packer_uid: u32,
    /// The program and first arguments that call [`packer_main`] with the rest of its arguments.
    pub packer: Vec<String>,
    /// mksquashfs 4.5 or newer: it reads tars.
    pub mksquashfs: PathBuf,
}

/// What the image store could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the store could not be written.
    #[error("could not write {path}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An image could not be mounted.
    #[error("could not mount {path}: {source}")]
    Mount {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A helper could not be started.
    #[error("could not start {0}: {1}")]
    Program(PathBuf, io::Error),
    /// A helper's rights could not be taken.
    #[error("could not confine a helper: {0}")]
    Confine(#[from] sys::confine::Error),
    /// A blob could not be read or written.
    #[error("could not copy the layer: {0}")]
    Blob(io::Error),
    /// mksquashfs failed.
    #[error("could not make the image: {0}")]
    Image(String),
    /// The blob is of another layer.
    #[error("the blob holds layer {found}, not {expected}")]
    Mismatch {
        /// What was asked for.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The host has no such stack.
    #[error("the engine has no stack {0}")]
    NoStack(String),
    /// The host has no image of the layer.
    #[error("the engine has no layer {0}")]
    NoLayer(Digest),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NoStack(name) => Refusal::NotFound(format!("stack {name}")),
            Error::NoLayer(digest) => Refusal::NotFound(format!("layer {digest}")),
            Error::Mismatch { .. } => Refusal::Invalid(error.to_string()),
            error => Refusal::Failed(error.to_string()),
        }
    }
}

/// The image store; clones share it.
#[derive(Debug, Clone)]
pub struct Images {
    config: Arc<ImagesConfig>,
    mounts: Arc<Mounts>,
}

impl Images {
    /// Opens the store and heals it: half-made images go, mounts of images that are gone go.
    pub fn open(config: &ImagesConfig) -> Result<Images, Error> {
        for folder in [&config.folder, &config.stacks] {
            fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
        }
        remove_half_made(&config.folder).map_err(|source| Error::Write { path: config.folder.clone(), source })?;
        let images = Self { config: Arc::new(config.clone()), mounts: Arc::new(Mounts::open(&config.mounts)?) };
        images.mounts.lock().retain(|name| images.still_has(name));
        Ok(images)
    }

    /// The mounted folders of a stack, the topmost first.
    pub fn stack(&self, name: &str, variant: Variant) -> Result<Vec<PathBuf>, Error> {
        let run = self.mount_stack(name, "run")?;
        match variant {
            Variant::Run => Ok(vec![run]),
            Variant::Build => Ok(vec![self.mount_stack(name, "build-delta")?, run]),
        }
    }

    /// The mounted folder of a layer; its paths begin with the layer's prefix.
    pub fn layer(&self, digest: &Digest) -> Result<PathBuf, Error> {
        let no_layer = || Error::NoLayer(digest.clone());
        match self.mounts.mount(digest.as_str(), &self.image(digest)) {
            Err(Error::Mount { source, .. }) if source.kind() == io::ErrorKind::NotFound => Err(no_layer()),
            mounted => mounted,
        }
    }

    /// Makes a layer of the tree in `tar`, mounted under `prefix`; writes its durable form to `blob`.
    pub async fn pack(&self, prefix: &str, limit_bytes: u64, tar: OwnedFd, blob: OwnedFd) -> Result<Packed, Refusal> {
        let (images, prefix) = (self.clone(), prefix.to_owned());
        blocking(move || images.pack_blocking(&prefix, limit_bytes, tar, File::from(blob))).await
    }

    fn pack_blocking(&self, prefix: &str, limit_bytes: u64, tar: OwnedFd, mut blob: File) -> Result<Packed, Refusal> {
        let written = layer::pack(&self.config, prefix, limit_bytes, tar, &mut blob)?;
        let about = blob.metadata().map_err(Error::Blob)?;
        tracing::debug!(target: "timing", step = "image made", prefix);
        crashpoints::reach(Point::EngineImageMade);
        self.publish(&written)?;
        crashpoints::reach(Point::EngineImagePublished);
        let layer::Written { digest, tar_bytes, .. } = written;
        Ok(Packed { digest, tar_bytes, blob_bytes: about.len() })
    }

    /// Makes the image of layer `digest` again from its blob.
    pub async fn import(&self, digest: &Digest, blob: OwnedFd) -> Result<(), Refusal> {
        let (images, expected) = (self.clone(), digest.clone());
        blocking(move || {
            if images.image(&expected).exists() {
                return Ok(());
            }
            let written = layer::unpack(&images.config, File::from(blob))?;
            if written.digest != expected {
                return Err(Error::Mismatch { expected, found: written.digest }.into());
            }
            Ok(images.publish(&written)?)
        })
        .await
    }

    /// Which of these layers have no image here.
    #[must_use]
    pub fn missing(&self, layers: &[Digest]) -> Vec<Digest> {
        layers.iter().filter(|digest| !self.image(digest).exists()).cloned().collect()
    }

    /// The installed stacks that have both forms, sorted.
    #[must_use]
    pub fn stacks(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.config.stacks) else { return vec![] };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let whole = |name: &String| ["run", "build-delta"].iter().all(|form| self.stack_file(name, form).is_ok());
        let mut names: Vec<String> = names.filter(whole).collect();
        names.sort();
        names
    }

    /// The layers that have an image here: in order, those behind `after`, at most [`PAGE`].
    pub fn layers(&self, after: Option<&Digest>) -> Result<Vec<Digest>, Error> {
        let failed = |source| Error::Write { path: self.config.folder.clone(), source };
        let mut layers = Vec::new();
        for entry in fs::read_dir(&self.config.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            layers.extend(Digest::from_str(stem).ok().filter(|digest| after.is_none_or(|after| digest > after)));
        }
        layers.sort();
        layers.truncate(PAGE);
        Ok(layers)
    }

    /// Deletes the images of `layers` with their mounts, but those in use, and lets go of mounts without a user for an
    /// hour. `in_use` is asked while nothing can be mounted.
    pub async fn discard(
        &self,
        layers: Vec<Digest>,
        in_use: impl FnOnce() -> HashSet<Digest> + Send + 'static,
    ) -> Result<Discarded, Refusal> {
        let images = self.clone();
        blocking(move || Ok(images.discard_blocking(&layers, in_use)?)).await
    }

    fn discard_blocking(
        &self,
        layers: &[Digest],
        in_use: impl FnOnce() -> HashSet<Digest>,
    ) -> Result<Discarded, Error> {
        let mut mounts = self.mounts.lock();
        let in_use = in_use();
        let mut discarded = Discarded::default();
        for digest in layers {
            if in_use.contains(digest) {
                discarded.in_use += 1;
            } else if let Some(bytes) = self.delete(digest)? {
                mounts.unmount(digest.as_str());
                discarded.images += 1;
                discarded.bytes += bytes;
            }
        }
        // A stack's mount stays: it is in use as soon as anything runs.
        mounts.unmount_idle(|name| Digest::from_str(name).is_ok_and(|digest| !in_use.contains(&digest)));
        Ok(discarded)
    }

    /// Deletes an image and answers its bytes, if it was there.
    fn delete(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = self.image(digest);
        let deleted = fs::metadata(&path).and_then(|about| fs::remove_file(&path).map(|()| about.len()));
        match deleted {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    fn publish(&self, written: &layer::Written) -> Result<(), Error> {
        let target = self.image(&written.digest);
        if target.exists() { Ok(()) } else { written.image.publish(&target) }
    }

    fn image(&self, digest: &Digest) -> PathBuf {
        self.config.folder.join(format!("{digest}.sqfs"))
    }

    fn stack_file(&self, name: &str, form: &str) -> Result<(PathBuf, u64), Error> {
        let no_stack = || Error::NoStack(name.to_owned());
        // The name comes from a request and becomes part of a path.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(no_stack());
        }
        let file = self.config.stacks.join(name).join(format!("{form}.sqfs"));
        let inode = fs::metadata(&file).map_err(|_| no_stack())?.ino();
        Ok((file, inode))
    }

    /// A stack that is built again is another file, and so another mount: running dynos keep the old one.
    fn mount_stack(&self, name: &str, form: &str) -> Result<PathBuf, Error> {
        let (file, inode) = self.stack_file(name, form)?;
        self.mounts.mount(&format!("stack-{name}-{form}-{inode}"), &file)
    }

    fn still_has(&self, mount: &str) -> bool {
        match Digest::from_str(mount) {
            Ok(digest) => self.image(&digest).exists(),
            Err(_) => self.is_current_stack(mount),
        }
    }

    fn is_current_stack(&self, mount: &str) -> bool {
        self.stacks().iter().any(|name| {
            ["run", "build-delta"].iter().any(|form| {
                self.stack_file(name, form).is_ok_and(|(_, inode)| mount == format!("stack-{name}-{form}-{inode}"))
            })
        })
    }
}

fn remove_half_made(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("tmp-") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(Refusal::Failed(format!("the image store's work broke off: {error}"))))
}
