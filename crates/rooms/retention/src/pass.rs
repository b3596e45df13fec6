//! One pass: mark, then delete.

use std::collections::{HashMap, HashSet};

use blobs::{Sweep, Swept};
use crashpoints::Point;
use engine::{Discarded, Kind, PAGE};
use vocabulary::{AppId, Digest, SlugId, Timestamp};

use crate::{Error, Retention, Rule, judge};

/// What a pass freed.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    slugs: usize,
    runtimes: u64,
    uploads: u64,
    layers: usize,
    blobs: Swept,
    outputs: usize,
    output_bytes: u64,
    images: Discarded,
    repositories: usize,
    instances: usize,
    /// Whether a limit of the pass was met.
    more: bool,
}

impl Freed {
    /// Whether nothing was left over for the next pass.
    pub(crate) fn is_all(&self) -> bool {
        !self.more && self.images.in_use == 0
    }

    pub(crate) fn log(&self) {
        let things = self.slugs + self.layers + self.blobs.files + self.outputs + self.repositories + self.instances;
        if things == 0 && self.runtimes + self.uploads == 0 && self.images.images == 0 {
            return;
        }
        tracing::info!(
            bytes = self.blobs.bytes + self.output_bytes + self.images.bytes,
            slugs = self.slugs,
            runtimes = self.runtimes,
            uploads = self.uploads,
            layers = self.layers,
            blobs = self.blobs.files,
            outputs = self.outputs,
            images = self.images.images,
            repositories = self.repositories,
            instances = self.instances,
            "collected what is no longer kept"
        );
    }
}

/// When each app's repository was looked at last. Kept in memory: after a start each is looked at once.
pub(crate) type Tidied = HashMap<AppId, Timestamp>;

impl Retention {
    pub(crate) async fn pass(&self, tidied: &mut Tidied) -> Result<Freed, Error> {
        let mut freed = Freed::default();
        // Before anything is read: from now on what somebody holds for a moment is kept.
        let sweep = self.blobs.sweep();
        let cold = self.mark(&sweep, &mut freed).await?;
        self.delete_outputs(&mut freed).await?;
        let sweep = self.delete_blobs(sweep, &mut freed).await?;
        self.discard_images(&cold, &sweep, &mut freed).await?;
        drop(sweep);
        self.remove_builds(&mut freed).await?;
        self.look_after_repositories(tidied, &mut freed).await?;
        Ok(freed)
    }

    /// Marks slugs as deleted and forgets the rows that nothing refers to any more. Answers the slugs that are
    /// kept as blobs alone.
    async fn mark(&self, sweep: &Sweep, freed: &mut Freed) -> Result<HashSet<SlugId>, Error> {
        let rule =
            Rule { releases: self.config.releases.into(), since: ago(self.config.age), warm: self.config.warm.into() };
        let mut write = self.store.write().await?;
        let verdict = judge(&store::releases::holding_in(&mut write).await?, &rule);
        for slug in verdict.gone.iter().take(self.config.budget) {
            store::slugs::delete(&mut write, *slug).await?;
            store::releases::expire(&mut write, *slug).await?;
            freed.slugs += 1;
        }
        freed.more |= freed.slugs < verdict.gone.len();
        freed.runtimes = store::layers::drop_unused_runtimes(&mut write, ago(self.config.runtimes)).await?;
        // Read within the write: a build that pins a layer from here on writes its rows after this write.
        freed.layers = store::layers::drop_unreferenced(&mut write, &sweep.pinned()).await?.len();
        freed.uploads = store::uploads::forget(&mut write, ago(self.config.uploads)).await?;
        write.commit().await?;
        crashpoints::reach(Point::RetentionRowsGone);
        Ok(verdict.cold.into_iter().collect())
    }

    async fn delete_blobs(&self, sweep: Sweep, freed: &mut Freed) -> Result<Sweep, Error> {
        let mut referenced = store::layers::blobs(&self.store).await?;
        // In this order: a build that begins has its source by its upload before, and by its own row after.
        referenced.extend(store::uploads::blobs(&self.store).await?);
        referenced.extend(store::builds::pending_sources(&self.store).await?);
        let budget = self.config.budget;
        let (sweep, swept) = blocking(move || {
            let swept = sweep.delete_others(&referenced, budget);
            (sweep, swept)
        })
        .await
        .map_err(|error| Error::Files("blobs", error))?;
        freed.blobs = swept.map_err(|error| Error::Files("blobs", error))?;
        freed.more |= freed.blobs.more;
        Ok(sweep)
    }

