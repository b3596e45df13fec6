//! Writes the finished app, and the cache if it changed, as tars. The outside packs them again and trusts nothing in
//! them; here it only matters that the paths are relative to `/app` and `/cache`.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Writes a folder as a tar with paths relative to it; `skip` says which paths (relative as well) stay out.
pub(crate) fn write(folder: &Path, to: impl Write, skip: impl Fn(&Path) -> bool) -> io::Result<()> {
    let mut tar = tar::Builder::new(BufWriter::with_capacity(256 << 10, to));
    tar.follow_symlinks(false);
    tar.mode(tar::HeaderMode::Complete);
    walk(folder, Path::new(""), &mut |path, metadata| {
        let kind = metadata.file_type();
        if skip(path) {
            return Ok(false);
        }
        // Sockets, pipes and devices are not part of a slug.
        if kind.is_dir() || kind.is_file() || kind.is_symlink() {
            tar.append_path_with_name(folder.join(path), path)?;
        }
        Ok(kind.is_dir())
    })?;
    tar.into_inner()?.flush()
}

/// What of `BUILD_DIR` is not the app: the history, and mount points of the shared runtimes.
pub(crate) fn outside_the_slug(path: &Path, runtimes: &[String]) -> bool {
    // Python's packages are in its own folder, over the runtime.
    let mut mounted = runtimes.iter().filter(|name| *name != "python");
    path == Path::new(".git") || mounted.any(|name| path == Path::new(".heroku").join(name))
}

/// A cheap picture of a folder: paths, modes, sizes and times of change of the files in it. Also their size in bytes.
/// Folders alone do not count: tools make empty ones.
pub(crate) fn fingerprint(folder: &Path) -> io::Result<([u8; 32], u64)> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    walk(folder, Path::new(""), &mut |path, metadata| {
        if metadata.is_dir() {
            return Ok(true);
        }
        bytes += metadata.len();
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        let times = [metadata.mtime().cast_unsigned(), metadata.mtime_nsec().cast_unsigned()];
        for number in [u64::from(metadata.mode()), metadata.len()].into_iter().chain(times) {
            hash.update(number.to_le_bytes());
        }
        Ok(false)
    })?;
    Ok((hash.finalize().into(), bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    let digit = |value: u8| digits.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Visits everything below a folder in the order of names; the visitor says whether to go into a folder.
pub(crate) fn walk(
    root: &Path,
    below: &Path,
    visit: &mut impl FnMut(&Path, &fs::Metadata) -> io::Result<bool>,
) -> io::Result<()> {
    let mut names: Vec<_> = match fs::read_dir(root.join(below)) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?,
        Err(error) if below.as_os_str().is_empty() && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    names.sort();
    for name in names {
        let path = below.join(name);
        let metadata = fs::symlink_metadata(root.join(&path))?;
        if visit(&path, &metadata)? {
            walk(root, &path, visit)?;
        }
    }
    Ok(())
}
