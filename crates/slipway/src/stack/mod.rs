//! `slipway stack`: what dynos and builds run on, made here from packages or imported.

mod import;
mod installed;
mod pulled;
mod reference;
mod registry;
mod remove;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use local::stack::StackBuild;

use crate::printer;
use crate::settings::Settings;

/// The stack that is made here.
const NAME: &str = vocabulary::Stack::OWN_IMAGE;
/// Debian's name of that version.
const SUITE: &str = "trixie";
/// The recipe, carried in the program, so that it needs no folder beside it.
const RECIPE: [(&str, &str); 4] = [
    ("run.txt", include_str!("../../../../stacks/debian-13/run.txt")),
    ("build.txt", include_str!("../../../../stacks/debian-13/build.txt")),
    ("customize.sh", include_str!("../../../../stacks/debian-13/customize.sh")),
    ("install-build.sh", include_str!("../../../../stacks/debian-13/install-build.sh")),
];

/// What can be done to stacks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StackCommand {
    /// Build the stack images from Debian packages (minutes; cached), if they are missing or outdated
    Build(Box<crate::settings::Written>),
    /// List the stacks, what provides each, and the apps that depend on it
    List(installed::List),
    /// Make a stack of an image from a registry, of an OCI layout, or of what `docker save` wrote
    #[command(after_help = import::TAUGHT)]
    Import(Box<import::Import>),
    /// Remove an imported stack that no app depends on
    Remove(remove::Remove),
}

/// Runs the command.
pub(crate) fn run(command: StackCommand) -> std::process::ExitCode {
    match command {
        StackCommand::Build(written) => crate::settled(*written, |settings| crate::told(ensure(settings))),
        StackCommand::List(list) => crate::told(installed::run(&list)),
        StackCommand::Import(asked) => import::run(&asked),
        StackCommand::Remove(remove) => crate::told(remove::run(&remove)),
    }
}

/// Why there is no stack.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The recipe could not be laid out.
    #[error("could not lay out the stack's recipe at {0}")]
    Recipe(PathBuf, #[source] io::Error),
    /// The images could not be built.
    #[error("could not build the stack {NAME}")]
    Build(#[from] local::stack::Error),
}

/// Builds the stack images that are missing or outdated, with progress.
pub(crate) fn ensure(settings: &Settings) -> Result<(), Error> {
    let cache = settings.cache.join("stacks");
    let lists = cache.join("recipes").join(NAME);
    lay_out(&lists).map_err(|error| Error::Recipe(lists.clone(), error))?;
    let plan = StackBuild {
        name: NAME.to_owned(),
        lists,
        cache,
        output: settings.data.join("stacks"),
        suite: SUITE.to_owned(),
        mirror: None,
        ca_bundle: settings.ca_bundle.clone(),
    };
    Ok(local::stack::build(&plan, &mut |line| printer::say(line))?)
}

fn lay_out(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in RECIPE {
        let path = folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
