//! One worker: a thread with a runtime of its own, which accepts connections and serves them to their end.
//!
//! Nothing of a request leaves its thread, so nothing of it needs a lock; what all workers share is [`crate::routes`].

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::config::{Phase, Timeouts};
use crate::connect::Places;
use crate::connection;
use crate::lines::{Lines, Outbox};
use crate::routes::Current;
use crate::upstream::{Peer, Pool};

/// How often kept connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// How long to wait when the machine has no descriptor for another connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// What all workers get, to make one each.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The table in use.
    pub(crate) current: Arc<Current>,
    /// Control's socket.
    pub(crate) platform_socket: PathBuf,
    /// Control's socket for clients with a secret.
    pub(crate) rendezvous_socket: PathBuf,
    /// How long things may take.
    pub(crate) timeouts: Timeouts,
    /// TLS towards clients.
    pub(crate) tls: Arc<ServerConfig>,
    /// Where log lines go.
    pub(crate) outbox: Outbox,
    /// What the router is asked to do.
    pub(crate) phase: watch::Receiver<Phase>,
    /// Client connections over all workers.
    pub(crate) connections: Arc<AtomicUsize>,
    /// How many there may be.
    pub(crate) max_connections: usize,
    /// Those of them that a `slipway connect` carries.
    pub(crate) carried: Places,
}

/// One worker, as its connections see it.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The table in use.
    pub(crate) current: Arc<Current>,
    /// Control's socket.
    pub(crate) platform_socket: PathBuf,
    /// Control's socket for clients with a secret.
    pub(crate) rendezvous_socket: PathBuf,
    /// How long things may take.
    pub(crate) timeouts: Timeouts,
    /// TLS towards clients.
    pub(crate) tls: Arc<ServerConfig>,
    /// Kept connections to dynos and to control.
    pub(crate) pool: Pool,
    /// Its log lines.
    pub(crate) lines: Lines,
    /// Connections that a `slipway connect` carries, over all workers.
    pub(crate) carried: Places,
    phase: RefCell<watch::Receiver<Phase>>,
    random: Cell<u64>,
    live: Cell<usize>,
    idle: Notify,
}

impl Worker {
    fn new(plan: Plan) -> Self {
        Self {
            current: plan.current,
            platform_socket: plan.platform_socket,
            rendezvous_socket: plan.rendezvous_socket,
            timeouts: plan.timeouts,
            tls: plan.tls,
            pool: Pool::default(),
            lines: Lines::new(plan.outbox),
            carried: plan.carried,
            phase: RefCell::new(plan.phase),
            random: Cell::new(RandomState::new().hash_one(0) | 1),
            live: Cell::new(0),
            idle: Notify::new(),
        }
    }

    /// A number nobody can guess well enough to matter: xorshift64*, seeded by the system.
    pub(crate) fn random(&self) -> u64 {
        let mut number = self.random.get();
        number ^= number >> 12;
        number ^= number << 25;
        number ^= number >> 27;
        self.random.set(number);
        number.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Whether the router retires or shuts down, so that each answer is its connection's last.
    pub(crate) fn is_closing(&self) -> bool {
        *self.phase.borrow().borrow() != Phase::Serving
    }

    /// Comes back when the router shuts down.
    pub(crate) async fn closing(&self) {
        self.phase_where(|phase| phase == Phase::Closing).await;
    }

    /// Comes back when the router retires or shuts down.
    async fn leaving(&self) {
        self.phase_where(|phase| phase != Phase::Serving).await;
    }

    async fn phase_where(&self, is: impl Fn(Phase) -> bool) {
        let mut phase = self.phase.borrow().clone();
        // Nobody left to ask for a shutdown is as good as one.
        _ = phase.wait_for(|phase| is(*phase)).await;
    }

    async fn sweep(&self) {
        let mut changes = self.current.changes();
        loop {
            // A dyno that left should see its connections closed at once: some wait for that before they end.
            _ = timeout(SWEEP, changes.changed()).await;
            changes.borrow_and_update();
            let routes = self.current.routes();
            self.pool.sweep(self.timeouts.kept, |peer| match peer {
                Peer::Control => true,
                Peer::Dyno(dyno) => routes.has_dyno(dyno),
            });
        }
    }
}

/// Runs a worker until the shutdown, and its requests to their end or the end of the time they get.
pub(crate) fn run(plan: Plan, listeners: Vec<TcpListener>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let (connections, max) = (Arc::clone(&plan.connections), plan.max_connections);
        let worker = Rc::new(Worker::new(plan));
        let sweeper = Rc::clone(&worker);
        let sweeper = tokio::task::spawn_local(async move { sweeper.sweep().await });
        let mut acceptors = Vec::new();
        for listener in listeners {
            let door = Door { worker: Rc::clone(&worker), connections: Arc::clone(&connections), max };
            let listener = tokio::net::TcpListener::from_std(listener)?;
            acceptors.push(tokio::task::spawn_local(door.accept(listener)));
        }
        for acceptor in acceptors {
            _ = acceptor.await;
        }
        drain(&worker).await;
        sweeper.abort();
        worker.lines.flush();
        Ok(())
    })
}

/// Waits for requests under way, and in retirement for all that it has; what is left then, WebSockets above all, is cut.
async fn drain(worker: &Worker) {
    let none = || async {
        while worker.live.get() > 0 {
            worker.idle.notified().await;
        }
    };
    tokio::select! {
        () = none() => return,
        () = worker.closing() => {}
        () = sleep(worker.timeouts.retirement) => {}
    }
    if timeout(worker.timeouts.shutdown, none()).await.is_err() {
        tracing::info!(connections = worker.live.get(), "cut the connections that did not end in time");
    }
}

/// A listening socket of a worker.
struct Door {
    worker: Rc<Worker>,
    connections: Arc<AtomicUsize>,
    max: usize,
}

impl Door {
    async fn accept(self, listener: tokio::net::TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.worker.leaving() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => self.admit(socket),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(NO_DESCRIPTOR).await;
                }
            }
        }
    }

    /// Serves a connection. A little above the limit it is served with H22, far above it it is closed.
    fn admit(&self, socket: TcpStream) {
        let place = Place::take(&self.worker, &self.connections);
        if place.number > self.max + self.max / 10 + 1 {
            return;
        }
        let is_surplus = place.number > self.max;
        let worker = Rc::clone(&self.worker);
        tokio::task::spawn_local(async move {
            connection::serve(worker, socket, is_surplus).await;
            drop(place);
        });
    }
}

/// A connection among all; dropping it frees its place.
struct Place {
    worker: Rc<Worker>,
    connections: Arc<AtomicUsize>,
    /// How many there were with this one.
    number: usize,
}

impl Place {
    fn take(worker: &Rc<Worker>, connections: &Arc<AtomicUsize>) -> Self {
        worker.live.set(worker.live.get() + 1);
        let number = connections.fetch_add(1, Relaxed) + 1;
        Self { worker: Rc::clone(worker), connections: Arc::clone(connections), number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Relaxed);
        self.worker.live.set(self.worker.live.get() - 1);
        self.worker.idle.notify_one();
    }
}
