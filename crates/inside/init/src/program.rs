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

/// The same for a command whose status is to be told: it has a shell of its own, so that `exit 3` ends that one. What
/// interrupts the command must not end this one, or nobody would tell.
const SCRIPT_WITH_STATUS: &str = r#"
for script in /app/.profile.d/*.sh; do if [ -r "$script" ]; then . "$script"; fi; done
unset script
if [ -r /app/.profile ]; then . /app/.profile; fi
trap : INT QUIT TERM
/bin/bash -c "$1"
set -- "$?"
printf '\357\277\277 heroku-command-exit-status: %s\n' "$1"
exit "$1"
"#;

/// What a shell answers for a program that is not there.
const NOT_FOUND: i32 = 127;

/// Starts the program in a session of its own and in the app's folder.
pub(super) fn start(launch: &Launch) -> io::Result<Pid> {
    match sys::processes::plain_fork()? {
        Some(pid) => Ok(pid),
        None => become_program(launch),
    }
}

/// Becomes the program, in a session of its own and in the app's folder.
pub(super) fn become_program(launch: &Launch) -> ! {
    let error = become_it(launch).err().map(|error| error.to_string()).unwrap_or_default();
    drop(writeln!(io::stderr(), "slipway: could not start {}: {error}", path(launch)));
    sys::processes::end(NOT_FOUND)
}

fn become_it(launch: &Launch) -> io::Result<()> {
    rustix::process::setsid()?;
    take_terminal()?;
    rustix::process::chdir(APP)?;
    let arguments: Vec<&OsStr> = match &launch.program {
        Program::Shell { command } => ["bash", "-c", SCRIPT, "bash", command].map(OsStr::new).to_vec(),
        Program::ShellWithStatus { command } => {
            ["bash", "-c", SCRIPT_WITH_STATUS, "bash", command].map(OsStr::new).to_vec()
        }
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

/// A terminal as standard input is this session's: its Ctrl-C is meant for the program, and its end hangs up.
fn take_terminal() -> io::Result<()> {
    let stdin = rustix::stdio::stdin();
    if rustix::termios::isatty(stdin) {
        rustix::process::ioctl_tiocsctty(stdin)?;
    }
    Ok(())
}

fn path(launch: &Launch) -> &str {
    match &launch.program {
        Program::Shell { .. } | Program::ShellWithStatus { .. } => BASH,
        Program::Exec { argv } => argv.first().map_or("", String::as_str),
    }
}
