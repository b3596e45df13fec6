//! What of `package.json` a build needs, and which package manager's files lie beside it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::failures;
use crate::error::BuildError;

/// A `package.json` that is a JSON object.
#[derive(Debug)]
pub(super) struct Manifest {
    json: Value,
}

/// Lifecycle scripts of the app itself that `npm ci` runs, in its order; they run over restored modules too.
const LIFECYCLE: [&str; 7] =
    ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        let bytes = fs::read(folder.join("package.json")).map_err(BuildError::io("reading package.json"))?;
        let json: Value =
            serde_json::from_slice(&bytes).map_err(|error| failures::broken_manifest(&error.to_string()))?;
        if !json.is_object() {
            return Err(failures::broken_manifest("it is not a JSON object"));
        }
        Ok(Self { json })
    }

    /// The requirement of `engines`, or nothing.
    pub(super) fn engine(&self, name: &str) -> &str {
        self.json["engines"][name].as_str().unwrap_or_default().trim()
    }

    /// The text of a script.
    pub(super) fn script(&self, name: &str) -> Option<&str> {
        self.json["scripts"][name].as_str().filter(|text| !text.is_empty())
    }

    /// The app's own lifecycle scripts.
    pub(super) fn lifecycle(&self) -> impl Iterator<Item = &'static str> {
        LIFECYCLE.into_iter().filter(|name| self.script(name).is_some())
    }

    /// Whether there is anything for npm to install.
    pub(super) fn has_dependencies(&self) -> bool {
        let groups = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
        let workspaces = !self.json["workspaces"].is_null();
        workspaces || groups.into_iter().any(|group| self.has_group(group))
    }

    /// Whether there is anything to prune.
    pub(super) fn has_dev_dependencies(&self) -> bool {
        self.has_group("devDependencies") || !self.json["workspaces"].is_null()
    }

    fn has_group(&self, name: &str) -> bool {
        self.json[name].as_object().is_some_and(|group| !group.is_empty())
    }
}

/// Only npm is built in; another manager's lockfile must not be ignored silently.
pub(super) fn refuse_other_managers(folder: &Path) -> Result<(), BuildError> {
    let lockfiles = [("yarn", "yarn.lock"), ("pnpm", "pnpm-lock.yaml"), ("bun", "bun.lock"), ("bun", "bun.lockb")];
    let npm = has_lockfile(folder);
    for (manager, lockfile) in lockfiles {
        if folder.join(lockfile).is_file() {
            return Err(if npm {
                failures::two_lockfiles(lockfile)
            } else {
                failures::other_manager(manager, lockfile)
            });
        }
    }
    Ok(())
}

/// Whether `npm ci` can be used.
pub(super) fn has_lockfile(folder: &Path) -> bool {
    lockfile(folder).is_some()
}

/// The lockfile's name; a shrinkwrap wins, as with npm.
pub(super) fn lockfile(folder: &Path) -> Option<&'static str> {
    ["npm-shrinkwrap.json", "package-lock.json"].into_iter().find(|name| folder.join(name).is_file())
}
