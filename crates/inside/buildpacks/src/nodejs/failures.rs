//! Why a Node.js app cannot be built: what happened, what we saw, what to try.

use crate::error::BuildError;

fn app(message: String, explanation: String) -> BuildError {
    BuildError::App { message, explanation }
}

pub(super) fn broken_manifest(reason: &str) -> BuildError {
    app(
        format!("unable to parse package.json: {reason}"),
        format!(
            "Unable to parse package.json\n\n    {reason}\n\n\
             The file package.json at the root of the app cannot be read, so it is not known what to build.\n\
             Check it locally, for example with `npm pkg get name`, commit the corrected file and push again."
        ),
    )
}

pub(super) fn other_manager(manager: &str, lockfile: &str) -> BuildError {
    app(
        format!("{manager} is not built in yet"),
        format!(
            "This app is installed with {manager} (it has {lockfile}), which is not built in yet.\n\n\
             Use npm: run `npm install`, commit package-lock.json, remove {lockfile} and push again.\n\
             Or set the buildpack by its URL:\n\n    \
             heroku buildpacks:set https://github.com/heroku/heroku-buildpack-nodejs"
        ),
    )
}

pub(super) fn two_lockfiles(lockfile: &str) -> BuildError {
    app(
        format!("two different lockfiles found: package-lock.json and {lockfile}"),
        format!(
            "Build failed: two different lockfiles found: package-lock.json and {lockfile}\n\n\
             Both fix the versions of the dependencies, and they may contradict each other.\n\
             Keep the one of the package manager you use and remove the other from the repository:\n\n    \
             git rm {lockfile}"
        ),
    )
}

pub(super) fn wrong_runtime(name: &str, requirement: &str, version: &str) -> BuildError {
    app(
        format!("{name} {version} does not satisfy engines.{name} {requirement:?}"),
        format!(
            "{name} {version} does not satisfy engines.{name} \"{requirement}\" of package.json.\n\n\
             This version was mounted because another build step or a setting of the platform asked for it.\n\
             Push again; if it stays so, ask for another version in package.json, or tell the platform's operator."
        ),
    )
}

pub(super) fn invalid_requirement(name: &str, requirement: &str) -> BuildError {
    app(
        format!("engines.{name} {requirement:?} is no version requirement"),
        format!(
            "Could not understand engines.{name} \"{requirement}\" of package.json.\n\n\
             It must be a version or a range of npm's notation, such as \"22.x\", \">=20\" or \"22.11.0\"."
        ),
    )
}

pub(super) fn missing_runtime(name: &str) -> BuildError {
    app(
        format!("{name} is not mounted"),
        format!("{name} is not mounted into this build. This is a mistake of the platform, not of the app."),
    )
}

pub(super) fn install(command: &str) -> BuildError {
    let lockfile = if command == "ci" {
        "- If npm says that package.json and the lockfile are not in sync: run `npm install` locally,\n  \
           commit package-lock.json and push again.\n"
    } else {
        "- Commit a package-lock.json (`npm install` makes it), so that builds get what you tested.\n"
    };
    app(
        format!("npm {command} failed"),
        format!(
            "npm {command} failed; its output stands above.\n\n\
             What to try:\n{lockfile}\
             - Run the same locally in a fresh clone: `rm -rf node_modules && npm {command}`.\n\
             - If a private registry or package is involved: set its token as a config var and use it in .npmrc.\n\
             - If an old cache may be to blame: `heroku builds:cache:purge` and push again."
        ),
    )
}

pub(super) fn script(name: &str) -> BuildError {
    app(
        format!("the script {name:?} of package.json failed"),
        format!(
            "The script \"{name}\" of package.json failed; its output stands above.\n\n\
             What to try:\n\
             - Run it locally in a fresh clone: `npm ci && NODE_ENV=production npm run {name}`.\n\
             - Config vars are there during the build; add-ons' services may not be reachable yet.\n\
             - If a tool was not found: add it to dependencies or devDependencies."
        ),
    )
}

pub(super) fn prune() -> BuildError {
    app(
        "npm prune failed".to_owned(),
        "npm prune failed; its output stands above.\n\n\
         What to try:\n\
         - Run `npm prune --omit=dev` locally in a fresh clone.\n\
         - To keep the development dependencies: `heroku config:set NPM_CONFIG_PRODUCTION=false`."
            .to_owned(),
    )
}
