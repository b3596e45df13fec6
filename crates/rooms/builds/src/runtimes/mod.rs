//! The runtime catalogue: which exact version meets a wish, and its layer.
//!
//! Knows the names `node` and `npm` (from an npm registry), `python` (from a list of builds, or else the stack's own),
//! `pip` and `uv` (from a Python package index), and `static` (the platform's own file server). A runtime of an exact
//! version is fetched once, verified against the registry's digest, packed, and kept as a layer for every
//! app; what is fetched at the same time is fetched once.

mod choose;
mod fetch;
mod layout;
mod npm;
mod pypi;
mod python;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use blobs::{Blobs, Draft};
use engine::Engine;
use inside_contract::{PythonRequirement, Runtime, RuntimeWish};
use store::Store;
use store::layers::RuntimeKey;
use vocabulary::{Digest, Timestamp};

use crate::compile::Trouble;
use crate::{Config, layers, pipes};

/// The most bytes of files a runtime holds (Node with its headers has 120 MB).
const LIMIT: u64 = 1024 * 1024 * 1024;
/// How old the last word that a runtime is in use may be before it is said again: a day.
const USED_EVERY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// How many builds of Python are asked a source for that says it does not have them.
const TRIES: usize = 3;

/// Why a runtime cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalogue has no runtime of this name.
    #[error("there is no runtime called {0}")]
    Unknown(String),
    /// A requirement is no version range.
    #[error("{name} {requirement:?} is not a version or range of versions")]
    Requirement {
        /// The runtime.
        name: String,
        /// As the app wrote it.
        requirement: String,
    },
    /// No version meets a requirement.
    #[error("{name} {requirement} is not available; the nearest available versions are {nearest}")]
    Unavailable {
        /// The runtime.
        name: String,
        /// As the app wrote it.
        requirement: String,
        /// Exact versions, comma-separated.
        nearest: String,
    },
    /// A Python that is in the catalogue and cannot be fetched, while the stack has another.
    #[error("Python {requirement} could not be fetched ({cause}); what this platform has without fetching is {own}")]
    PythonAway {
        /// As the app wrote it.
        requirement: String,
        /// Exact: the stack's own.
        own: String,
        /// Why it could not be fetched.
        cause: Box<Error>,
    },
    /// The registry could not be asked.
    #[error("could not fetch {url} from the package source: {reason}")]
    Fetch {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The source answers, and does not give this file.
    #[error("could not fetch {url} from the package source: {reason}")]
    NotThere {
        /// The address.
        url: String,
        /// What it answered.
        reason: String,
    },
    /// What was fetched is not what the registry announced.
    #[error("{url} does not have the digest the package source announced")]
    Integrity {
        /// The address.
        url: String,
    },
    /// No settings for this source.
    #[error("this platform has no source for {0}")]
    NoSource(&'static str),
    /// A file of ours could not be read or written.
    #[error("could not prepare the runtime {name}: {source}")]
    File {
        /// The runtime.
        name: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// A runtime with its layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub(crate) runtime: Runtime,
    pub(crate) layer: Digest,
}

/// Runtimes that are being made: whoever wants one of them waits for its lock.
type UnderWay = Arc<Mutex<HashMap<Runtime, Arc<tokio::sync::Mutex<()>>>>>;

/// The catalogue; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Runtimes {
    store: Store,
    blobs: Blobs,
    engine: Engine,
    config: Arc<Config>,
    npm: npm::Registry,
    index: pypi::Index,
    python: python::PythonBuilds,
    /// The version of `static`: the SHA-256 of its program.
    static_version: Option<String>,
    under_way: UnderWay,
}

impl Runtimes {
    pub(crate) fn new(store: Store, blobs: Blobs, engine: Engine, config: Arc<Config>) -> Result<Self, Error> {
        let client = fetch::client(config.ca_bundle.as_deref())?;
        let source = |name: &str| config.sources.get(name).cloned();
        let npm = npm::Registry::new(client.clone(), source("npm"));
        let index = pypi::Index::new(client.clone(), source("pypi"));
        let python = python::PythonBuilds::new(client, source("python"));
        let static_version = config.static_server.as_deref().map(layout::version_of).transpose()?;
        Ok(Self { store, blobs, engine, config, npm, index, python, static_version, under_way: UnderWay::default() })
    }

    /// The runtime of this name that was made of a stack's image, if it was.
    pub(crate) async fn of_the_image(&self, name: &str, image: &Digest) -> Result<Option<Mounted>, store::Error> {
        let Some(version) = store::layers::version_of_image(&self.store, name, image).await? else { return Ok(None) };
        let runtime = Runtime { name: name.to_owned(), version };
        Ok(self.known(&runtime, Some(image)).await?.map(|layer| Mounted { runtime, layer }))
    }

    /// Whether a runtime of an earlier slug may be mounted again unasked. The file server is only worth it if it is
    /// the one this platform ships today.
    pub(crate) fn is_worth_reusing(&self, runtime: &Runtime) -> bool {
        runtime.name != "static" || Some(&runtime.version) == self.static_version.as_ref()
    }

    /// The runtimes that meet these wishes, made if they are not there yet, beside those mounted that no wish is about.
    /// A wish for Python was met by the caller.
    pub(crate) async fn meet(
        &self,
        wishes: &[RuntimeWish],
        mounted: &[Mounted],
        python: Option<Mounted>,
    ) -> Result<Vec<Mounted>, Trouble> {
        let mut met: Vec<Mounted> = python.into_iter().collect();
        for runtime in self.resolve(wishes, mounted).await? {
            let layer = self.ensure(&runtime).await?;
            met.push(Mounted { runtime, layer });
        }
        let kept = mounted.iter().filter(|old| !met.iter().any(|new| new.runtime.name == old.runtime.name));
        Ok(kept.cloned().chain(met.clone()).collect())
    }

    /// The newest Python that meets a requirement, its layer made. If the source answers and does not have that one, the
    /// next older is tried: a mirror may lag behind. Of a source that does not answer, nothing more is asked.
    pub(crate) async fn python(&self, requirement: &str) -> Result<Result<Mounted, Error>, Trouble> {
        let wanted = match self.python_requirement(requirement) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(Err(error)),
        };
        let nearest = python::nearest(wanted);
        let (name, requirement) = ("python".to_owned(), requirement.to_owned());
        let mut missing = Error::Unavailable { name, requirement, nearest };
        for build in python::candidates(wanted).into_iter().take(TRIES) {
            match self.python_build(build).await? {
                Err(error @ Error::NotThere { .. }) => missing = error,
                answered => return Ok(answered),
            }
        }
        Ok(Err(missing))
    }

    /// One build of Python, its layer made.
    async fn python_build(&self, build: &python::PythonBuild) -> Result<Result<Mounted, Error>, Trouble> {
        let runtime = Runtime { name: "python".to_owned(), version: build.version.to_string() };
        let _guard = self.alone(&runtime).await;
        if let Some(layer) = self.known(&runtime, None).await? {
            return Ok(Ok(Mounted { runtime, layer }));
        }
        let draft = self.draft("python").map_err(Trouble::from)?;
        match self.python.download(build, draft).await {
            Ok(draft) => {
                let layer = self.make(&runtime, layout::Source::Python(draft, build.version)).await?;
                Ok(Ok(Mounted { runtime, layer }))
            }
            Err(error @ Error::Integrity { .. }) => Err(error.into()),
            Err(error) => Ok(Err(error)),
        }
    }

    /// What a requirement of Python means; the platform's default if it is empty.
    pub(crate) fn python_requirement(&self, requirement: &str) -> Result<PythonRequirement, Error> {
        let text = if requirement.trim().is_empty() { &self.config.python } else { requirement };
        text.parse().map_err(|_| Error::Requirement {
            name: "python".to_owned(),
            requirement: requirement.chars().take(80).collect(),
        })
    }

    /// Exact versions for wishes. Node brings npm along: the one asked for, or the newest that runs on it.
    async fn resolve(&self, wishes: &[RuntimeWish], mounted: &[Mounted]) -> Result<Vec<Runtime>, Error> {
        let mut found: Vec<Runtime> = Vec::new();
        let wish = |name: &str| wishes.iter().find(|wish| wish.name == name);
        // Python's was met already: finding it may take an instance, which is not ours to start.
        for other in wishes.iter().filter(|wish| wish.name != "npm" && wish.name != "python") {
            found.push(self.resolve_one(other).await?);
        }
        let node = found.iter().chain(mounted.iter().map(|mounted| &mounted.runtime)).find(|one| one.name == "node");
        let wants_npm = wish("npm").is_some() || wish("node").is_some();
        if let Some(node) = node.filter(|_| wants_npm) {
            let requirement = wish("npm").map_or("", |wish| wish.requirement.as_str());
            let version = self.npm.npm_for(&node.version, requirement).await?;
            found.push(Runtime { name: "npm".to_owned(), version });
        } else if let Some(npm) = wish("npm") {
            return Err(Error::Unknown(format!("{} without node", npm.name)));
        }
        Ok(found)
    }

    async fn resolve_one(&self, wish: &RuntimeWish) -> Result<Runtime, Error> {
        let version = match wish.name.as_str() {
            "node" => self.npm.node(&wish.requirement, &self.config.node).await?,
            "static" => self.static_version.clone().ok_or(Error::NoSource("static"))?,
            "pip" | "uv" => {
                pypi::pinned(&wish.name).map(str::to_owned).ok_or_else(|| Error::Unknown(wish.name.clone()))?
            }
            name => return Err(Error::Unknown(name.to_owned())),
        };
        Ok(Runtime { name: wish.name.clone(), version })
    }

    /// The layer of an exact runtime.
    async fn ensure(&self, runtime: &Runtime) -> Result<Digest, Trouble> {
        let _guard = self.alone(runtime).await;
        if let Some(layer) = self.known(runtime, None).await? {
            return Ok(layer);
        }
        let source = self.source(runtime).await?;
        self.make(runtime, source).await
    }

    /// Waits until nobody else makes this runtime.
    pub(crate) async fn alone(&self, runtime: &Runtime) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(under_way.entry(runtime.clone()).or_default())
        };
        lock.lock_owned().await
    }

    /// The layer of an exact runtime that was made before, of a source or of a stack's image. Says that it is in use, so
    /// that it is not collected before a slug refers to it; a word a day is enough, as a build takes minutes and the
    /// collection waits for weeks.
    pub(crate) async fn known(
        &self,
        runtime: &Runtime,
        image: Option<&Digest>,
    ) -> Result<Option<Digest>, store::Error> {
        let key = key(runtime, image);
        let Some((layer, used_at)) = store::layers::runtime(&self.store, &key).await? else {
            return Ok(None);
        };
        if Timestamp::now().micros() - used_at.micros() < USED_EVERY_MICROS {
            return Ok(Some(layer));
        }
        let mut write = self.store.write().await?;
        let layer = store::layers::use_runtime(&mut write, &key).await?;
        write.commit().await?;
        Ok(layer)
    }

    async fn make(&self, runtime: &Runtime, source: layout::Source) -> Result<Digest, Trouble> {
        tracing::info!(runtime.name, runtime.version, "making a runtime's layer");
        let failed = |source| Error::File { name: runtime.name.clone(), source };
        let (tar, tar_in) = pipes::pipe().map_err(failed)?;
        let draft = self.draft(&runtime.name)?;
        let blob: OwnedFd = draft.file().try_clone().map_err(failed)?.into();
        let prefix = prefix(&runtime.name);
        let writing = tokio::task::spawn_blocking(move || source.write(tar_in));
        let (packed, written) = tokio::join!(self.engine.pack(&prefix, LIMIT, tar, blob), writing);
        let packed = packed?;
        written.map_err(std::io::Error::other).map_err(failed)?.map_err(failed)?;
        let layer = layers::finish(&self.blobs, &packed, draft).await?;
        self.keep(runtime, None, &layer).await
    }

    fn draft(&self, name: &str) -> Result<Draft, Error> {
        self.blobs.draft().map_err(|source| Error::File { name: name.to_owned(), source })
    }

    /// Records a runtime's layer, made of a source or of a stack's image.
    pub(crate) async fn keep(
        &self,
        runtime: &Runtime,
        image: Option<&Digest>,
        layer: &layers::Fresh,
    ) -> Result<Digest, Trouble> {
        let mut write = self.store.write().await?;
        layers::record(&mut write, &[layer]).await?;
        store::layers::set_runtime(&mut write, &key(runtime, image), &layer.row.digest).await?;
        write.commit().await?;
        Ok(layer.row.digest.clone())
    }

    /// The verified bytes a runtime is made of.
    async fn source(&self, runtime: &Runtime) -> Result<layout::Source, Error> {
        let (draft, version) = (self.draft(&runtime.name)?, &runtime.version);
        Ok(match runtime.name.as_str() {
            "node" => layout::Source::Node(self.npm.download(npm::NODE, version, draft).await?),
            "npm" => layout::Source::Npm(self.npm.download(npm::NPM, version, draft).await?),
            "pip" => layout::Source::Pip(self.index.download("pip", version, draft).await?),
            "uv" => layout::Source::Uv(self.index.download("uv", version, draft).await?),
            _ => {
                let program: &Path = self.config.static_server.as_deref().ok_or(Error::NoSource("static"))?;
                layout::Source::Static(program.to_owned())
            }
        })
    }
}

fn key<'a>(runtime: &'a Runtime, image: Option<&'a Digest>) -> RuntimeKey<'a> {
    RuntimeKey { name: &runtime.name, version: &runtime.version, stack_image: image }
}

/// Where a runtime is mounted; npm lies within Node's folder, where Node looks for it.
pub(crate) fn prefix(name: &str) -> String {
    format!("{}/.heroku/{}", inside_contract::APP, if name == "npm" { "node" } else { name })
}
