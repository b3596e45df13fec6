//! A runtime made of the stack's own programs: Python, from the distribution's packages in the build image.
//!
//! ```text
//! bin/python3.13  bin/python3  bin/python
//! lib/python3.13/…                without tests and what belongs to the distribution alone
//! lib/python3.13/site-packages/   empty
//! lib/python3.13/dist-packages    → site-packages
//! include/python3.13/…            if the image has it
//! ```
//!
//! The distribution's Python looks for packages in `dist-packages` and installs them elsewhere by default; the link and a
//! changed default make it one that looks and installs where every other Python does. Compiled modules are marked so that
//! the date of a file does not count: layers have one date for all files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use inside_contract::PythonVersion;
use tar::{EntryType, Header};

/// Where the default for installing is chosen, and what it is chosen to be.
const SCHEME: (&[u8], &[u8]) = (b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'");

/// Writes the Python of the system below `root` as a tar.
pub(crate) fn python(root: &Path, version: PythonVersion, to: impl Write) -> io::Result<()> {
    let name = format!("python{}.{}", version.major, version.minor);
    let library = Path::new("lib").join(&name);
    let mut tar = tar::Builder::new(io::BufWriter::new(to));
    let program = fs::read(root.join("usr/bin").join(&name))?;
    append(&mut tar, &Path::new("bin").join(&name), &program, true)?;
    link(&mut tar, "bin/python3", &name)?;
    link(&mut tar, "bin/python", &name)?;
    for (from, to) in [
        (root.join("usr/lib").join(&name), &library),
        (root.join("usr/include").join(&name), &Path::new("include").join(&name)),
    ] {
        tree(&from, to, &mut tar)?;
    }
    let mut header = header(EntryType::Directory, 0, 0o755);
    tar.append_data(&mut header, library.join("site-packages"), io::empty())?;
    link(&mut tar, library.join("dist-packages"), "site-packages")?;
    tar.into_inner()?.flush()
}

/// The version of the system's Python.
pub(crate) fn python_version() -> io::Result<PythonVersion> {
    let output = Command::new("/usr/bin/python3").args(["-I", "--version"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().strip_prefix("Python ").and_then(|version| version.parse().ok());
    version.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("python3 calls itself {:?}", text.trim())))
}

fn tree(from: &Path, to: &Path, tar: &mut tar::Builder<impl Write>) -> io::Result<()> {
    let mut changed = false;
    crate::pack::walk(from, Path::new(""), &mut |path, metadata| {
        if left_out(path) {
            return Ok(false);
        }
        // A link's file in its place: the distribution keeps some outside the library.
        let kind = if metadata.is_symlink() { fs::metadata(from.join(path))? } else { metadata.clone() };
        if kind.is_file() {
            let mut bytes = fs::read(from.join(path))?;
            if is_sysconfig(path) {
                changed |= replace(&mut bytes);
            }
            if is_compiled(path) {
                inside_contract::undate(&mut bytes);
            }
            append(tar, &to.join(path), &bytes, false)?;
        }
        Ok(metadata.is_dir())
    })?;
    if to.starts_with("lib") && !changed {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the system's Python does not choose its scheme as known",
        ));
    }
    Ok(())
}

/// What belongs to the distribution alone, tests, and the compiled form of what is changed here.
fn left_out(path: &Path) -> bool {
    let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let first = path.iter().next().unwrap_or_default();
    ["test", "EXTERNALLY-MANAGED", "site-packages", "dist-packages"].iter().any(|name| first == *name)
        || ["sitecustomize", "_distutils_system_mod"].contains(&stem)
        || (is_compiled(path) && is_sysconfig(&source_of(path)))
}

fn is_compiled(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pyc")
}

/// `sysconfig/__pycache__/__init__.cpython-313.pyc` → `sysconfig/__init__.py`
fn source_of(compiled: &Path) -> PathBuf {
    let name = compiled.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let folder = compiled.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    folder.join(format!("{stem}.py"))
}

fn is_sysconfig(path: &Path) -> bool {
    path == Path::new("sysconfig.py") || path == Path::new("sysconfig/__init__.py")
}

fn replace(bytes: &mut Vec<u8>) -> bool {
    let (from, to) = SCHEME;
    let Some(at) = bytes.windows(from.len()).position(|window| window == from) else { return false };
    bytes.splice(at..at + from.len(), to.iter().copied());
    true
}

fn append(tar: &mut tar::Builder<impl Write>, path: &Path, bytes: &[u8], is_program: bool) -> io::Result<()> {
    let mut header = header(EntryType::Regular, bytes.len() as u64, if is_program { 0o755 } else { 0o644 });
    tar.append_data(&mut header, path, bytes)
}

fn link(tar: &mut tar::Builder<impl Write>, path: impl AsRef<Path>, target: &str) -> io::Result<()> {
    tar.append_link(&mut header(EntryType::Symlink, 0, 0o777), path, target)
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header
}
