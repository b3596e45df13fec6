//! Keeps the router running: starts one again when it ends, and replaces one that control complains about.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::process;
use super::role::{FIRST_FD, Restarts, Role, ready};
use super::router_process::{self, RouterProcess};

/// Between two tries to watch a router.
const BLIND: Duration = Duration::from_secs(1);

/// Whoever may have it stand still.
#[derive(Debug)]
pub(super) struct Routing {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    /// Start and end nothing any more; say when that is so.
    Still(oneshot::Sender<()>),
    /// Go on.
    Resume,
}

/// The router as it is to be, and the places of what it is made from.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) role: Role,
    /// Where the one that runs is written down.
    pub(super) file: PathBuf,
    pub(super) settings: PathBuf,
}

impl Routing {
    /// Keeps a router that runs; `replace` names the processes that control complains about.
    pub(super) fn start(router: Router, running: OwnedFd, replace: mpsc::Receiver<u32>) -> Self {
        let (orders, received) = mpsc::channel(1);
        let (restarts, due) = (Restarts::new(), Instant::now());
        let kept = Kept { router, running: Some(running), replace, restarts, due, is_still: false };
        tokio::spawn(kept.keep(received));
        Self { orders }
    }

    /// Starts and ends no router until [`Routing::resume`]; what was being started is up when this comes back.
    pub(super) async fn still(&self) -> io::Result<()> {
        let nobody = || io::Error::other("nobody keeps the router");
        let (done, told) = oneshot::channel();
        self.orders.send(Order::Still(done)).await.map_err(|_| nobody())?;
        told.await.map_err(|_| nobody())
    }

    /// Goes on behind [`Routing::still`].
    pub(super) async fn resume(&self) {
        // Without anybody who keeps it there is nothing to go on with.
        _ = self.orders.send(Order::Resume).await;
    }
}

impl Router {
    /// Starts one and writes it down once it serves.
    pub(super) async fn spawn(&self) -> io::Result<OwnedFd> {
        let (process, mut pipe) = self.role.spawn(&self.settings)?;
        if let Err(error) = ready(self.role.name, &mut pipe).await {
            // Nobody would find it any more.
            process.end().await?;
            return Err(error);
        }
        let numbers = (FIRST_FD..).zip(&self.role.sockets);
        let listeners = numbers.filter_map(|(number, (name, _))| Some((name.parse().ok()?, number))).collect();
        RouterProcess::record(&self.file, process.pid, listeners)?;
        let (_, handle) = RouterProcess::find(&self.file)?.ok_or_else(|| io::Error::other("it ended at once"))?;
        // Its exit status is collected when it ends, also if another one took its place before.
        tokio::spawn(async move { process.ended().await });
        Ok(handle)
    }
}

struct Kept {
    router: Router,
    running: Option<OwnedFd>,
    replace: mpsc::Receiver<u32>,
    restarts: Restarts,
    /// When one is started if none runs.
    due: Instant,
    is_still: bool,
}

/// What is to be done.
enum Next {
    /// The one that ran has ended.
    Ended(io::Result<String>),
    /// It is time for another.
    Due,
}

impl Kept {
    async fn keep(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let is_awake = !self.is_still;
            let next = next(self.running.as_ref(), self.due);
            tokio::select! {
                next = next, if is_awake => self.go_on(next).await,
                Some(pid) = self.replace.recv(), if is_awake => kill(pid, &self.router.file),
                order = orders.recv() => match order {
                    Some(Order::Still(done)) => {
                        self.is_still = true;
                        // Whoever asked may be gone.
                        _ = done.send(());
                    }
                    Some(Order::Resume) => self.is_still = false,
                    // The supervisor ends; the router goes on.
                    None => std::future::pending().await,
                }
            }
        }
    }

    async fn go_on(&mut self, next: Next) {
        match next {
            Next::Ended(ended) => {
                tracing::error!(?ended, "the router ended; starting it again");
                self.running = None;
                self.due = Instant::now() + self.restarts.after_end();
            }
            Next::Due => match self.router.spawn().await {
                Ok(handle) => self.running = Some(handle),
                Err(error) => {
                    tracing::error!(%error, "could not start the router");
                    self.due = Instant::now() + self.restarts.after_end();
                }
            },
        }
    }
}

async fn next(running: Option<&OwnedFd>, due: Instant) -> Next {
    let Some(handle) = running else {
        tokio::time::sleep_until(due).await;
        return Next::Due;
    };
    loop {
        match handle.try_clone() {
            Ok(watched) => return Next::Ended(process::collect(&watched).await),
            // It runs, as far as we know: a second one must not be put beside it.
            Err(error) => {
                tracing::error!(%error, "no descriptor is free to watch the router by");
                tokio::time::sleep(BLIND).await;
            }
        }
    }
}

/// Its end is what starts the next one. A complaint about any other process, such as a router that drains, must not put
/// a second router beside the one that serves.
fn kill(pid: u32, file: &Path) {
    tracing::error!(pid, "a router does not take new routes; replacing it");
    if let Err(error) = router_process::kill(pid, file) {
        tracing::error!(pid, %error, "could not end a router");
    }
}
