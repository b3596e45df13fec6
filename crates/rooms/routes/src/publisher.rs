//! The reconciler: reads, plans, publishes, and tells what every router has acknowledged.

use std::sync::Arc;
use std::time::Duration;

use crashpoints::Point;
use routes_table::{Routed, Table};
use store::facts;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use wire::Connection;

use crate::leaves::Leaves;
use crate::router::{self, Published, Report};
use crate::standing::{self, Routers};
use crate::{Routes, plan, read};

/// How often the store is read though nobody woke us.
const TIMER: Duration = Duration::from_secs(5);
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long after the start a router may take to connect: one that was there before us serves a table of its own
/// until then, and nothing it may still send requests to can be called departed.
const FIRST: Duration = Duration::from_secs(3);
/// The counter of table versions.
const VERSIONS: &str = "route_table_version";
/// How many reports may wait; a connection that has more waits with them.
const REPORTS: usize = 256;
/// How many routers may be connected. There is one, and another while it is replaced.
const ROUTERS: usize = 16;

struct Publisher {
    routes: Routes,
    /// The last published table.
    table: Option<Table>,
    leaves: Leaves,
    newest: watch::Sender<Option<Arc<Published>>>,
    /// Before the last reading of the store that gave this table.
    read_at: Option<Instant>,
    routers: Routers,
    /// The latest version a router said it serves.
    floor: u64,
    began: Instant,
}

/// Publishes for ever.
pub(crate) async fn publish(routes: Routes, listener: UnixListener) {
    let woken = routes.wakers.routes.clone();
    let (reports, mut inbox) = mpsc::channel(REPORTS);
    let mut connections = JoinSet::new();
    let mut publisher = Publisher {
        routes,
        table: None,
        leaves: Leaves::default(),
        newest: watch::channel(None).0,
        read_at: None,
        routers: Routers::default(),
        floor: 0,
        began: Instant::now(),
    };
    let mut timer = interval(TIMER);
    let mut tick = interval(TICK);
    let mut number = 0;
    loop {
        tokio::select! {
            _ = timer.tick() => publisher.reconcile().await,
            // The timer is the one above, which other events do not start anew.
            () = woken.woken_or(Duration::MAX) => publisher.reconcile().await,
            accepted = listener.accept(), if connections.len() < ROUTERS => match accepted {
                Ok((stream, _)) => {
                    if let Some(connection) = publisher.greet(stream) {
                        number += 1;
                        publisher.routers.came(number);
                        let (newest, sink) = (publisher.newest.subscribe(), publisher.routes.sink.clone());
                        connections.spawn(router::serve(number, connection, newest, reports.clone(), sink));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "could not take a router's connection");
                    // Out of descriptors, most likely; the tick gives the others time.
                    tick.tick().await;
                }
            },
            Some((number, report)) = inbox.recv() => publisher.take(number, report).await,
            Some(_) = connections.join_next() => {}
            _ = tick.tick() => publisher.look_at_deadlines(),
        }
    }
}

fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

impl Publisher {
    /// A connection, if its other end is a router.
    fn greet(&self, stream: UnixStream) -> Option<Connection> {
        // One whose other end the kernel does not know is gone.
        let connection = Connection::new(stream).ok()?;
        let peer = connection.peer();
        if peer.uid == 0 || peer.uid == self.routes.config.router_uid {
            return Some(connection);
        }
        tracing::warn!(peer.uid, peer.pid, "someone who is no router wanted the route table");
        None
    }

    /// Reads, plans, and publishes what changed. The moment is noted first.
    async fn reconcile(&mut self) {
        let read_at = Instant::now();
        match self.publish_changes().await {
            Ok(()) => {
                self.read_at = Some(read_at);
                self.tell();
            }
            // The timer tries again; until then the routers serve what they have.
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "could not publish the routes"),
        }
    }

    async fn publish_changes(&mut self) -> Result<(), store::Error> {
        let mut planned = plan(&read::read(&self.routes.store).await?, &self.routes.config);
        self.leaves.complete(&mut planned, &self.routes.config.signer);
        if let Some(table) = &self.table {
            planned.version = table.version;
            if planned == *table {
                return Ok(());
            }
        }
        let mut write = self.routes.store.write().await?;
        facts::raise(&mut write, VERSIONS, self.floor).await?;
        planned.version = facts::next(&mut write, VERSIONS).await?;
        write.commit().await?;
        crashpoints::reach(Point::RoutesNumbered);
        let body = serde_json::to_vec(&planned).map_err(|_| store::Error::Corrupt("route table"))?;
        tracing::debug!(table.version = planned.version, table.apps = planned.apps.len(), "publishing routes");
        tracing::debug!(target: "timing", step = "routes published");
        self.newest.send_replace(Some(Arc::new(Published { version: planned.version, body })));
        self.table = Some(planned);
        Ok(())
    }

    async fn take(&mut self, number: u64, report: Report) {
        let now = Instant::now();
        match report {
            Report::Hello { pid, table } => {
                tracing::info!(router.pid = pid, table.version = table, "a router is here");
                self.routers.hello(number, pid, table);
                self.rise_above(table).await;
            }
            Report::Sent { version } => self.routers.sent(number, version, now),
            Report::Acknowledged { version, in_flight } => {
                tracing::debug!(target: "timing", step = "routes acknowledged");
                crashpoints::reach(Point::RoutesAcknowledged);
                self.routers.acknowledged(number, version, in_flight, now);
            }
            Report::Drained { dyno } => self.routers.drained(number, dyno),
            Report::Gone => self.routers.gone(number, now, standing::lives),
        }
        self.tell();
    }

    /// A router may serve a later version than the store remembers, as after a restore from a backup. It would refuse
    /// everything older, so the next version has to be above it.
    async fn rise_above(&mut self, served: u64) {
        // A version no store has counted to is a mistake that must not use up the versions.
        if served > self.floor && served < u64::from(u32::MAX) {
            self.floor = served;
        }
        if self.table.as_ref().is_some_and(|table| table.version < self.floor) {
            tracing::warn!(table.version = served, "a router serves a later route table than the store knows");
            self.table = None;
            self.reconcile().await;
        }
    }

    fn look_at_deadlines(&mut self) {
        let now = Instant::now();
        self.routers.forget_lost(now, standing::lives);
        for (pid, version) in self.routers.overdue(now) {
            tracing::error!(router.pid = pid, table.version = version, "a router does not acknowledge the routes");
            if self.routes.replace_router.try_send(pid).is_err() {
                tracing::error!(router.pid = pid, "nobody takes notice that a router should be replaced");
            }
        }
        self.tell();
    }

    /// Says up to which moment the store's content is what every router serves.
    fn tell(&self) {
        let (Some(read_at), Some(table)) = (self.read_at, &self.table) else { return };
        if self.routers.is_empty() && self.began.elapsed() < FIRST {
            return;
        }
        if let Some(in_flight) = self.routers.agreed(table.version) {
            self.routes.departures.tell(Routed { read_at, in_flight });
        }
    }
}
