//! Installing, building and pruning, each with its section.

use super::failures;
use super::manifest::{self, Manifest};
use super::modules_cache::ModulesCache;
use super::runtimes::Tools;
use crate::builtin::Site;
use crate::error::BuildError;

/// The modules after installing: where they are kept, and how they looked.
#[derive(Debug)]
pub(super) struct Installed {
    cache: ModulesCache,
    fingerprint: [u8; 32],
}

/// `-----> Restoring cache` and `-----> Installing dependencies`.
pub(super) fn dependencies(site: &Site<'_>, manifest: &Manifest, tools: &Tools) -> Result<Installed, BuildError> {
    run_script(site, manifest, tools, "heroku-prebuild", true)?;
    let cache = ModulesCache::of(site, tools);
    let restored = restore(site, manifest, &cache)?;
    site.out.text("");
    site.out.section("Installing dependencies");
    if !manifest.has_dependencies() {
        site.out.text("No dependencies in package.json");
    } else if restored {
        site.out.text("Using node_modules of the last build (lockfile unchanged)");
    } else {
        install(site, tools)?;
        cache.keep().map_err(BuildError::io("keeping node_modules in the cache"))?;
    }
    let fingerprint = cache.fingerprint().map_err(BuildError::io("looking at node_modules"))?;
    if restored || !manifest.has_dependencies() {
        lifecycle(site, manifest, tools)?;
    }
    Ok(Installed { cache, fingerprint })
}

fn restore(site: &Site<'_>, manifest: &Manifest, cache: &ModulesCache) -> Result<bool, BuildError> {
    if !manifest.has_dependencies() {
        return Ok(false);
    }
    let out = site.out;
    out.text("");
    out.section("Restoring cache");
    if site.build.join("node_modules").exists() {
        out.text("node_modules is checked into the repository; it is replaced by what the lockfile says.");
        return Ok(false);
    }
    let restored = cache.restore().map_err(BuildError::io("restoring node_modules from the cache"))?;
    out.text(if restored {
        "- node_modules"
    } else {
        "Cached directories were not restored: no cache for this lockfile"
    });
    Ok(restored)
}

fn install(site: &Site<'_>, tools: &Tools) -> Result<(), BuildError> {
    let (verb, from) = match manifest::lockfile(site.build) {
        Some(lockfile) => ("ci", lockfile),
        None => ("install", "package.json"),
    };
    site.out.text(&format!("Installing node modules ({from})"));
    let production = tools.env.get("NPM_CONFIG_PRODUCTION").is_some_and(|value| value == "true");
    let groups = if production { "--omit=dev" } else { "--include=dev" };
    let mut arguments = vec![verb, groups];
    if verb == "install" {
        arguments.push("--no-package-lock");
    }
    run(site, tools, &arguments, || failures::install(verb))
}

/// Over restored modules, and in an app without any, the app's own lifecycle scripts still run.
fn lifecycle(site: &Site<'_>, manifest: &Manifest, tools: &Tools) -> Result<(), BuildError> {
    for name in manifest.lifecycle() {
        run(site, tools, &["run", name], || failures::script(name))?;
    }
    Ok(())
}

/// `-----> Build`: `heroku-postbuild`, or `build` without it.
pub(super) fn build(site: &Site<'_>, manifest: &Manifest, tools: &Tools) -> Result<(), BuildError> {
    site.out.text("");
    site.out.section("Build");
    let script = ["heroku-postbuild", "build"].into_iter().find(|name| manifest.script(name).is_some());
    if let Some(name) = script {
        run_script(site, manifest, tools, name, false)?;
    }
    if manifest.has_dependencies() {
        site.out.text("");
        site.out.section("Caching build");
        site.out.text(if manifest::has_lockfile(site.build) { "- node_modules\n- npm cache" } else { "- npm cache" });
    }
    Ok(())
}

/// `-----> Pruning devDependencies`, unless the app wants to keep them.
pub(super) fn prune(
    site: &Site<'_>,
    manifest: &Manifest,
    tools: &Tools,
    installed: &Installed,
) -> Result<(), BuildError> {
    if !manifest.has_dev_dependencies() {
        return Ok(());
    }
    let out = site.out;
    out.text("");
    out.section("Pruning devDependencies");
    let value = |name: &str| tools.env.get(name).map(String::as_str);
    let production = value("NODE_ENV") == Some("production");
    match value("NPM_CONFIG_PRODUCTION") {
        Some("true") => out.text("Skipping because NPM_CONFIG_PRODUCTION is 'true'"),
        Some("false") => out.text("Skipping because NPM_CONFIG_PRODUCTION is 'false'"),
        _ if !production => out.text("Skipping because NODE_ENV is not 'production'"),
        _ => prune_modules(site, tools, installed)?,
    }
    Ok(())
}

/// Pruning is only npm's work the first time. Modules that a script of the app changed (generated clients live there)
/// are always pruned in place.
fn prune_modules(site: &Site<'_>, tools: &Tools, installed: &Installed) -> Result<(), BuildError> {
    let cache = &installed.cache;
    let looking = || BuildError::io("looking at node_modules");
    let untouched = cache.fingerprint().map_err(looking())? == installed.fingerprint;
    if untouched && cache.restore_pruned().map_err(BuildError::io("restoring pruned node_modules"))? {
        site.out.text("Using pruned node_modules of the last build (lockfile unchanged)");
        return Ok(());
    }
    run(site, tools, &["prune", "--omit=dev", "--ignore-scripts"], failures::prune)?;
    if untouched {
        cache.keep_pruned().map_err(BuildError::io("keeping pruned node_modules in the cache"))?;
    }
    Ok(())
}

/// `heroku-cleanup`, after pruning.
pub(super) fn cleanup(site: &Site<'_>, manifest: &Manifest, tools: &Tools) -> Result<(), BuildError> {
    run_script(site, manifest, tools, "heroku-cleanup", true)
}

fn run_script(
    site: &Site<'_>,
    manifest: &Manifest,
    tools: &Tools,
    name: &'static str,
    section: bool,
) -> Result<(), BuildError> {
    if manifest.script(name).is_none() {
        return Ok(());
    }
    if section {
        site.out.text("");
        site.out.section(if name == "heroku-prebuild" { "Prebuild" } else { "Cleanup" });
    }
    site.out.text(&format!("Running {name}"));
    site.out.text("");
    run(site, tools, &["run", name], || failures::script(name))
}

fn run(
    site: &Site<'_>,
    tools: &Tools,
    arguments: &[&str],
    failure: impl FnOnce() -> BuildError,
) -> Result<(), BuildError> {
    let mut command = tools.npm(site, arguments)?;
    let status = site.out.stream_indented(&mut command).map_err(BuildError::io("starting npm"))?;
    if status.success() { Ok(()) } else { Err(failure()) }
}
