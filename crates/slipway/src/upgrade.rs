//! `slipway upgrade`: asks the running supervisor to become another program, and tells how that goes.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::layout::Layout;
use crate::printer;
use crate::settings::{Mistakes, Place};
use crate::supervisor::{Request, SOCKET, Said};

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// The program to become, with its siblings beside it [default: this one]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Why there was no upgrade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// The program.
    #[error("cannot use {0}")]
    Program(PathBuf, #[source] io::Error),
    /// Nobody to ask.
    #[error("no running platform can be asked at {0}; is it up, and are you root?")]
    Away(PathBuf, #[source] io::Error),
    /// It stopped talking.
    #[error("the supervisor broke off; look at its log")]
    BrokenOff,
    /// It says no.
    #[error("no upgrade: {0}. The version before serves as before")]
    Failed(String),
}

/// Runs the command.
pub(crate) fn run(asked: &Asked) -> Result<(), Error> {
    let program = match &asked.binary {
        Some(path) => named(path)?,
        None => std::env::current_exe().map_err(|error| Error::Program("/proc/self/exe".into(), error))?,
    };
    let (data, _) = asked.place.settle()?;
    let away = |error| Error::Away(data.clone(), error);
    let layout = Layout::open(&data).map_err(away)?.ok_or_else(|| away(io::ErrorKind::NotFound.into()))?;
    let socket = layout.in_run(SOCKET);
    let away = |error| Error::Away(socket.clone(), error);
    let mut supervisor = UnixStream::connect(&socket).map_err(away)?;
    let mut line = serde_json::to_vec(&Request { program }).map_err(io::Error::from).map_err(away)?;
    line.push(b'\n');
    supervisor.write_all(&line).map_err(away)?;
    for line in BufReader::new(supervisor).lines() {
        match line.ok().and_then(|line| serde_json::from_str(&line).ok()) {
            Some(Said::Step(text)) => printer::say(format!("{text} …")),
            Some(Said::Done(text)) => {
                printer::say(text);
                return Ok(());
            }
            Some(Said::Failed(why)) => return Err(Error::Failed(why)),
            None => return Err(Error::BrokenOff),
        }
    }
    Err(Error::BrokenOff)
}

/// By its name the platform knows its own process.
fn named(path: &Path) -> Result<PathBuf, Error> {
    let refused = |error| Error::Program(path.to_owned(), error);
    let whole = fs::canonicalize(path).map_err(refused)?;
    if whole.file_name().is_some_and(|name| name == "slipway") {
        Ok(whole)
    } else {
        Err(refused(io::Error::other("it must be named slipway, and its siblings slipway-shim, slipway-init, …")))
    }
}
