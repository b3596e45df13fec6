//! `bin/pre_compile` and `bin/post_compile`: programs of the app that run before and after its packages are installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::failures;
use crate::builtin::Site;
use crate::environment::Environment;
use crate::error::BuildError;

/// Runs the hook if the app has it.
pub(super) fn run(site: &Site<'_>, env: &Environment, name: &'static str) -> Result<(), BuildError> {
    let program = site.build.join(name);
    if !program.is_file() {
        return Ok(());
    }
    site.out.section(&format!("Running {name} hook"));
    // Heroku makes it executable; many are committed without the bit.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .map_err(BuildError::io(format!("making {name} executable")))?;
    let mut command = Command::new(&program);
    command.env_clear().envs(env).current_dir(site.build);
    let status = site.out.stream_indented(&mut command).map_err(BuildError::io(format!("starting {name}")))?;
    if status.success() { Ok(()) } else { Err(failures::hook(name)) }
}
