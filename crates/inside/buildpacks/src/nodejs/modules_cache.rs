//! `node_modules` as the last build installed it, kept in the cache under everything that decides what an install gives:
//! the manifests, npm's settings, node, npm and the stack.
//!
//! The files are copied (shared blocks where the filesystem can), not hard-linked: a build script that rewrites a file
//! in place must not change what the next build starts from.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::manifest;
use super::runtimes::Tools;
use crate::builtin::Site;

/// Grows when the layout of the cache changes.
const VERSION: &str = "2";

/// One slot: the modules and the key they were installed under.
#[derive(Debug)]
pub(super) struct ModulesCache {
    folder: PathBuf,
    modules: PathBuf,
    /// None if nothing may be kept: without a lockfile, or because the app says so.
    key: Option<String>,
}

impl ModulesCache {
    pub(super) fn of(site: &Site<'_>, tools: &Tools) -> Self {
        let wanted = tools.env.get("NODE_MODULES_CACHE").is_none_or(|value| value != "false");
        // Workspaces spread their modules over several folders; only npm knows them.
        let usable = wanted && manifest::has_lockfile(site.build);
        Self {
            folder: site.cache.join("node"),
            modules: site.build.join("node_modules"),
            key: usable.then(|| key(site, tools)),
        }
    }

    /// Copies the kept modules into the app if their key fits.
    pub(super) fn restore(&self) -> io::Result<bool> {
        let Some(key) = &self.key else { return Ok(false) };
        if fs::read_to_string(self.folder.join("key")).ok().as_ref() != Some(key) {
            return Ok(false);
        }
        crate::tree::copy(&self.folder.join("node_modules"), &self.modules)?;
        Ok(true)
    }

    /// A picture of the app's modules, to see later whether a script of the app changed them.
    pub(super) fn fingerprint(&self) -> io::Result<[u8; 32]> {
        Ok(crate::pack::fingerprint(&self.modules)?.0)
    }

    /// Puts the modules as the last build pruned them in place of the whole ones, if they were kept.
    pub(super) fn restore_pruned(&self) -> io::Result<bool> {
        let pruned = self.folder.join("pruned");
        if self.key.is_none() || !pruned.is_dir() {
            return Ok(false);
        }
        fs::remove_dir_all(&self.modules)?;
        crate::tree::copy(&pruned, &self.modules)?;
        Ok(true)
    }

    /// Keeps the modules after pruning too, in the slot of the same key.
    pub(super) fn keep_pruned(&self) -> io::Result<()> {
        if self.key.is_none() || !self.modules.is_dir() || !self.folder.is_dir() {
            return Ok(());
        }
        // Renamed when whole: a copy that was cut off is never used.
        let part = self.folder.join("pruned.part");
        crate::tree::copy(&self.modules, &part)?;
        fs::rename(part, self.folder.join("pruned"))
    }

    /// Keeps the modules of the app in place of the older ones.
    pub(super) fn keep(&self) -> io::Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        let Some(key) = self.key.as_ref().filter(|_| self.modules.is_dir()) else { return Ok(()) };
        fs::create_dir_all(&self.folder)?;
        crate::tree::copy(&self.modules, &self.folder.join("node_modules"))?;
        // The key last: a copy that was cut off is never used.
        fs::write(self.folder.join("key"), key)
    }
}

fn key(site: &Site<'_>, tools: &Tools) -> String {
    let mut hash = Sha256::new();
    let mut part = |name: &str, bytes: &[u8]| {
        for bytes in [name.as_bytes(), bytes] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    };
    part("version", VERSION.as_bytes());
    for name in ["package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"] {
        part(name, &fs::read(site.build.join(name)).unwrap_or_default());
    }
    part("node", tools.node.as_bytes());
    part("npm", tools.npm.as_deref().unwrap_or_default().as_bytes());
    let decides = |name: &str| {
        let name = name.to_ascii_uppercase();
        name == "STACK" || name == "NODE_ENV" || name.starts_with("NPM_") || name == "NODE_OPTIONS"
    };
    for (name, value) in tools.env.iter().filter(|(name, _)| decides(name)) {
        part(name, value.as_bytes());
    }
    crate::pack::hex(&hash.finalize())
}
