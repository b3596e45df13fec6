//! The router: all public sockets of the platform.
//!
//! Knows HTTP/1.1, TLS, the route table and Heroku's rules for what becomes of a request. Does not know why a dyno is in
//! the table (`rooms/routes`), where log lines go (`rooms/logs`), or anything of the store. It serves without control.
//!
//! # The path of a request
//!
//! ```text
//!  client
//!    │ accept        worker       one thread per core; a request never leaves it, so it needs no lock
//!    │ first byte    connection   0x16 is TLS, a letter is HTTP, all else is closed
//!    │ handshake     tls          certificate by name from the table in use
//!    │ protocol      connect      a `slipway connect` carries a connection: once more from the first byte
//!    │ first line    rendezvous   a secret is no request: control hands over the streams of a program (session)
//!    │ head          scan, head   read by us, strictly: what has two readings gets 400 before anybody acts on it
//!    │ body length   framing      one length or none; `chunked` takes chunks apart
//!    ▼
//!  Host ─── routes ──┬─ platform host ─▶ platform ──▶ control's socket     no codes, no lines, waits for a restart
//!                    ├─ nobody's ──────▶ 404 page
//!                    └─ app ───────────▶ app
//!                                         │ outcome::route   maintenance, crashed, booting (waits) …
//!                                         │ choice           a random dyno that is not quarantined
//!                                         │ load             counted in, unless it just left the table
//!                                         │ upstream         a kept connection, or a new one in 5 s
//!                                         │ forward          the head is written anew; nothing is passed on as bytes
//!                   upload ──── pipe ───▶ │                  the body flows when the dyno asks for it
//!                                         ▼
//!                                        dyno
//!                                         │ outcome::judge   try again, answer with a page, or cut
//!    ◀──────────── answer ────────────────┘                  framed anew for this client
//!    trace ─▶ lines ─▶ link ─▶ control                       one line in the app's log
//! ```
//!
//! Why in this order: a request is understood before it is routed, so that routing never sees two hosts; it is counted
//! in before it is sent, so that no dyno is stopped under it; and it is judged in one place without sockets, so that
//! Heroku's rules can be read, and tested, as a table.
//!
//! Towards clients the head and framing reader is ours because hyper drops `Content-Length` beside `Transfer-Encoding`,
//! so that no layer above it could refuse the pair. Towards dynos it is hyper.

mod answer;
mod app;
mod certificates;
mod choice;
mod chunked;
mod codes;
mod config;
mod connect;
mod connection;
mod forward;
mod framing;
mod head;
mod host;
mod limits;
mod lines;
mod link;
mod load;
mod outcome;
mod pages;
mod pipe;
mod platform;
mod rendezvous;
mod routes;
mod scan;
mod session;
mod stand_in;
mod stream;
mod tls;
mod trace;
mod tunnel;
mod upload;
mod upstream;
mod worker;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use tokio::sync::watch;

pub use config::{Config, Phase, Timeouts};
pub use connect::PROTOCOL as CONNECT_PROTOCOL;

/// Why a router cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A socket or thread could not be made ready.
    #[error("cannot make the router's sockets and threads ready")]
    Ready(#[source] std::io::Error),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// A worker ended by a fault of ours.
    #[error("a router's worker ended unasked")]
    Worker,
}

/// Runs a router until `phase` says otherwise (or its sender is dropped), then finishes what it has.
///
/// Blocks the calling thread and starts one for each worker; makes runtimes of its own. Serves from the kept table at
/// once, if there is one, and follows control whenever it can be reached.
pub fn run(config: Config, phase: watch::Receiver<Phase>) -> Result<(), Error> {
    let current = Arc::new(routes::Current::new());
    link::restore(&current, &config.table_file);
    let (outbox, batches) = lines::queue();
    let retiring = phase.clone();
    let plan = worker::Plan {
        tls: tls::config(Arc::clone(&current))?,
        current: Arc::clone(&current),
        platform_socket: config.platform_socket,
        rendezvous_socket: config.rendezvous_socket,
        timeouts: config.timeouts,
        outbox,
        phase,
        connections: Arc::default(),
        max_connections: config.max_connections,
        carried: connect::Places::new(config.max_connections),
    };
    let link = link::Link { socket: config.routes_socket, file: config.table_file, current, batches };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Ready)?;
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for number in 0..config.workers.max(1) {
            let (plan, listeners) = (plan.clone(), share(&config.listeners)?);
            let named = thread::Builder::new().name(format!("worker-{number}"));
            workers.push(named.spawn_scoped(scope, move || worker::run(plan, listeners)).map_err(Error::Ready)?);
        }
        drop(plan); // The queue of lines ends with the last worker.
        runtime.block_on(async {
            let following = link.run();
            tokio::pin!(following);
            tokio::select! {
                () = &mut following => return,
                () = leave(config.listeners, retiring) => {}
            }
            following.await;
        });
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| Error::Worker)?.map_err(Error::Ready))
    })
}

/// Keeps the sockets at the numbers the supervisor knows them by, for the next one to take them back from a router that
/// serves. Who retires or ends leaves them to others.
async fn leave(listeners: Vec<TcpListener>, mut phase: watch::Receiver<Phase>) {
    // A phase nobody tells any more is the end, too.
    drop(phase.wait_for(|phase| *phase != Phase::Serving).await);
    drop(listeners);
}

/// The same sockets once more: every worker accepts from all of them.
fn share(listeners: &[TcpListener]) -> Result<Vec<TcpListener>, Error> {
    let shared = listeners.iter().map(|listener| {
        listener.set_nonblocking(true)?;
        listener.try_clone()
    });
    shared.collect::<Result<_, _>>().map_err(Error::Ready)
}
