//! Routes: which hosts lead to which dynos, told to every router, and what the routers answer.
//!
//! Knows the table and who has acknowledged it; knows neither why a dyno runs nor how a request is served. The
//! publisher is a reconciler: woken or by timer it reads the store, plans the table ([`plan`]), and if that differs
//! from the last one gives it a version and sends it to every router. What the routers acknowledge decides when a
//! dyno may be stopped: the publisher tells [`Departures`] up to which moment the store's content is what every live
//! router serves. The moment is noted *before* the store is read, so that a write before it stands in the table.

mod leaves;
mod plan;
mod publisher;
mod read;
mod router;
mod standing;

use loglines::LogSink;
use routes_table::{Departures, Leaf};
use store::Store;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use work::Wakers;

pub use leaves::Signer;
pub use plan::{Known, plan};

/// What the publisher is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain under which apps are `APP.DOMAIN`, such as `localhost`.
    pub domain: String,
    /// Hosts of the platform itself, without ports.
    pub platform_hosts: Vec<String>,
    /// Certificates; the first is the default.
    pub leaves: Vec<Leaf>,
    /// Signs for the hosts of apps that none of them is for.
    pub signer: Signer,
    /// The user that routers run as; besides it only root may connect.
    pub router_uid: u32,
}

/// The publisher.
#[derive(Debug)]
pub struct Routes {
    pub(crate) store: Store,
    pub(crate) wakers: Wakers,
    pub(crate) departures: Departures,
    pub(crate) sink: LogSink,
    pub(crate) config: Config,
    pub(crate) replace_router: mpsc::Sender<u32>,
}

impl Routes {
    /// A publisher. `replace_router` is sent the process id of each router that does not acknowledge within 5 s; if
    /// it is full, the id is sent again later.
    #[must_use]
    pub fn new(
        store: Store,
        wakers: Wakers,
        departures: Departures,
        sink: LogSink,
        config: Config,
        replace_router: mpsc::Sender<u32>,
    ) -> Self {
        Self { store, wakers, departures, sink, config, replace_router }
    }

    /// Publishes to the routers that connect to `listener`. Never ends.
    pub async fn run(self, listener: UnixListener) {
        publisher::publish(self, listener).await;
    }
}
