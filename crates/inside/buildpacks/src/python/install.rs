//! Restoring, installing and keeping the app's packages, each with its section.

use std::process::Command;

use super::cache::{Cache, Restored};
use super::failures;
use super::manager::Manager;
use super::packages::Packages;
use crate::builtin::Site;
use crate::environment::{Environment, runtime};
use crate::error::BuildError;

/// Installs what the lockfile or `requirements.txt` says.
pub(super) fn dependencies(
    site: &Site<'_>,
    env: &Environment,
    manager: Manager,
    packages: &mut Packages,
) -> Result<(), BuildError> {
    let version = runtime(site.env, manager.name()).ok_or_else(|| failures::missing_runtime(manager.name()))?;
    let cache = Cache::of(site, env, manager, packages.version);
    packages.begin().map_err(BuildError::io("looking at the mounted Python"))?;
    let restored = restore(site, &cache, packages)?;
    site.out.section(&format!("Using {} {version}", manager.name()));
    let before = fingerprint(packages)?;
    let (command, shown) = installer(site, manager, packages);
    site.out.section(&format!("Installing dependencies using '{shown}'"));
    if restored && manager == Manager::Pip {
        site.out.text("Using the packages of the last build (requirements unchanged)");
        return Ok(());
    }
    run(site, env, command, &shown)?;
    if fingerprint(packages)? == before && restored {
        return Ok(());
    }
    packages.compile(site, env).map_err(BuildError::io("compiling the packages"))?;
    if cache.is_kept() {
        site.out.section("Saving cache");
    }
    cache.keep(packages).map_err(BuildError::io("keeping the packages in the cache"))
}

fn restore(site: &Site<'_>, cache: &Cache, packages: &Packages) -> Result<bool, BuildError> {
    let restored = cache.restore(packages).map_err(BuildError::io("restoring the packages from the cache"))?;
    match &restored {
        Restored::Yes => site.out.section("Restoring cache"),
        Restored::Nothing => {}
        Restored::Discarded(reasons) => {
            site.out.section("Discarding cache since:");
            for reason in reasons {
                site.out.text(&format!("- {reason}"));
            }
        }
    }
    Ok(restored == Restored::Yes)
}

fn fingerprint(packages: &Packages) -> Result<[u8; 32], BuildError> {
    packages.fingerprint().map_err(BuildError::io("looking at the packages"))
}

/// The command and how it is shown.
fn installer(site: &Site<'_>, manager: Manager, packages: &Packages) -> (Command, String) {
    let runtimes = site.layout.runtimes();
    let (mut command, words): (Command, &[&str]) = match manager {
        Manager::Pip => {
            let mut command = Command::new(packages.program());
            command.arg(runtimes.join("pip/lib/pip"));
            (command, &["install", "-r", "requirements.txt"])
        }
        // Exactly the lockfile, without groups for development.
        Manager::Uv => (Command::new(runtimes.join("uv/bin/uv")), &["sync", "--locked", "--no-default-groups"]),
    };
    command.args(words);
    (command, format!("{} {}", manager.name(), words.join(" ")))
}

fn run(site: &Site<'_>, env: &Environment, mut command: Command, shown: &str) -> Result<(), BuildError> {
    command.env_clear().envs(env).current_dir(site.build);
    let status = site.out.stream_indented(&mut command).map_err(BuildError::io(format!("starting '{shown}'")))?;
    if status.success() { Ok(()) } else { Err(failures::install(shown)) }
}
