//! What an earlier engine left: instances that go on, ends that were missed, and rubbish.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shim::{FromShim, Process, SOCKET};
use vocabulary::DynoId;

use super::link::Link;
use super::record::Record;
use super::{Instance, Instances, State, life};

/// How long a shim may take to answer; it has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(5);

impl Instances {
    /// Finds every instance again and deletes whatever belongs to none.
    pub(super) async fn adopt(&self) -> io::Result<()> {
        let found = names(&self.shared.config.data.join("dynos"))?.into_iter().map(async |id| {
            match Record::read(&self.data_folder(id)) {
                Ok(record) => self.adopt_one(record).await,
                Err(error) => tracing::debug!(dyno.id = %id, %error, "a folder without a record is a leftover"),
            }
        });
        // Side by side: some may not answer, and nobody else should wait for them.
        join_all(found).await;
        let mut all = names(&self.shared.config.data.join("dynos"))?;
        all.extend(names(&self.shared.config.run)?);
        all.extend(self.shared.cgroups.all());
        all.sort();
        all.dedup();
        let leftovers = all.into_iter().filter(|id| self.find(*id).is_none()).map(async |id| {
            self.shared.cgroups.kill(id);
            self.delete(id).await;
        });
        join_all(leftovers).await;
        Ok(())
    }

    async fn adopt_one(&self, record: Record) {
        self.shared.network.adopt(record.address);
        let id = record.spec.id;
        let instance = Arc::new(Instance::new(record, State::Starting));
        self.known().insert(id, Arc::clone(&instance));
        if let Some(exit) = life::read_exit(&self.data_folder(id)) {
            instance.state.send_replace(State::Exited(exit));
            return;
        }
        let Some((link, process)) = self.reach(id).await else {
            instance.state.send_replace(State::Exited(self.lost(&instance)));
            return;
        };
        let link = Arc::new(link);
        instance.state.send_replace(State::Running { listening: None, link: Arc::clone(&link) });
        let this = self.clone();
        tokio::spawn(async move { this.watch(instance, link, None, process).await });
    }

    /// Connects to a shim; `None` if there is none, or it speaks of a process that is gone.
    async fn reach(&self, id: DynoId) -> Option<(Link, Process)> {
        let link = Link::connect(&self.run_folder(id).join(SOCKET)).ok()?;
        match tokio::time::timeout(PATIENCE, link.receive()).await {
            Ok(Ok(Some((FromShim::Running(process), _)))) => Some((link, process)),
            _ => None,
        }
    }
}

/// The entries of a folder that are ids.
fn names(folder: &Path) -> io::Result<Vec<DynoId>> {
    let entries = std::fs::read_dir(folder)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}
