//! The connection of one router.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use loglines::LogSink;
use routes_table::{FromRouter, InFlight, ToRouter, VERSION};
use tokio::sync::{mpsc, watch};
use vocabulary::DynoId;
use wire::{Connection, Peer, Receiver};

/// How long a router may take to say hello.
const HELLO: Duration = Duration::from_secs(5);

/// A table as it is sent.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) version: u64,
    /// JSON of the table.
    pub(crate) body: Vec<u8>,
}

/// The newest table, none before the first.
pub(crate) type Newest = watch::Receiver<Option<Arc<Published>>>;

/// What the publisher is told of a connection.
#[derive(Debug)]
pub(crate) enum Report {
    /// It has introduced itself; it serves the table of this version.
    Hello { pid: u32, table: u64 },
    /// A table was sent.
    Sent { version: u64 },
    /// A table is served.
    Acknowledged { version: u64, in_flight: Vec<InFlight> },
    /// A dyno that left the table has no requests any more.
    Drained { dyno: DynoId },
    /// The connection ended.
    Gone,
}

/// Why a connection ended, other than by the router's end.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the router did not say hello within {HELLO:?}")]
    Silent,
    #[error("the router said something else before hello")]
    Rude,
    #[error("the router speaks version {0}, we speak {VERSION}")]
    Version(u32),
    #[error("could not make the memory a table travels in")]
    Memory(#[source] std::io::Error),
    #[error(transparent)]
    Wire(#[from] wire::Error),
    #[error("the publisher has ended")]
    Publisher,
}

impl<T> From<mpsc::error::SendError<T>> for Ended {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self::Publisher
    }
}

/// Serves a connection to its end. Every report carries `number`, and the last is [`Report::Gone`].
pub(crate) async fn serve(
    number: u64,
    connection: Connection,
    newest: Newest,
    reports: mpsc::Sender<(u64, Report)>,
    sink: LogSink,
) {
    match talk(number, connection, newest, &reports, &sink).await {
        Ok(()) => tracing::debug!(router.connection = number, "a router has closed its connection"),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, router.connection = number, "the connection of a router ended");
        }
    }
    // If the publisher has ended, nobody wants to know.
    drop(reports.send((number, Report::Gone)).await);
}

async fn talk(
    number: u64,
    connection: Connection,
    mut newest: Newest,
    reports: &mpsc::Sender<(u64, Report)>,
    sink: &LogSink,
) -> Result<(), Ended> {
    let peer = connection.peer();
    let Connection { mut sender, mut receiver, .. } = connection;
    let Some((pid, mut served)) = hello(&mut receiver, peer).await? else { return Ok(()) };
    reports.send((number, Report::Hello { pid, table: served })).await?;
    // The router's own table need not be sent to it; a watch's first value counts as new.
    newest.mark_changed();
    loop {
        tokio::select! {
            changed = newest.changed() => {
                changed.map_err(|_| Ended::Publisher)?;
                let Some(published) = newest.borrow_and_update().clone() else { continue };
                if published.version == served {
                    continue;
                }
                served = published.version;
                reports.send((number, Report::Sent { version: served })).await?;
                let memory = wire::seal(&published.body).map_err(Ended::Memory)?;
                sender.send(&ToRouter::Publish { version: served }, &[memory.as_fd()]).await?;
            }
            frame = receiver.receive::<FromRouter>() => match frame? {
                None => return Ok(()),
                Some((message, _)) => take(number, message, reports, sink).await?,
            },
        }
    }
}

/// A router's process id and the version of the table it serves; nothing if it left at once.
async fn hello(receiver: &mut Receiver, peer: Peer) -> Result<Option<(u32, u64)>, Ended> {
    let hello = tokio::time::timeout(HELLO, receiver.receive::<FromRouter>()).await;
    match hello.map_err(|_| Ended::Silent)?? {
        None => Ok(None),
        Some((FromRouter::Hello { version: VERSION, pid, table }, _)) => Ok(Some((spoken_for(peer, pid), table))),
        Some((FromRouter::Hello { version, .. }, _)) => Err(Ended::Version(version)),
        Some(_) => Err(Ended::Rude),
    }
}

/// Whose process a hello is about: the peer's, as the kernel saw it. What a router says of itself may be wrong, and the
/// process is ended when it does not acknowledge. Root may speak for another, as it could end any anyway.
fn spoken_for(peer: Peer, claimed: u32) -> u32 {
    if peer.uid == 0 { claimed } else { u32::try_from(peer.pid).unwrap_or(0) }
}

async fn take(
    number: u64,
    message: FromRouter,
    reports: &mpsc::Sender<(u64, Report)>,
    sink: &LogSink,
) -> Result<(), Ended> {
    match message {
        FromRouter::Hello { .. } => return Err(Ended::Rude),
        FromRouter::Acknowledge { version, in_flight } => {
            reports.send((number, Report::Acknowledged { version, in_flight })).await?;
        }
        FromRouter::Refuse { version, reason } => {
            tracing::error!(table.version = version, reason, "a router refuses the route table");
        }
        FromRouter::Drained { dyno } => reports.send((number, Report::Drained { dyno })).await?,
        FromRouter::Lines(lines) => lines.into_iter().for_each(|line| sink.send(line)),
        FromRouter::Dropped(lines) => sink.count_dropped(lines),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_cannot_name_another_process_as_its_own() {
        let router = Peer { pid: 100, uid: 990, gid: 990 };
        assert_eq!(spoken_for(router, 1), 100);
        assert_eq!(spoken_for(Peer { uid: 0, ..router }, 1), 1);
    }
}
