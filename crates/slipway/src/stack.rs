//! Stack images, made where they are missing.

use std::path::{Path, PathBuf};

use local::stack::StackBuild;

use crate::layout::Layout;
use crate::printer;
use crate::settings::Settings;

/// Builds the stack images that are missing or outdated, with progress.
pub(crate) fn ensure(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    todo!()
}
