//! The runtime catalogue: which exact version meets a wish, and its layer.
//!
//! Knows the names `node` and `npm` (from an npm registry) and `static` (the platform's own file server). A runtime of
//! an exact version is fetched once, verified against the registry's digest, packed, and kept as a layer for every
//! app; what is fetched at the same time is fetched once.

mod choose;
mod fetch;
mod layout;
mod npm;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use blobs::Blobs;
use engine::Engine;
use inside_contract::{Runtime, RuntimeWish};
use store::Store;
use vocabulary::{Digest, Timestamp};

use crate::compile::Trouble;
use crate::{Config, layers, pipes};

/// The most bytes of files a runtime holds (Node with its headers has 120 MB).
const LIMIT: u64 = 1024 * 1024 * 1024;
/// How old the last word that a runtime is in use may be before it is said again: a day.
const USED_EVERY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

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
    /// The registry could not be asked.
    #[error("could not fetch {url} from the package source: {reason}")]
    Fetch {
        /// The address.
        url: String,
        /// What happened.
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
    /// The version of `static`: the SHA-256 of its program.
    static_version: Option<String>,
    under_way: UnderWay,
}

impl Runtimes {
    pub(crate) fn new(store: Store, blobs: Blobs, engine: Engine, config: Arc<Config>) -> Result<Self, Error> {
        let client = fetch::client(config.ca_bundle.as_deref())?;
        let npm = npm::Registry::new(client, config.sources.get("npm").cloned());
        let static_version = config.static_server.as_deref().map(layout::version_of).transpose()?;
        Ok(Self { store, blobs, engine, config, npm, static_version, under_way: UnderWay::default() })
    }

    /// Whether a runtime of an earlier slug may be mounted again unasked. The file server is only worth it if it is
    /// the one this platform ships today.
    pub(crate) fn is_worth_reusing(&self, runtime: &Runtime) -> bool {
        runtime.name != "static" || Some(&runtime.version) == self.static_version.as_ref()
    }

    /// The runtimes that meet these wishes, made if they are not there yet, beside those mounted that no wish is about.
    pub(crate) async fn meet(&self, wishes: &[RuntimeWish], mounted: &[Mounted]) -> Result<Vec<Mounted>, Trouble> {
        let mut met = Vec::new();
        for runtime in self.resolve(wishes, mounted).await? {
            let layer = self.ensure(&runtime).await?;
            met.push(Mounted { runtime, layer });
        }
        let kept = mounted.iter().filter(|old| !met.iter().any(|new| new.runtime.name == old.runtime.name));
        Ok(kept.cloned().chain(met.clone()).collect())
    }

    /// Exact versions for wishes. Node brings npm along: the one asked for, or the newest that runs on it.
    async fn resolve(&self, wishes: &[RuntimeWish], mounted: &[Mounted]) -> Result<Vec<Runtime>, Error> {
        let mut found: Vec<Runtime> = Vec::new();
        let wish = |name: &str| wishes.iter().find(|wish| wish.name == name);
        for other in wishes.iter().filter(|wish| wish.name != "npm") {
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
            name => return Err(Error::Unknown(name.to_owned())),
        };
        Ok(Runtime { name: wish.name.clone(), version })
    }

    /// The layer of an exact runtime.
    async fn ensure(&self, runtime: &Runtime) -> Result<Digest, Trouble> {
        let lock = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(under_way.entry(runtime.clone()).or_default())
        };
        let _guard = lock.lock().await;
        if let Some(layer) = self.known(runtime).await? {
            return Ok(layer);
        }
        tracing::info!(runtime.name, runtime.version, "making a runtime's layer");
        self.make(runtime).await
    }

    /// The layer of an exact runtime that was made before. Says that it is in use, so that it is not collected before
    /// a slug refers to it; a word a day is enough, as a build takes minutes and the collection waits for weeks.
    pub(crate) async fn known(&self, runtime: &Runtime) -> Result<Option<Digest>, store::Error> {
        let (name, version) = (runtime.name.as_str(), runtime.version.as_str());
        let Some((layer, used_at)) = store::layers::runtime(&self.store, name, version).await? else {
            return Ok(None);
        };
        if Timestamp::now().micros() - used_at.micros() < USED_EVERY_MICROS {
            return Ok(Some(layer));
        }
        let mut write = self.store.write().await?;
        let layer = store::layers::use_runtime(&mut write, name, version).await?;
        write.commit().await?;
        Ok(layer)
    }

    async fn make(&self, runtime: &Runtime) -> Result<Digest, Trouble> {
        let failed = |source| Error::File { name: runtime.name.clone(), source };
        let source = self.source(runtime).await?;
        let (tar, tar_in) = pipes::pipe().map_err(failed)?;
        let draft = self.blobs.draft().map_err(failed)?;
        let blob: OwnedFd = draft.file().try_clone().map_err(failed)?.into();
        let prefix = format!("/app/.heroku/{}", folder(&runtime.name));
        let writing = tokio::task::spawn_blocking(move || source.write(tar_in));
        let (packed, written) = tokio::join!(self.engine.pack(&prefix, LIMIT, tar, blob), writing);
        let packed = packed?;
        written.map_err(std::io::Error::other).map_err(failed)?.map_err(failed)?;
        let layer = layers::finish(&self.blobs, &packed, draft).await?;
        let mut write = self.store.write().await?;
        layers::record(&mut write, &[&layer]).await?;
        store::layers::set_runtime(&mut write, &runtime.name, &runtime.version, &layer.row.digest).await?;
        write.commit().await?;
        Ok(layer.row.digest.clone())
    }

    /// The verified bytes a runtime is made of.
    async fn source(&self, runtime: &Runtime) -> Result<layout::Source, Error> {
        let package = match runtime.name.as_str() {
            "node" => npm::NODE,
            "npm" => npm::NPM,
            _ => {
                let program: &Path = self.config.static_server.as_deref().ok_or(Error::NoSource("static"))?;
                return Ok(layout::Source::Static(program.to_owned()));
            }
        };
        let draft = self.blobs.draft().map_err(|source| Error::File { name: runtime.name.clone(), source })?;
        let draft = self.npm.download(package, &runtime.version, draft).await?;
        Ok(if runtime.name == "node" { layout::Source::Node(draft) } else { layout::Source::Npm(draft) })
    }
}

/// The folder under `/app/.heroku` a runtime is mounted at; npm lies within Node's, where Node looks for it.
fn folder(name: &str) -> &str {
    if name == "npm" { "node" } else { name }
}
