//! The built-in buildpack for Node.js with npm. What can be observed of it (sections, variables, scripts, `.profile.d`)
//! is Heroku's; node and npm themselves are shared runtimes, mounted and not part of the slug.

mod environment;
mod failures;
mod install;
mod manifest;
mod modules_cache;
mod profile;
mod runtimes;

use std::path::Path;

use inside_contract::RuntimeWish;

use crate::builtin::Site;
use crate::error::BuildError;
use manifest::Manifest;
pub(crate) use runtimes::meets;

/// What the app's `package.json` asks for.
pub(crate) fn runtimes(folder: &Path) -> Result<Vec<RuntimeWish>, BuildError> {
    let manifest = Manifest::read(folder)?;
    let wish =
        |name: &str, requirement: &str| RuntimeWish { name: name.to_owned(), requirement: requirement.to_owned() };
    Ok(vec![wish("node", manifest.engine("node")), wish("npm", manifest.engine("npm"))])
}

/// The default command, if the app can be started by npm.
pub(crate) fn default_web(folder: &Path) -> Option<&'static str> {
    let starts = Manifest::read(folder).is_ok_and(|manifest| manifest.script("start").is_some());
    (starts || folder.join("server.js").is_file()).then_some("npm start")
}

/// Builds the app, section by section.
pub(crate) fn compile(site: Site<'_>) -> Result<(), BuildError> {
    let manifest = Manifest::read(site.build)?;
    manifest::refuse_other_managers(site.build)?;
    let env = environment::create(&site)?;
    let tools = runtimes::install(&site, &manifest, env)?;
    let installed = install::dependencies(&site, &manifest, &tools)?;
    install::build(&site, &manifest, &tools)?;
    install::prune(&site, &manifest, &tools, &installed)?;
    install::cleanup(&site, &manifest, &tools)?;
    profile::write(&site).map_err(BuildError::io("writing .profile.d/nodejs.sh"))?;
    site.out.text("");
    site.out.section("Build succeeded!");
    Ok(())
}
