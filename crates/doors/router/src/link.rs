//! The link to control: tables come in, acknowledgements and log lines go out.
//!
//! ```text
//! connect ─▶ Hello ─▶ ┌ Publish ─▶ unseal, check, swap, persist ─▶ Acknowledge (or Refuse)
//!    ▲                ├ a dyno that left has no requests any more ─▶ Drained
//!    └─ 100 ms ◀──────┴ a batch of lines ─▶ Lines (and Dropped)
//! ```
//!
//! It has a thread of its own, so that a large table or a slow disk never holds up a request. While control is away the
//! router serves from the table it has.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crashpoints::Point;
use loglines::LogLine;
use routes_table::{FromRouter, Table, ToRouter, VERSION};
use tokio::time::{sleep, timeout};
use wire::Connection;

use crate::lines::Batches;
use crate::routes::Current;

/// How long to wait before control is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long control may take to read a message: it reads them as they come.
const SEND: Duration = Duration::from_secs(10);
/// The largest table in bytes of JSON.
const TABLE: u64 = 64 * 1024 * 1024;

/// The link's end on our side.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where control listens.
    pub(crate) socket: PathBuf,
    /// Where the last table is kept.
    pub(crate) file: PathBuf,
    /// The table in use.
    pub(crate) current: Arc<Current>,
    /// The workers' log lines; their queue ends with the last worker, and the link with it.
    pub(crate) batches: Batches,
}

/// Why a connection to control ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("control closed the link")]
    Closed,
    #[error("control did not read a message in time")]
    Slow,
    #[error("the link to control broke")]
    Wire(#[from] wire::Error),
}

/// The workers ended, so there is nothing more to say.
struct Over;

impl Link {
    /// Keeps the link up until the workers end.
    pub(crate) async fn run(mut self) {
        loop {
            if let Ok(connection) = Connection::connect(&self.socket).await {
                match self.talk(connection).await {
                    Ok(Over) => return,
                    Err(ended) => tracing::info!(%ended, "trying to reach control again"),
                }
            }
            if self.batches.queue.is_closed() {
                return; // The lines that are left have no reader.
            }
            sleep(PAUSE).await;
        }
    }

    async fn talk(&mut self, mut link: Connection) -> Result<Over, Ended> {
        let hello = FromRouter::Hello { version: VERSION, pid: std::process::id(), table: self.current.version() };
        send(&mut link, &hello).await?;
        loop {
            let current = Arc::clone(&self.current);
            let message = tokio::select! {
                published = link.receiver.receive::<ToRouter>() => match published? {
                    Some((ToRouter::Publish { version }, fds)) => self.take(version, fds).await,
                    None => return Err(Ended::Closed),
                },
                dynos = current.drained() => {
                    for dyno in dynos {
                        send(&mut link, &FromRouter::Drained { dyno }).await?;
                    }
                    continue;
                }
                batch = self.batches.queue.recv() => match batch {
                    Some(lines) => { self.report(&mut link, lines).await?; continue }
                    None => return Ok(Over),
                },
            };
            send(&mut link, &message).await?;
        }
    }

    /// Serves from a published table, keeps it, and says so.
    async fn take(&self, version: u64, fds: Vec<OwnedFd>) -> FromRouter {
        match self.adopt(version, fds).await {
            Ok(()) => FromRouter::Acknowledge { version, in_flight: self.current.departing() },
            Err(reason) => {
                tracing::error!(version, %reason, "refused a route table");
                FromRouter::Refuse { version, reason }
            }
        }
    }

    async fn adopt(&self, version: u64, fds: Vec<OwnedFd>) -> Result<(), String> {
        let fd = fds.into_iter().next().ok_or("the table did not come with its message")?;
        let bytes = wire::unseal(fd, TABLE).map_err(|error| error.to_string())?;
        let table: Table = serde_json::from_slice(&bytes).map_err(|error| format!("the table is none: {error}"))?;
        if table.version != version {
            return Err(format!("the table's version is {}, not {version}", table.version));
        }
        self.current.serve(&table).map_err(|error| error.to_string())?;
        crashpoints::reach(Point::RouterSwapped);
        let file = self.file.clone();
        let saved = tokio::task::spawn_blocking(move || routes_table::save(&file, &table)).await;
        match saved.map_err(std::io::Error::other).flatten() {
            Ok(()) => {
                crashpoints::reach(Point::RouterKept);
                Ok(())
            }
            // Not acknowledged, so that no dyno is stopped that a restart of ours would bring back.
            Err(error) => Err(format!("the table is served but cannot be kept: {error}")),
        }
    }

    async fn report(&self, link: &mut Connection, lines: Vec<LogLine>) -> Result<(), Ended> {
        let count = lines.len() as u64;
        let sent = send(link, &FromRouter::Lines(lines)).await;
        if sent.is_err() {
            self.batches.count_dropped(count);
            return sent;
        }
        match self.batches.take_dropped() {
            0 => Ok(()),
            dropped => send(link, &FromRouter::Dropped(dropped)).await,
        }
    }
}

async fn send(link: &mut Connection, message: &FromRouter) -> Result<(), Ended> {
    Ok(timeout(SEND, link.sender.send(message, &[])).await.map_err(|_| Ended::Slow)??)
}

/// The table that was kept, if there is one that can be served.
pub(crate) fn restore(current: &Current, file: &std::path::Path) {
    match routes_table::load(file) {
        Ok(Some(table)) => match current.serve(&table) {
            Ok(()) => tracing::info!(version = table.version, "serving from the kept route table"),
            Err(error) => tracing::error!(%error, "the kept route table cannot be served"),
        },
        Ok(None) => {}
        Err(error) => tracing::error!(%error, file = %file.display(), "the kept route table cannot be read"),
    }
}
