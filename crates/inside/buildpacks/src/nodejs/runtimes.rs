//! Node and npm, which are mounted already: checks that they are what `package.json` asks for, and puts them on `PATH`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use inside_contract::Requirement;
use nodejs_semver::{Range, Version};

use super::failures;
use super::manifest::Manifest;
use crate::builtin::Site;
use crate::environment::{Environment, runtime};
use crate::error::BuildError;

/// What is used to install and build.
#[derive(Debug)]
pub(super) struct Tools {
    /// Variables of every command.
    pub(super) env: Environment,
    /// Exact.
    pub(super) node: String,
    /// Exact; none if npm is not mounted.
    pub(super) npm: Option<String>,
    npm_program: Option<PathBuf>,
}

/// Prints the section and gives the tools.
pub(super) fn install(site: &Site<'_>, manifest: &Manifest, mut env: Environment) -> Result<Tools, BuildError> {
    let node = runtime(site.env, "node").ok_or_else(|| failures::missing_runtime("node"))?.to_owned();
    let npm = runtime(site.env, "npm").map(str::to_owned);
    let out = site.out;
    out.section("Installing binaries");
    out.text(&format!("engines.node (package.json):   {}", or(manifest.engine("node"), "unspecified")));
    out.text(&format!("engines.npm (package.json):    {}", or(manifest.engine("npm"), "unspecified (use default)")));
    out.text("");
    out.text(&format!("Resolving node version {}...", or(manifest.engine("node"), "(default)")));
    check("node", manifest.engine("node"), &node)?;
    out.text(&format!("Using node {node} (shared runtime)"));
    if let Some(npm) = &npm {
        check("npm", manifest.engine("npm"), npm)?;
        let word = if manifest.engine("npm").is_empty() { "Using default npm version:" } else { "Using npm" };
        out.text(&format!("{word} {npm}"));
    }
    let npm_program = npm.as_ref().and_then(|_| npm_program(&site.layout.runtimes()));
    if let Some(program) = &npm_program {
        link(site, program).map_err(BuildError::io("linking npm"))?;
    }
    let path = env.get("PATH").cloned().unwrap_or_default();
    env.insert(
        "PATH".to_owned(),
        format!("{}:{}:{path}", bin(site).display(), site.build.join("node_modules/.bin").display()),
    );
    Ok(Tools { env, node, npm, npm_program })
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn check(name: &str, requirement: &str, version: &str) -> Result<(), BuildError> {
    match meets(requirement, version) {
        None => Err(failures::invalid_requirement(name, requirement)),
        Some(true) => Ok(()),
        Some(false) => Err(failures::wrong_runtime(name, requirement, version)),
    }
}

/// Whether a version is what a requirement asks for; `None` if the requirement is none.
pub(crate) fn meets(requirement: &str, version: &str) -> Option<bool> {
    let Requirement::Range(range) = requirement.into() else { return Some(true) };
    let range: Range = range.parse().ok()?;
    Some(version.parse().is_ok_and(|exact: Version| exact.satisfies(&range)))
}

/// npm's program in a mounted runtime: in Node's own tree, where distributions have it, or in one of its own.
fn npm_program(runtimes: &Path) -> Option<PathBuf> {
    let places =
        ["node/lib/node_modules/npm/bin/npm-cli.js", "npm/lib/node_modules/npm/bin/npm-cli.js", "npm/bin/npm-cli.js"];
    places.into_iter().map(|place| runtimes.join(place)).find(|path| path.is_file())
}

fn bin(site: &Site<'_>) -> PathBuf {
    site.build.join(".heroku/bin")
}

/// Links `npm` and `npx` into `.heroku/bin` of the slug if they are not beside `node`: the `bin/npm` of npm's own package
/// only works there.
fn link(site: &Site<'_>, program: &Path) -> io::Result<()> {
    if site.layout.runtimes().join("node/bin/npm").exists() {
        return Ok(());
    }
    fs::create_dir_all(bin(site))?;
    for (name, file) in [("npm", "npm-cli.js"), ("npx", "npx-cli.js")] {
        let place = bin(site).join(name);
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(program.with_file_name(file), place)?,
        }
    }
    Ok(())
}

impl Tools {
    /// An npm command in the app's folder.
    pub(super) fn npm(&self, site: &Site<'_>, arguments: &[&str]) -> Result<Command, BuildError> {
        let program = self.npm_program.as_ref().ok_or_else(|| failures::missing_runtime("npm"))?;
        let mut command = Command::new(site.layout.runtimes().join("node/bin/node"));
        command.arg(program).args(arguments);
        command.env_clear().envs(&self.env).current_dir(site.build);
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ranges_are_met() {
        for (requirement, expected) in [
            ("", Some(true)),
            ("lts/*", Some(true)),
            ("latest", Some(true)),
            ("lts/jod", Some(true)),
            ("lts/iron", Some(false)),
            ("22.x", Some(true)),
            (">=20 <22", Some(false)),
            ("^20 || ^22", Some(true)),
            ("banana", None),
        ] {
            assert_eq!(meets(requirement, "22.23.3"), expected, "{requirement}");
        }
    }
}
