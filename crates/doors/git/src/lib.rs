//! Git over HTTP: clone and fetch an app's repository, and push to deploy.
//!
//! Knows git's smart protocol as far as HTTP carries it, who may use which repository, and the pre-receive hook
//! ([`frame`](mod@frame) draws what it and control say to each other). Knows no pack: git itself runs as a child of
//! the engine, as a user of its own, and this process only moves bytes between it and the client. It decides nothing
//! about a build: the job does, and a client that goes away leaves it running. A push's branch follows its build's
//! outcome, also when the push itself was cut off ([`pushes`]).

mod access;
mod body;
mod child;
mod deploy;
mod frame;
mod hook;
mod plan;
mod pushes;
mod service;
mod tree;

use std::io;
use std::path::Path;

use axum::Router;
use axum::routing::{get, post};
use blobs::{Blobs, Outputs};
use builds::Builds;
use engine::Engine;
use store::Store;
use vocabulary::AccountId;
use work::{Places, Tasks};

pub use hook::pre_receive_main;

/// The door's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The most bytes of a push, before and after its compression is undone. 1 GiB.
    pub body_limit_bytes: u64,
    /// The most bytes of files in a deployed commit. 1 GiB (Heroku Dev Center, "Limits": checkout).
    pub source_limit_bytes: u64,
    /// How many git children may run at a time; more are answered with 503. 32.
    pub children: usize,
    /// How many of them may be one account's; more are answered with 429. 16.
    pub children_of_account: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { body_limit_bytes: 1 << 30, source_limit_bytes: 1 << 30, children: 32, children_of_account: 16 }
    }
}

/// The door's state; clones share it.
#[derive(Debug, Clone)]
pub struct Git {
    store: Store,
    engine: Engine,
    deploys: deploy::Deploys,
    body_limit_bytes: u64,
    places: Places<AccountId>,
    pushes: pushes::Pushes,
    tasks: Tasks,
}

impl Git {
    /// The door with everything it works on, and the folder in which it keeps pushes while they are built. What an
    /// earlier process left there is settled beside the caller, in its tokio runtime.
    pub fn new(
        store: Store,
        engine: Engine,
        builds: Builds,
        blobs: Blobs,
        outputs: Outputs,
        pushes: &Path,
        config: &Config,
    ) -> io::Result<Self> {
        let source_limit_bytes = config.source_limit_bytes;
        let pushes = pushes::Pushes::open(pushes)?;
        let deploys = deploy::Deploys {
            store: store.clone(),
            builds,
            blobs,
            outputs,
            source_limit_bytes,
            pushes: pushes.clone(),
        };
        let git = Self {
            store,
            engine,
            deploys,
            body_limit_bytes: config.body_limit_bytes,
            places: Places::new(config.children, config.children_of_account),
            pushes,
            tasks: Tasks::default(),
        };
        git.settle_all()?;
        Ok(git)
    }
}

/// The routes `/{app}.git/…`. Every other path under them is 404.
pub fn router(state: Git) -> Router {
    Router::new()
        .route("/{repository}/info/refs", get(service::advertise))
        .route("/{repository}/git-upload-pack", post(service::upload))
        .route("/{repository}/git-receive-pack", post(service::receive))
        .with_state(state)
}

/// Whether a request's path belongs to this door: whoever shares a host with it sends these paths here.
#[must_use]
pub fn is_git_path(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let repository = parts.next().and_then(|name| name.strip_suffix(".git"));
    let rest = parts.next().unwrap_or_default();
    repository.is_some() && ["info/refs", "git-upload-pack", "git-receive-pack"].contains(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_paths_of_a_repository_are_git() {
        for path in ["/app.git/info/refs", "/app.git/git-upload-pack", "/app.git/git-receive-pack"] {
            assert!(is_git_path(path), "{path}");
        }
        for path in ["/apps/app/builds", "/app/info/refs", "/app.git", "/app.git/HEAD", "/a/b.git/info/refs", "/"] {
            assert!(!is_git_path(path), "{path}");
        }
    }
}
