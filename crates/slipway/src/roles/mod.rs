//! The roles: each is this binary with a subcommand, started by the supervisor.
//!
//! What all of them do first: take the descriptors the supervisor left (named in `LISTEN_FDNAMES`), read the settings'
//! file, begin to log. A role says on `ready` that it serves, and ends when `lifeline` ends.

mod control;
mod engine;
mod router;
mod stop;

pub(crate) use engine::{ID_RANGE, instance_network};

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use tracing_subscriber::EnvFilter;

use crate::layout::Layout;
use crate::settings::Settings;
use crate::supervisor::FIRST_FD;

/// Why a role could not serve.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub(crate) struct Error {
    doing: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Gives a cause the sentence it belongs to.
pub(crate) fn doing<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &str) -> impl FnOnce(E) -> Error {
    let doing = format!("could not {what}");
    move |error| Error { doing, source: error.into() }
}

/// What the supervisor left for a role.
pub(crate) struct Inheritance {
    fds: HashMap<String, OwnedFd>,
    /// The names of the sockets in the order of their descriptors.
    pub(crate) names: Vec<String>,
}

impl Inheritance {
    /// Takes the descriptors; must be the first thing the process does.
    pub(crate) fn take() -> Self {
        #[expect(clippy::disallowed_methods, reason = "LISTEN_FDNAMES is no setting but part of the inheritance")]
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        // A listen address has colons of its own, which systemd's convention separates by: see `split_names`.
        let names = split_names(&names);
        let fds = (FIRST_FD..)
            .zip(&names)
            .filter_map(|(number, name)| Some((name.clone(), sys::descriptors::inherited(number).ok()?)));
        Self { fds: fds.collect(), names }
    }

    /// One descriptor by its name.
    pub(crate) fn fd(&mut self, name: &str) -> Result<OwnedFd, Error> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no descriptor named {name}"));
        self.fds.remove(name).ok_or_else(missing).map_err(doing("find what the supervisor left"))
    }

    /// Says that the role serves. After a restart nobody waits for it any more, which is no error.
    pub(crate) fn ready(&mut self) -> Result<(), Error> {
        let mut pipe = io::PipeWriter::from(self.fd("ready")?);
        match pipe.write_all(b"1") {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(doing("say that the role is ready")(error)),
            _ => Ok(()),
        }
    }

    /// Ends this process when the supervisor ends.
    pub(crate) fn follow_supervisor(&mut self) -> Result<(), Error> {
        let mut pipe = io::PipeReader::from(self.fd("lifeline")?);
        std::thread::Builder::new()
            .name("lifeline".to_owned())
            .spawn(move || {
                // Nothing is ever written: the read ends when the last writer, the supervisor, is gone.
                drop(pipe.read(&mut [0]));
                std::process::exit(0);
            })
            .map(drop)
            .map_err(doing("watch the supervisor"))
    }
}

/// Names are separated by `|`: our own form of LISTEN_FDNAMES, as addresses hold colons.
fn split_names(names: &str) -> Vec<String> {
    names.split('|').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Runs a role by its name.
pub(crate) fn run(name: &str) -> Result<(), Error> {
    let mut inheritance = Inheritance::take();
    let settings = File::from(inheritance.fd("settings")?);
    let settings: Settings =
        serde_json::from_reader(BufReader::new(settings)).map_err(doing("understand the supervisor's settings"))?;
    log_to_stderr(&settings.log);
    settings.watch_crash_points();
    let layout = Layout::open(&settings.data).map_err(doing("read the data folder"))?;
    let layout =
        layout.ok_or_else(|| io::Error::other("it has no install id")).map_err(doing("use the data folder"))?;
    match name {
        "engine" => engine::run(inheritance, &settings, &layout),
        "control" => control::run(inheritance, &settings, &layout),
        "router" => router::run(inheritance, &layout),
        _ => Err(io::Error::other(format!("no role {name}"))).map_err(doing("start")),
    }
}

/// Logs of the platform about itself: standard error, one line an event.
pub(crate) fn log_to_stderr(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // Only tests begin twice in one process; the first subscriber stays.
    drop(subscriber.try_init());
}

/// Tells systemd, if it started us (sd_notify(3)).
pub(crate) fn tell_systemd(state: &str) {
    if let (Some(path), Ok(socket)) = (crate::settings::notify_socket(), UnixDatagram::unbound()) {
        // systemd that does not listen is no reason to stop.
        drop(socket.send_to(state.as_bytes(), path));
    }
}
