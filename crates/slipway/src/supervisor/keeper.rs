//! Keeps one role running: starts it again when it ends, and replaces it by that of another program when asked.

use std::io;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::process::Process;
use super::role::{Restarts, Role, ready};

/// Whoever may ask for a role's replacement.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) name: &'static str,
    orders: mpsc::Sender<Order>,
    task: AbortHandle,
}

#[derive(Debug)]
enum Order {
    /// Run this program from now on.
    Replace(PathBuf, oneshot::Sender<io::Result<()>>),
    /// Touch nothing any more, and say what there is.
    Hand(oneshot::Sender<Handed>),
    /// Go on.
    Resume,
}

/// What another supervisor needs to keep the role.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) pid: i32,
    /// Copies of its sockets, with their names.
    pub(super) sockets: Vec<(String, std::os::fd::OwnedFd)>,
}

impl Keeper {
    /// Keeps a role whose process runs.
    pub(super) fn start(role: Role, process: Process, settings: PathBuf) -> Self {
        let (orders, received) = mpsc::channel(1);
        let name = role.name;
        let task = tokio::spawn(Kept { role, process, settings, restarts: Restarts::new() }.keep(received));
        Self { name, orders, task: task.abort_handle() }
    }

    /// Ends the role's process and starts that of another program. If that one does not become ready, the one before is
    /// started again, and the error says why.
    pub(super) async fn replace(&self, program: PathBuf) -> io::Result<()> {
        let (done, told) = oneshot::channel();
        self.orders.send(Order::Replace(program, done)).await.map_err(|_| io::Error::other("nobody keeps it"))?;
        told.await.map_err(|_| io::Error::other("nobody keeps it"))?
    }

    /// Starts nothing again until [`Keeper::resume`], so that what is answered stays so.
    pub(super) async fn hand(&self) -> io::Result<Handed> {
        let (done, told) = oneshot::channel();
        self.orders.send(Order::Hand(done)).await.map_err(|_| io::Error::other("nobody keeps it"))?;
        told.await.map_err(|_| io::Error::other("nobody keeps it"))
    }

    /// Goes on behind [`Keeper::hand`].
    pub(super) async fn resume(&self) {
        // Without a keeper there is nothing to go on with.
        _ = self.orders.send(Order::Resume).await;
    }

    /// Restarts nothing any more.
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

struct Kept {
    role: Role,
    process: Process,
    settings: PathBuf,
    restarts: Restarts,
}

impl Kept {
    async fn keep(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                ended = self.process.ended() => {
                    let pause = self.restarts.after_end();
                    tracing::error!(role = self.role.name, ?ended, ?pause, "a role ended; starting it again");
                    tokio::time::sleep(pause).await;
                    self.start_again().await;
                }
                order = orders.recv() => match order {
                    Some(Order::Replace(program, done)) => {
                        let replaced = self.replace(program).await;
                        // Whoever asked may be gone.
                        _ = done.send(replaced);
                    }
                    Some(Order::Hand(done)) => {
                        match self.role.share() {
                            Ok(sockets) => _ = done.send(Handed { pid: self.process.pid, sockets }),
                            Err(error) => tracing::error!(role = self.role.name, %error, "could not hand a role over"),
                        }
                        _ = orders.recv().await;
                    }
                    Some(Order::Resume) => {}
                    // The supervisor ends, and its roles with it.
                    None => std::future::pending().await,
                }
            }
        }
    }

    async fn start_again(&mut self) {
        self.process = loop {
            match self.role.spawn(&self.settings) {
                Ok((process, _)) => break process,
                Err(error) => {
                    tracing::error!(role = self.role.name, %error, "could not start a role");
                    tokio::time::sleep(self.restarts.after_end()).await;
                }
            }
        };
    }

    async fn replace(&mut self, program: PathBuf) -> io::Result<()> {
        let before = std::mem::replace(&mut self.role.program, program);
        self.process.end().await?;
        let error = match self.start_ready().await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        self.role.program = before;
        tracing::error!(role = self.role.name, %error, "the new program's role does not start; going back");
        self.start_again().await;
        Err(error)
    }

    async fn start_ready(&mut self) -> io::Result<()> {
        let (process, mut pipe) = self.role.spawn(&self.settings)?;
        if let Err(error) = ready(self.role.name, &mut pipe).await {
            // It may have ended by itself, which is why it is not ready.
            _ = process.end().await;
            return Err(error);
        }
        self.process = process;
        Ok(())
    }
}
