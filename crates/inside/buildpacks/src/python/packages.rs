//! Where the app's packages lie.
//!
//! Installers write to the mounted Python's own places, so that every path they write down is the one of a dyno. At the end
//! what they wrote is moved into `BUILD_DIR`, as it belongs to the slug, and linked to where it was.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use inside_contract::PythonVersion;

use crate::builtin::Site;
use crate::environment::Environment;

/// The packages of one build.
#[derive(Debug)]
pub(super) struct Packages {
    pub(super) version: PythonVersion,
    /// The mounted Python.
    python: PathBuf,
    /// The slug's part of it, in `BUILD_DIR`.
    slug: PathBuf,
    /// What the mounted Python has of itself, beside its library.
    own: BTreeSet<PathBuf>,
}

impl Packages {
    pub(super) fn at(site: &Site<'_>, version: PythonVersion) -> Self {
        let python = site.layout.runtimes().join("python");
        Self { version, python, slug: site.build.join(".heroku/python"), own: BTreeSet::new() }
    }

    /// Python's program.
    pub(super) fn program(&self) -> PathBuf {
        self.python.join("bin/python")
    }

    /// `lib/python3.13`
    fn library(&self) -> PathBuf {
        Path::new("lib").join(format!("python{}.{}", self.version.major, self.version.minor))
    }

    fn site_packages(&self) -> PathBuf {
        self.python.join(self.library()).join("site-packages")
    }

    /// Whether a package is installed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.site_packages().join(name).is_dir()
    }

    /// Notes what the mounted Python has of itself; before anything is restored or installed.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.own = self.files(&self.python)?.into_iter().collect();
        fs::create_dir_all(self.site_packages())
    }

    /// What lies beside the library and is not Python's own: programs above all. Hidden files are an installer's locks.
    fn beside(&self) -> io::Result<Vec<PathBuf>> {
        let hidden = |path: &Path| path.iter().next().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let files = self.files(&self.python)?.into_iter();
        Ok(files.filter(|path| !self.own.contains(path) && !hidden(path)).collect())
    }

    /// Copies all that is the app's into a folder.
    pub(super) fn copy_to(&self, folder: &Path) -> io::Result<()> {
        crate::tree::copy(&self.site_packages(), &folder.join(self.library()).join("site-packages"))?;
        for path in self.beside()? {
            let copy = folder.join(&path);
            fs::create_dir_all(copy.parent().unwrap_or(folder))?;
            fs::copy(self.python.join(path), copy)?;
        }
        Ok(())
    }

    /// Puts what was copied so back in its places.
    pub(super) fn copy_from(&self, folder: &Path) -> io::Result<()> {
        crate::tree::copy(folder, &self.python)
    }

    /// Files and links below a folder, without Python's library.
    fn files(&self, root: &Path) -> io::Result<Vec<PathBuf>> {
        let library = self.library();
        let mut files = Vec::new();
        crate::pack::walk(root, Path::new(""), &mut |path, metadata| {
            if path == library {
                return Ok(false);
            }
            if !metadata.is_dir() {
                files.push(path.to_owned());
            }
            Ok(metadata.is_dir())
        })?;
        Ok(files)
    }

    /// A picture of the packages, to see whether an installer changed them.
    pub(super) fn fingerprint(&self) -> io::Result<[u8; 32]> {
        Ok(crate::pack::fingerprint(&self.site_packages())?.0)
    }

    /// Compiles all modules in such a form that the date of a file does not count: layers have one date for all files.
    /// Modules that cannot be compiled (tests and templates of packages) are left, as pip does.
    pub(super) fn compile(&self, site: &Site<'_>, env: &Environment) -> io::Result<()> {
        if fs::read_dir(self.site_packages())?.next().is_none() {
            return Ok(());
        }
        let mut command = Command::new(self.program());
        command.args(["-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "unchecked-hash"]);
        command.arg(self.site_packages()).env_clear().envs(env).current_dir(site.build);
        site.out.stream_indented(&mut command).map(drop)
    }

    /// Last: moves all into the slug, what hooks installed too.
    pub(super) fn settle(&self, site: &Site<'_>) -> io::Result<()> {
        self.relocate(site)?;
        let (seen, kept) = (self.site_packages(), self.slug.join(self.library()).join("site-packages"));
        fs::create_dir_all(&kept)?;
        for entry in fs::read_dir(&seen)? {
            let name = entry?.file_name();
            shift(&seen.join(&name), &kept.join(&name))?;
        }
        fs::remove_dir(&seen)?;
        symlink(&kept, &seen)?;
        for path in self.beside()? {
            let (place, kept) = (self.python.join(&path), self.slug.join(&path));
            fs::create_dir_all(kept.parent().unwrap_or(&self.slug))?;
            shift(&place, &kept)?;
            symlink(kept, place)?;
        }
        Ok(())
    }

    /// Lets packages that are installed in place (`pip install -e`, a uv project) be found where the app will lie.
    fn relocate(&self, site: &Site<'_>) -> io::Result<()> {
        let (from, to) = (site.build.display().to_string(), site.layout.app.display().to_string());
        let folder = self.site_packages();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let points = [".pth", ".egg-link"].iter().any(|end| name.ends_with(end));
            let finder = name.strip_prefix("__editable__").and_then(|rest| rest.strip_suffix(".py"));
            if !(points || finder.is_some()) || !entry.file_type()?.is_file() {
                continue;
            }
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            if text.contains(&from) {
                fs::write(entry.path(), text.replace(&from, &to))?;
            }
            if finder.is_some() {
                let (major, minor) = (self.version.major, self.version.minor);
                let compiled = format!("{}.cpython-{major}{minor}.pyc", name.trim_end_matches(".py"));
                // Gone already if it could not be compiled.
                fs::remove_file(folder.join("__pycache__").join(compiled)).ok();
            }
        }
        Ok(())
    }
}

/// Moves a file or folder; what a layer has a part in cannot be renamed, and is copied.
fn shift(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        done => return done,
    }
    if fs::symlink_metadata(from)?.is_dir() {
        crate::tree::copy(from, to)?;
        return fs::remove_dir_all(from);
    }
    fs::copy(from, to)?;
    fs::remove_file(from)
}
