//! Another build of the program under test, for a platform to become.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use crate::{Failure, Platform};

/// Its bytes differ, and it lies elsewhere with its siblings, for as long as the platform lives.
pub fn another_build(platform: &Platform) -> Result<PathBuf, Failure> {
    let ours = crate::slipway_program()?;
    // Not a scratch folder: the platform goes on running it.
    let folder = platform.data().with_file_name(format!("build-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let program = folder.join("slipway");
    if program.exists() {
        return Ok(program);
    }
    for name in ["slipway", "slipway-shim", "slipway-init", "slipway-buildpacks", "slipway-static"] {
        fs::copy(ours.with_file_name(name), folder.join(name))?;
    }
    fs::OpenOptions::new().append(true).open(&program)?.write_all(b"another build")?;
    Ok(program)
}
