//! `slipway stack remove`: an imported stack that nobody depends on goes.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use vocabulary::Stack;

use super::installed;
use crate::printer;
use crate::settings::{Mistakes, Place};

/// What to remove.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The stack's name
    name: String,
    #[command(flatten)]
    place: Place,
}

/// Why it stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Settings(#[from] Mistakes),
    #[error("could not remove {0}: no stack of this name was imported; see `slipway stack list`")]
    Missing(String),
    #[error(
        "could not remove {0}, which these apps depend on: {1}; choose another stack for each (heroku stack:set) and \
         push; a release to go back to counts until it expires"
    )]
    InUse(Stack, String),
    #[error(transparent)]
    Usage(#[from] installed::Error),
    #[error("could not remove {0}")]
    Folder(PathBuf, #[source] io::Error),
}

/// Runs the command.
pub(super) fn run(remove: &Remove) -> Result<(), Error> {
    let record = installed::Record::of(remove.place.settle()?);
    let data = &record.data;
    let missing = || Error::Missing(remove.name.clone());
    let stack: Stack = remove.name.parse().map_err(|_| missing())?;
    let folder = data.join("stacks").join(stack.name());
    if !folder.join("manifest.json").exists() {
        return Err(missing());
    }
    let apps = installed::used(&record, stack)?.apps;
    if !apps.is_empty() {
        return Err(Error::InUse(stack, installed::told(&apps)));
    }
    // First out of sight, then away: half a stack is never found.
    let hidden = data.join("stacks").join(format!(".import-{}-removed", std::process::id()));
    fs::rename(&folder, &hidden).map_err(|error| Error::Folder(folder, error))?;
    fs::remove_dir_all(&hidden).map_err(|error| Error::Folder(hidden, error))?;
    installed::forget_caches(&record, stack)?;
    printer::say(format!("Stack {stack}: removed"));
    if let Some(image) = stack.stand_in() {
        printer::say(format!("{image} provides {stack} again"));
    }
    Ok(())
}
