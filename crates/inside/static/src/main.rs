//! A small file server for sites without code: one process, one thread per connection, HTTP/1.1.
//!
//! It knows `static.json` and the files below its root. It does not know TLS, virtual hosts or logs: the platform's
//! router stands in front of it, and it is quiet but for errors at its start. Files are only ever opened relative to
//! the root by the kernel's own rule (`openat2`, `RESOLVE_BENEATH`), so no path can lead outside.

mod config;
mod connection;
mod content_type;
mod etag;
mod head;
mod reply;
mod server;
mod site;
mod target;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use config::Config;
use server::Server;
use site::Site;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("PORT must be set to the port to listen on")]
    Port,
    #[error(transparent)]
    Config(#[from] config::InvalidConfig),
    #[error("opening the root folder {0:?}: {1}")]
    Root(String, std::io::Error),
    #[error("listening on port {0}: {1}")]
    Listen(u16, std::io::Error),
    #[error("waiting for signals: {0}")]
    Signals(std::io::Error),
}

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "static: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM, and then until the requests in flight are answered.
fn serve() -> Result<(), StartError> {
    let port = port()?;
    // Before anything listens: a SIGTERM from here on is heard.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(StartError::Signals)?;
    let config = Config::read(Path::new("."))?;
    let root = config.root.clone();
    let site = Site::open(Path::new("."), config).map_err(|error| StartError::Root(root, error))?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map_err(|error| StartError::Listen(port, error))?;
    let server = Server::start(listener, site).map_err(|error| StartError::Listen(port, error))?;
    signals.forever().next();
    server.finish();
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "PORT is the contract between a dyno and its process; there are no settings here"
)]
fn port() -> Result<u16, StartError> {
    std::env::var("PORT").ok().and_then(|text| text.parse().ok()).ok_or(StartError::Port)
}
