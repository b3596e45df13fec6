//! How a runtime lies in its layer, relative to `/app/.heroku/NAME`.
//!
//! ```text
//! node    bin/node  include/node/…  LICENSE
//! npm     lib/node_modules/npm/…  bin/npm → …/bin/npm-cli.js  bin/npx → …/bin/npx-cli.js
//! static  bin/static
//! ```

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use blobs::Draft;
use flate2::read::GzDecoder;
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

#[expect(clippy::unnecessary_wraps, reason = "the same shape as the other place's")]
fn npm_place(path: &Path) -> Option<PathBuf> {
    Some(Path::new("lib/node_modules/npm").join(path))
}

/// Copies a package's files to their places.
fn copy(draft: &Draft, tar: &mut Builder<impl Write>, place: fn(&Path) -> Option<PathBuf>) -> io::Result<()> {
    let mut file = draft.file();
    file.rewind()?;
    // A bomb ends here; the limit of the tree itself is the packer's.
    let bytes = GzDecoder::new(BufReader::new(file)).take(2 * LIMIT);
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries()? {
        let entry = entry?;
        // Packages have nothing but files; folders are implied, and links have no business in one.
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let path = stripped(&entry.path()?)?;
        let Some(place) = place(&path) else { continue };
        let is_program = entry.header().mode()? & 0o111 != 0 || path.starts_with("bin");
        let mut header = header(EntryType::Regular, entry.size(), if is_program { 0o755 } else { 0o644 });
        tar.append_data(&mut header, place, entry)?;
    }
    Ok(())
}

/// A path without the package's top folder; a path that is not plain is refused.
fn stripped(path: &Path) -> io::Result<PathBuf> {
    let mut parts = path.components();
    let plain = parts.clone().all(|part| matches!(part, Component::Normal(_)));
    parts.next();
    if plain && parts.clone().next().is_some() {
        return Ok(parts.as_path().to_owned());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("the package holds the path {}", path.display())))
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}
