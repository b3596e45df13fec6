//! How a runtime lies in its layer, relative to `/app/.heroku/NAME`.
//!
//! ```text
//! node    bin/node  include/node/…  LICENSE
//! npm     lib/node_modules/npm/…  bin/npm → …/bin/npm-cli.js  bin/npx → …/bin/npx-cli.js
//! static  bin/static
//! python  bin/python3.13 (and its shorter names)  lib/python3.13/…  include/…  an empty lib/python3.13/site-packages
//! pip     lib/pip/…  bin/pip, which starts it with the Python on PATH
//! uv      bin/uv
//! ```
//!
//! A Python of the stack's own programs is written inside, by the build runner, in the same form.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use blobs::Draft;
use flate2::read::GzDecoder;
use inside_contract::PythonVersion;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{Error, LIMIT};

/// The verified bytes a runtime is made of.
pub(crate) enum Source {
    /// The package of Node's program.
    Node(Draft),
    /// npm's package.
    Npm(Draft),
    /// The platform's file server.
    Static(PathBuf),
    /// A build of Python of this version, as python-build-standalone packs it.
    Python(Draft, PythonVersion),
    /// pip's wheel.
    Pip(Draft),
    /// uv's wheel.
    Uv(Draft),
}

impl Source {
    /// Writes the runtime as a tar; blocks.
    pub(crate) fn write(self, tar: OwnedFd) -> io::Result<()> {
        let mut tar = Builder::new(BufWriter::with_capacity(256 * 1024, File::from(tar)));
        match &self {
            Self::Node(draft) => copy(draft, &mut tar, node_place)?,
            Self::Npm(draft) => {
                copy(draft, &mut tar, npm_place)?;
                for (link, target) in [("bin/npm", "npm-cli.js"), ("bin/npx", "npx-cli.js")] {
                    let target = format!("../lib/node_modules/npm/bin/{target}");
                    let mut header = header(EntryType::Symlink, 0, 0o777);
                    tar.append_link(&mut header, link, target)?;
                }
            }
            Self::Static(program) => {
                let file = File::open(program)?;
                let mut header = header(EntryType::Regular, file.metadata()?.len(), 0o755);
                tar.append_data(&mut header, "bin/static", file)?;
            }
            Self::Python(draft, version) => {
                copy(draft, &mut tar, python_place)?;
                let packages = format!("lib/python{}.{}/site-packages", version.major, version.minor);
                tar.append_data(&mut header(EntryType::Directory, 0, 0o755), packages, io::empty())?;
            }
            Self::Pip(draft) => {
                wheel(draft, &mut tar, pip_place)?;
                let mut header = header(EntryType::Regular, PIP.len() as u64, 0o755);
                tar.append_data(&mut header, "bin/pip", PIP)?;
            }
            Self::Uv(draft) => wheel(draft, &mut tar, uv_place)?,
        }
        tar.into_inner()?.flush()
    }
}

/// The file server's version: the SHA-256 of its program.
pub(crate) fn version_of(program: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(program).map_err(|source| Error::File { name: "static".to_owned(), source })?;
    Ok(vocabulary::Digest::from_bytes(&Sha256::digest(&bytes).into()).as_str().to_owned())
}

/// Node keeps what the package has under these names; its `package.json` would make it look like a part of the app.
fn node_place(path: &Path) -> Option<PathBuf> {
    let first = path.components().next()?.as_os_str();
    ["bin", "include", "share", "LICENSE"].iter().any(|kept| first == *kept).then(|| path.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the same shape as the other places'")]
fn npm_place(path: &Path) -> Option<PathBuf> {
    Some(Path::new("lib/node_modules/npm").join(path))
}

/// pip's own start script would hold the address of one Python.
const PIP: &[u8] = b"#!/bin/sh\nexec python /app/.heroku/pip/lib/pip \"$@\"\n";

/// All but packages of the build's own, which are not the app's, Python's own tests, and static libraries.
fn python_place(path: &Path) -> Option<PathBuf> {
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    let left_out = match *parts.as_slice() {
        ["bin", program] => ["pip", "idle", "2to3"].iter().any(|start| program.starts_with(start)),
        ["lib", _, "site-packages" | "test" | "EXTERNALLY-MANAGED", ..] => true,
        _ => path.extension().is_some_and(|extension| extension == "a"),
    };
    (!left_out).then(|| path.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the same shape as the other places'")]
fn pip_place(path: &Path) -> Option<PathBuf> {
    Some(Path::new("lib").join(path))
}

/// `uv-0.13.9.data/scripts/uv`
fn uv_place(path: &Path) -> Option<PathBuf> {
    path.ends_with("scripts/uv").then(|| PathBuf::from("bin/uv"))
}

/// Copies a wheel's files, which is a zip archive, to their places.
fn wheel(draft: &Draft, tar: &mut Builder<impl Write>, place: fn(&Path) -> Option<PathBuf>) -> io::Result<()> {
    let mut file = draft.file();
    file.rewind()?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(io::Error::other)?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(io::Error::other)?;
        let path = entry.enclosed_name().ok_or_else(|| invalid("a wheel has no business with"))?;
        let Some(place) = place(&path).filter(|_| entry.is_file()) else { continue };
        let mode = if place.starts_with("bin") { 0o755 } else { 0o644 };
        // The announced size is the header's; one that is not true ends the tar, and a bomb the packer's limit.
        let mut header = header(EntryType::Regular, entry.size(), mode);
        let size = entry.size();
        tar.append_data(&mut header, place, entry.take(size))?;
    }
    Ok(())
}

/// Copies a package's files to their places.
fn copy(draft: &Draft, tar: &mut Builder<impl Write>, place: fn(&Path) -> Option<PathBuf>) -> io::Result<()> {
    let mut file = draft.file();
    file.rewind()?;
    // A bomb ends here; the limit of the tree itself is the packer's.
    let bytes = GzDecoder::new(BufReader::new(file)).take(2 * LIMIT);
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Folders are implied. Links that lead down or to a neighbour are Python's names for itself; npm's packages have
        // none, and no link has business anywhere else.
        let kind = entry.header().entry_type();
        if kind != EntryType::Regular && kind != EntryType::Symlink {
            continue;
        }
        let path = stripped(&entry.path()?)?;
        let Some(place) = place(&path) else { continue };
        if kind == EntryType::Symlink {
            if let Some(target) = entry.link_name()?.filter(|target| is_plain(target)) {
                tar.append_link(&mut header(EntryType::Symlink, 0, 0o777), place, target)?;
            }
            continue;
        }
        let is_program = entry.header().mode()? & 0o111 != 0 || path.starts_with("bin");
        let mut header = header(EntryType::Regular, entry.size(), if is_program { 0o755 } else { 0o644 });
        if place.extension().is_some_and(|extension| extension == "pyc") {
            let mut compiled = Vec::new();
            entry.read_to_end(&mut compiled)?;
            inside_contract::undate(&mut compiled);
            tar.append_data(&mut header, place, compiled.as_slice())?;
        } else {
            tar.append_data(&mut header, place, entry)?;
        }
    }
    Ok(())
}

/// A path without the package's top folder; a path that is not plain is refused.
fn stripped(path: &Path) -> io::Result<PathBuf> {
    let mut parts = path.components();
    parts.next();
    if is_plain(path) && parts.clone().next().is_some() {
        return Ok(parts.as_path().to_owned());
    }
    Err(invalid(&path.display().to_string()))
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn invalid(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the package holds the path {path}"))
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}
