//! The shim: parent of one instance.
//!
//! Knows its job and its children; no other instance, no image, no network beyond handing its namespace to the
//! engine. Single-threaded, small, and always reading the instance's output, whoever else lives or dies; only the
//! output of an attached session waits for whom it is meant for.

mod buffer;
mod confine;
mod exec;
mod ids;
mod lines;
mod memory;
mod output;
mod root;
mod session;
mod start;
mod streams;
mod supervise;
mod terminal;
mod tree;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use shim::{FromShim, Job, packets};

/// Why an instance could not be started or watched.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error("the engine went away before the instance was started")]
    EngineAway,
    #[error("{0}")]
    Inside(String),
}

/// Says what was being done when a call failed.
trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|error| Error::Io { doing: what.into(), source: error.into() })
    }
}

fn main() {
    let Ok(engine) = sys::descriptors::inherited(0) else { sys::processes::end(2) };
    if let Err(error) = run(&engine) {
        // If the engine is gone too, the missing exit file tells the next one.
        drop(packets::send(engine.as_fd(), &FromShim::Failed(error.to_string()), &[]));
        sys::processes::end(1);
    }
}

fn run(engine: &OwnedFd) -> Result<(), Error> {
    // Out of the engine's session, so that what ends it does not end us. Fails if we lead one already, which is fine.
    rustix::process::setsid().ok();
    let Some((job, fds)) = packets::receive::<Job>(engine.as_fd()).doing("read the job")? else {
        return Err(Error::EngineAway);
    };
    let instance = start::start(&job, fds, engine)?;
    supervise::until_it_ends(&job, instance, engine)
}
