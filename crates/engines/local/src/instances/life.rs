//! A running instance until it is gone.

use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::Arc;

use crashpoints::Point;
use engine::{Event, Exit};
use shim::{EXIT, FromShim, Process};
use tokio::process::Child;

use super::link::Link;
use super::listening::Sockets;
use super::record::{self, Record};
use super::{Instance, Instances, State};

/// What is said of an instance whose shim vanished: it was killed with it.
const LOST: Exit = Exit { status: 128 + 9, out_of_memory: false };

impl Instances {
    /// Watches an instance until it ended. `child` is its shim, if this engine started it.
    pub(super) async fn watch(&self, instance: Arc<Instance>, link: Arc<Link>, child: Option<Child>, process: Process) {
        let exit = tokio::select! {
            exit = self.exit(&instance, &link) => exit,
            never = self.watch_port(&instance, process) => match never {},
        };
        crashpoints::reach(Point::EngineExited);
        instance.state.send_replace(State::Exited(exit));
        self.say(Event::Exited { id: instance.id(), exit });
        if let Some(mut child) = child
            && let Err(error) = child.wait().await
        {
            tracing::warn!(dyno.id = %instance.id(), %error, "could not reap a shim");
        }
    }

    /// Waits for the end.
    async fn exit(&self, instance: &Instance, link: &Link) -> Exit {
        loop {
            match link.receive().await {
                Ok(Some((FromShim::Exited(exit), _))) => return from_shim(exit),
                Ok(Some((FromShim::Unattached { came }, _))) => {
                    self.say(Event::Unattached { id: instance.id(), came });
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return self.lost(instance),
            }
        }
    }

    /// The shim is gone. If it left no exit file it was killed, and what it started must not go on unseen.
    pub(super) fn lost(&self, instance: &Instance) -> Exit {
        let folder = self.data_folder(instance.id());
        if let Some(exit) = read_exit(&folder) {
            return exit;
        }
        tracing::warn!(dyno.id = %instance.id(), "a shim vanished; its instance is killed");
        self.shared.cgroups.kill(instance.id());
        let text = serde_json::to_vec(&shim::Exit { status: LOST.status, out_of_memory: LOST.out_of_memory });
        if let Err(error) = text.map_err(Into::into).and_then(|text| std::fs::write(folder.join(EXIT), text)) {
            tracing::warn!(dyno.id = %instance.id(), %error, "could not record the end of an instance");
        }
        LOST
    }

    /// Says when the expected port is bound; never ends, the caller drops it with the instance.
    async fn watch_port(&self, instance: &Instance, process: Process) -> std::convert::Infallible {
        if let Some(port) = instance.record.spec.port {
            let already = matches!(&*instance.state.borrow(), State::Running { listening: Some(_), .. });
            match Sockets::of(process.pid) {
                // The id may already be another process's; then the end is about to be told.
                Ok(sockets) if process.is_alive() && !already => {
                    let id = instance.id();
                    let loopback = || self.say(Event::LoopbackOnly { id });
                    sockets.wait(port, instance.address(), loopback).await;
                    drop(sockets);
                    self.listens(instance, SocketAddrV4::new(instance.address(), port));
                }
                _ => {}
            }
        }
        std::future::pending().await
    }

    fn listens(&self, instance: &Instance, address: SocketAddrV4) {
        instance.state.send_modify(|state| {
            if let State::Running { listening, .. } = state {
                *listening = Some(address);
            }
        });
        self.say(Event::Listening { id: instance.id(), address });
    }

    /// Gives back what an ended instance held. Its files go later: deleting them takes longer than anyone should wait.
    pub(super) async fn release(&self, record: &Record) {
        self.give_back(record).await;
        let (this, id) = (self.clone(), record.spec.id);
        tokio::spawn(async move { this.delete(id).await });
    }

    /// Undoes a start that failed, to the last file: the same id may be started again as soon as this has been told.
    pub(super) async fn undo(&self, record: &Record) {
        self.give_back(record).await;
        self.delete(record.spec.id).await;
    }

    async fn give_back(&self, record: &Record) {
        let id = record.spec.id;
        let data = self.data_folder(id);
        if let Err(error) = std::fs::remove_file(data.join(record::FILE)) {
            tracing::debug!(dyno.id = %id, %error, "an instance had no record");
        }
        crashpoints::reach(Point::EngineUnrecorded);
        self.shared.network.detach(record.address).await;
        crashpoints::reach(Point::EngineReleased);
    }

    /// Deletes what is left of an instance: its cgroup and its folders.
    pub(super) async fn delete(&self, id: vocabulary::DynoId) {
        if let Err(error) = self.shared.cgroups.remove(id).await {
            tracing::warn!(dyno.id = %id, %error, "could not remove a cgroup");
        }
        for folder in [self.run_folder(id), self.data_folder(id)] {
            match tokio::fs::remove_dir_all(&folder).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(dyno.id = %id, folder = %folder.display(), %error, "could not delete a folder");
                }
                _ => {}
            }
        }
    }
}

/// What the shim wrote when its instance ended.
pub(super) fn read_exit(folder: &Path) -> Option<Exit> {
    serde_json::from_slice(&std::fs::read(folder.join(EXIT)).ok()?).ok().map(from_shim)
}

fn from_shim(exit: shim::Exit) -> Exit {
    Exit { status: exit.status, out_of_memory: exit.out_of_memory }
}