    async fn delete_outputs(&self, freed: &mut Freed) -> Result<(), Error> {
        let failed = |error| Error::Files("outputs", error);
        // First what is there, then what is kept: an output that is begun in between is not on the list.
        let names = self.outputs.names().map_err(failed)?;
        let (most, since) = (self.config.releases, ago(self.config.age));
        let builds = store::builds::with_kept_output(&self.store, most, since).await?;
        let releases = store::releases::with_kept_output(&self.store, most, since).await?;
        let kept = builds.iter().map(ToString::to_string).chain(releases.iter().map(ToString::to_string));
        let kept: HashSet<String> = kept.collect();
        let outputs = self.outputs.clone();
        let unwanted: Vec<String> = names.into_iter().filter(|name| !kept.contains(name)).collect();
        freed.more |= unwanted.len() > self.config.budget;
        let unwanted: Vec<String> = unwanted.into_iter().take(self.config.budget).collect();
        freed.outputs = unwanted.len();
        let deleted = blocking(move || unwanted.iter().map(|name| outputs.remove(name)).sum::<std::io::Result<u64>>());
        freed.output_bytes = deleted.await.flatten().map_err(failed)?;
        Ok(())
    }

    /// Every layer the host has an image of.
    async fn engine_layers(&self) -> Result<Vec<Digest>, engine::Error> {
        let mut layers: Vec<Digest> = Vec::new();
        loop {
            let page = self.engine.layers(layers.last().cloned()).await?;
            let is_last = page.len() < PAGE;
            layers.extend(page);
            if is_last {
                return Ok(layers);
            }
        }
    }

    async fn discard_images(&self, cold: &HashSet<SlugId>, sweep: &Sweep, freed: &mut Freed) -> Result<(), Error> {
        let images = self.engine_layers().await?;
        let mut wanted = store::layers::of_runtimes_and_caches(&self.store).await?;
        // A slug that was made after it was judged is not cold: it is about to run.
        let slugs = store::slugs::kept_layers(&self.store).await?.into_iter().filter(|(slug, _)| !cold.contains(slug));
        wanted.extend(slugs.flat_map(|(_, layers)| layers));
        wanted.extend(sweep.pinned());
        let unwanted: Vec<Digest> = images.into_iter().filter(|layer| !wanted.contains(layer)).collect();
        freed.more |= unwanted.len() > PAGE;
        freed.images = self.engine.discard(unwanted.into_iter().take(PAGE).collect()).await?;
        Ok(())
    }

    /// Removes build instances that no build is waiting for: a build that is deleted with its app while the engine is
    /// away leaves one.
    async fn remove_builds(&self, freed: &mut Freed) -> Result<(), Error> {
        let instances = self.engine.list().await?;
        let building = store::builds::apps_with_pending(&self.store).await?;
        for instance in instances {
            if instance.spec.kind == Kind::Build && !building.contains(&instance.spec.app) {
                self.engine.remove(instance.spec.id).await?;
                freed.instances += 1;
            }
        }
        Ok(())
    }

    /// Deletes repositories without an app, and has those tidied that were pushed to. One that gives trouble does not
    /// keep the others waiting, and has its next turn when they do.
    async fn look_after_repositories(&self, tidied: &mut Tidied, freed: &mut Freed) -> Result<(), Error> {
        let repositories = self.engine.repositories().await?;
        let apps: HashSet<AppId> = store::apps::all(&self.store).await?.into_iter().map(|app| app.id).collect();
        tidied.retain(|app, _| apps.contains(app));
        for app in repositories {
            if !apps.contains(&app) {
                match self.engine.remove_repository(app).await {
                    Ok(()) => freed.repositories += 1,
                    Err(error) => tracing::warn!(app.id = %app, %error, "could not delete a repository"),
                }
            } else if tidied.get(&app).is_none_or(|at| *at < ago(self.config.timer)) {
                tidied.insert(app, Timestamp::now());
                if let Err(error) = self.engine.tidy_repository(app).await {
                    tracing::warn!(app.id = %app, %error, "could not tidy a repository");
                }
            }
        }
        Ok(())
    }
}

fn ago(age: std::time::Duration) -> Timestamp {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(Timestamp::now().micros().saturating_sub(micros))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)
}
