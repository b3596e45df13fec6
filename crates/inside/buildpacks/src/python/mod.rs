//! The built-in buildpack for Python with pip or uv. What can be observed of it (sections, hooks, variables, `.profile.d`,
//! where packages lie) is Heroku's; Python itself, pip and uv are shared runtimes, mounted and not part of the slug.
//!
//! Packages are part of the slug, at the paths Python looks at: `.heroku/python/lib/python3.13/site-packages`, with their
//! programs in `.heroku/python/bin`. In a dyno the slug lies over the runtime, and the two are one tree.

mod cache;
mod django;
mod environment;
mod failures;
mod hooks;
mod install;
mod manager;
mod packages;
mod profile;
mod requirements;
mod version;

use std::path::Path;

use inside_contract::{PythonRequirement, RuntimeWish};

use crate::builtin::Site;
use crate::error::BuildError;
use manager::Manager;

/// What the app's version file asks for, and the installer its files are for.
pub(crate) fn runtimes(folder: &Path) -> Result<Vec<RuntimeWish>, BuildError> {
    let manager = Manager::find(folder)?;
    let asked = version::asked(folder)?;
    let wish = |name: &str, requirement: String| RuntimeWish { name: name.to_owned(), requirement };
    Ok(vec![wish("python", asked.requirement), wish(manager.name(), String::new())])
}

/// Whether a version of Python is what a requirement asks for; `None` if the requirement is none.
pub(crate) fn meets(requirement: &str, version: &str) -> Option<bool> {
    let requirement: PythonRequirement = requirement.parse().ok()?;
    Some(version.parse().is_ok_and(|version| requirement.meets(version)))
}

/// Builds the app, section by section.
pub(crate) fn compile(site: Site<'_>) -> Result<(), BuildError> {
    let env = environment::create(&site)?;
    hooks::run(&site, &env, "bin/pre_compile")?;
    let manager = Manager::find(site.build)?;
    let python = version::mounted(&site)?;
    let mut packages = packages::Packages::at(&site, python);
    install::dependencies(&site, &env, manager, &mut packages)?;
    django::collectstatic(&site, &env, &packages)?;
    hooks::run(&site, &env, "bin/post_compile")?;
    packages.settle(&site).map_err(BuildError::io("putting the packages into the slug"))?;
    profile::write(&site).map_err(BuildError::io("writing .profile.d/python.sh"))
}
