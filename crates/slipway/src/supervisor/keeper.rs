//! Keeps one role running: starts it again when it ends, and replaces it by that of another program when asked.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::process::Process;
use super::role::{OURS, Restarts, Role, ready};

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
    /// Run our own program again, whatever that takes.
    Return(oneshot::Sender<io::Result<()>>),
    /// Touch nothing any more, and say what there is.
    Hand(oneshot::Sender<io::Result<Handed>>),
    /// Go on.
    Resume,
}

/// What another supervisor needs to keep the role.
#[derive(Debug)]
pub(super) struct Handed {
    /// Its process and a handle to it; none if it has ended and was to be started again.
    pub(super) process: Option<(i32, OwnedFd)>,
    /// Copies of its sockets, with their names.
    pub(super) sockets: Vec<(String, OwnedFd)>,
}

impl Keeper {
    /// Keeps a role; one without a process is started at once.
    pub(super) fn start(role: Role, process: Option<Process>, settings: PathBuf) -> Self {
        let (orders, received) = mpsc::channel(1);
        let name = role.name;
        let (restarts, due, is_still) = (Restarts::new(), Instant::now(), false);
        let task = tokio::spawn(Kept { role, process, settings, restarts, due, is_still }.keep(received));
        Self { name, orders, task: task.abort_handle() }
    }

    /// Ends the role's process and starts that of another program. If that one does not become ready, the one before is
    /// started again, and the error says why.
    pub(super) async fn replace(&self, program: PathBuf) -> io::Result<()> {
        self.order(|done| Order::Replace(program, done)).await?
    }

    /// Ends the role's process and starts that of our own program. If it does not become ready, the error says why, and
    /// it is tried again for as long as the supervisor runs.
    pub(super) async fn take_back(&self) -> io::Result<()> {
        self.order(Order::Return).await?
    }

    /// Starts nothing again until [`Keeper::resume`], so that what is answered stays so.
    pub(super) async fn hand(&self) -> io::Result<Handed> {
        self.order(Order::Hand).await?
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> io::Result<T> {
        let nobody = || io::Error::other("nobody keeps it");
        let (done, told) = oneshot::channel();
        self.orders.send(order(done)).await.map_err(|_| nobody())?;
        told.await.map_err(|_| nobody())
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
    process: Option<Process>,
    settings: PathBuf,
    restarts: Restarts,
    /// When a role without a process is started.
    due: Instant,
    /// Handed over: nothing is started.
    is_still: bool,
}

impl Kept {
    async fn keep(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let is_awake = !self.is_still;
            tokio::select! {
                () = self.look_after(), if is_awake => {}
                order = orders.recv() => match order {
                    // Whoever asked may be gone.
                    Some(Order::Replace(program, done)) => _ = done.send(self.replace(program).await),
                    Some(Order::Return(done)) => _ = done.send(self.take_back().await),
                    Some(Order::Hand(done)) => _ = done.send(self.hand()),
                    Some(Order::Resume) => self.is_still = false,
                    // The supervisor ends, and its roles with it.
                    None => std::future::pending().await,
                }
            }
        }
    }

    /// Waits until something is to be done, and does it without waiting: an order may come at any time.
    async fn look_after(&mut self) {
        match &self.process {
            Some(process) => {
                let ended = process.ended().await;
                self.process = None;
                let pause = self.restarts.after_end();
                self.due = Instant::now() + pause;
                tracing::error!(role = self.role.name, ?ended, ?pause, "a role ended; starting it again");
            }
            None => {
                tokio::time::sleep_until(self.due).await;
                self.start_again();
            }
        }
    }

    fn start_again(&mut self) {
        match self.role.spawn(&self.settings) {
            Ok((process, _)) => self.process = Some(process),
            Err(error) => {
                tracing::error!(role = self.role.name, %error, "could not start a role");
                self.due = Instant::now() + self.restarts.after_end();
            }
        }
    }

    fn hand(&mut self) -> io::Result<Handed> {
        let process = self.process.as_ref().map(|process| Ok::<_, io::Error>((process.pid, process.handle()?)));
        let handed = Handed { process: process.transpose()?, sockets: self.role.share()? };
        self.is_still = true;
        Ok(handed)
    }

    async fn replace(&mut self, program: PathBuf) -> io::Result<()> {
        let before = std::mem::replace(&mut self.role.program, program);
        let Err(error) = self.change().await else { return Ok(()) };
        self.role.program = before;
        tracing::error!(role = self.role.name, %error, "the new program's role does not start; going back");
        self.start_again();
        Err(error)
    }

    async fn take_back(&mut self) -> io::Result<()> {
        self.role.program = PathBuf::from(OURS);
        self.is_still = false;
        let changed = self.change().await;
        if changed.is_err() {
            self.due = Instant::now() + self.restarts.after_end();
        }
        changed
    }

    /// Ends what runs, and starts what is to run; ready if it is well.
    async fn change(&mut self) -> io::Result<()> {
        if let Some(process) = self.process.take() {
            process.end().await?;
        }
        let (process, mut pipe) = self.role.spawn(&self.settings)?;
        if let Err(error) = ready(self.role.name, &mut pipe).await {
            process.end().await?;
            return Err(error);
        }
        self.process = Some(process);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    /// A role whose program is a script. It finds descriptor 3, the settings; 4 is where it says that it is ready.
    fn role(program: &Path) -> Role {
        Role {
            name: "engine",
            user: None,
            sockets: vec![],
            lifeline: None,
            secret: None,
            group: None,
            program: program.to_owned(),
        }
    }

    fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    #[tokio::test]
    async fn a_role_that_keeps_ending_still_takes_orders() {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("settings.json");
        fs::write(&settings, "{}").unwrap();
        // The pauses between its starts soon last for seconds.
        let bad = script(folder.path(), "bad", "exit 1");
        let good = script(folder.path(), "good", "printf 1 >&4; exec sleep 600");
        let keeper = Keeper::start(role(&bad), None, settings);
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::time::timeout(Duration::from_secs(20), keeper.replace(good)).await.unwrap().unwrap();
        let failed = keeper.replace(bad).await.unwrap_err();
        assert!(failed.to_string().contains("ended before it was ready"), "{failed}");
        // Gone back to, started without waiting, and left alone while it is handed over.
        let (pid, handle) = keeper.hand().await.unwrap().process.unwrap();
        let process = Process::handed(pid, handle);
        process.kill().await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(keeper.hand().await.unwrap().process.map(|(pid, _)| pid), Some(pid), "it was started again");
        let other = started_again(&keeper, pid).await;
        keeper.abort();
        other.kill().await.unwrap();
    }

    /// What is started in the place of a process that ended.
    async fn started_again(keeper: &Keeper, before: i32) -> Process {
        for _ in 0..400 {
            keeper.resume().await;
            tokio::time::sleep(Duration::from_millis(25)).await;
            match keeper.hand().await.unwrap().process {
                Some((pid, handle)) if pid != before => return Process::handed(pid, handle),
                _ => {}
            }
        }
        panic!("nothing was started");
    }
}
