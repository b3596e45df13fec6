//! The packages of the last build, kept in the cache beside everything that decides what an install gives.
//!
//! ```text
//! CACHE_DIR/python/about.json   what they were installed under, by its name in the output
//! CACHE_DIR/python/packages/    as in the slug's `.heroku/python`
//! ```
//!
//! For pip that includes the requirements, so that what is restored needs no install. uv compares the packages with its
//! lockfile itself, in less time than it takes to copy them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use inside_contract::PythonVersion;
use sha2::{Digest as _, Sha256};

use super::manager::Manager;
use super::packages::Packages;
use super::requirements::Requirements;
use crate::builtin::Site;
use crate::environment::{Environment, runtime};

/// Grows when the layout of the cache changes.
const LAYOUT: &str = "1";

/// By name, as it is shown: a value to show, or the digest of what has no short form.
type About = BTreeMap<String, String>;

/// One slot.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// None if nothing may be kept: what is installed depends on more than is known here.
    about: Option<About>,
}

/// What became of the packages of the last build.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Restored {
    /// They lie where they were installed.
    Yes,
    /// There are none.
    Nothing,
    /// They are of no use; in sentences, why.
    Discarded(Vec<String>),
}

/// Whether a file of requirements names a variable.
fn mentions(bytes: &[u8], name: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(&format!("${{{name}}}"))
}

impl Cache {
    pub(super) fn of(site: &Site<'_>, env: &Environment, manager: Manager, python: PythonVersion) -> Self {
        let mut about = About::new();
        let mut decides = |name: &str, value: String| about.insert(name.to_owned(), value);
        decides("layout", LAYOUT.to_owned());
        decides("stack", site.env.get("STACK").cloned().unwrap_or_default());
        decides("Python version", python.to_string());
        let version = runtime(site.env, manager.name()).unwrap_or_default();
        decides("package manager", format!("{} {version}", manager.name()));
        let mut is_local = false;
        if manager == Manager::Pip {
            let requirements = Requirements::read(site.build);
            is_local = requirements.is_local;
            let files = requirements.files.iter();
            let files = files.map(|(path, bytes)| (path.as_os_str().as_encoded_bytes(), bytes.as_slice()));
            decides("content of requirements.txt", digest(files));
            // Files may name variables as `${NAME}` (pip's documentation, "Using environment variables").
            let named = |name: &str| requirements.files.values().any(|bytes| mentions(bytes, name));
            let is_pips = |name: &str| name.to_ascii_uppercase().starts_with("PIP_");
            let settings = env.iter().filter(|(name, _)| is_pips(name) || named(name));
            // Where the app is built is another folder each time, and decides nothing.
            let settings = settings.filter(|(name, _)| *name != "PIP_SRC");
            decides("settings of pip", digest(settings.map(|(name, value)| (name.as_bytes(), value.as_bytes()))));
        }
        Self { folder: site.cache.join("python"), about: (!is_local).then_some(about) }
    }

    /// Copies the packages to where they were installed, if they were installed under the same.
    pub(super) fn restore(&self, packages: &Packages) -> io::Result<Restored> {
        let Some(kept) = fs::read(self.folder.join("about.json")).ok() else { return Ok(Restored::Nothing) };
        let kept: About = serde_json::from_slice(&kept).unwrap_or_default();
        let Some(about) = &self.about else {
            let why = "Requirements name files of the app itself, whose content may have changed".to_owned();
            return Ok(Restored::Discarded(vec![why]));
        };
        if kept != *about {
            return Ok(Restored::Discarded(changes(&kept, about)));
        }
        packages.copy_from(&self.folder.join("packages"))?;
        Ok(Restored::Yes)
    }

    /// Keeps the packages of the slug in place of the older ones.
    pub(super) fn keep(&self, packages: &Packages) -> io::Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        let Some(about) = &self.about else { return Ok(()) };
        packages.copy_to(&self.folder.join("packages"))?;
        // Last: a copy that was cut off is never used.
        fs::write(self.folder.join("about.json"), serde_json::to_vec(about)?)
    }

    /// Whether anything of this build is kept.
    pub(super) fn is_kept(&self) -> bool {
        self.about.is_some()
    }
}

/// In sentences, what is no longer as it was.
fn changes(kept: &About, about: &About) -> Vec<String> {
    let short = |value: &String| value.len() < 64;
    let changed = about.iter().filter_map(|(name, new)| match kept.get(name) {
        Some(old) if old == new => None,
        Some(old) if short(old) && short(new) => Some(format!("The {name} has changed from {old} to {new}")),
        _ if name.starts_with("settings") => Some(format!("The {name} have changed")),
        _ => Some(format!("The {name} has changed")),
    });
    changed.collect()
}

fn digest<'a>(parts: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    for part in parts.flat_map(|(name, value)| [name, value]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    crate::pack::hex(&hash.finalize())
}
