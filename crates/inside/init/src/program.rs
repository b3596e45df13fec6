//! The program an instance is there for.

use std::ffi::OsStr;
use std::io::{self, Write};

use inside_contract::{APP, Launch, Program};
use rustix::process::Pid;

const BASH: &str = "/bin/bash";

/// Sources what buildpacks and the app left to be sourced, then becomes the command, which is `$1` and never part of
/// this text. The order is Heroku's: `.profile.d/*.sh`, `.profile`, the command (Dev Center, "Profile scripts").
const SCRIPT: &str = r#"
for script in /app/.profile.d/*.sh; do if [ -r "$script" ]; then . "$script"; fi; done
unset script
if [ -r /app/.profile ]; then . /app/.profile; fi
exec /bin/bash -c "$1"
"#;

/// What a shell answers for a program that is not there.
const NOT_FOUND: i32 = 127;

/// Starts the program in a session of its own and in the app's folder.
pub(super) fn start(launch: &Launch) -> io::Result<Pid> {
    if let Some(pid) = sys::processes::plain_fork()? {
        return Ok(pid);
    }
    let error = become_it(launch).err().map(|error| error.to_string()).unwrap_or_default();
    drop(writeln!(io::stderr(), "slipway: could not start {}: {error}", path(launch)));
    sys::processes::end(NOT_FOUND)
}

fn become_it(launch: &Launch) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::chdir(APP)?;
    let arguments: Vec<&OsStr> = match &launch.program {
        Program::Shell { command } => ["bash", "-c", SCRIPT, "bash", command].map(OsStr::new).to_vec(),
        Program::Exec { argv } => argv.iter().map(OsStr::new).collect(),
    };
    let program = sys::processes::Program {
        path: OsStr::new(path(launch)),
        arguments,
        env: &launch.env,
        // The launch is closed by now.
        fds: sys::descriptors::handed_on()?,
    };
    sys::processes::exec(program)?;
    Ok(())
}

fn path(launch: &Launch) -> &str {
    match &launch.program {
        Program::Shell { .. } => BASH,
        Program::Exec { argv } => argv.first().map_or("", String::as_str),
    }
}
