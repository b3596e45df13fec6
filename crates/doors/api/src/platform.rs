//! What the handlers work with.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use blobs::{Blobs, Outputs};
use builds::Builds;
use dynos::Dynos;
use logs::Logs;
use releases::Releases;
use shapes::Hosts;
use store::Store;
use vocabulary::AppId;
use work::Wakers;

/// The parts of the platform the API speaks for; clones share them.
#[derive(Debug, Clone)]
pub struct Platform {
    /// The record.
    pub store: Store,
    /// Who is woken after a write of our own.
    pub wakers: Wakers,
    /// Config vars and releases.
    pub releases: Releases,
    /// Scale, restart.
    pub dynos: Dynos,
    /// Builds.
    pub builds: Builds,
    /// Logs.
    pub logs: Logs,
    /// The outputs of builds and release phases.
    pub outputs: Outputs,
    /// Where uploaded sources go.
    pub blobs: Blobs,
    /// The apps' git repositories.
    pub repositories: Repositories,
    /// The stacks there are.
    pub stacks: crate::Stacks,
    /// Under which names apps and git are reached.
    pub hosts: Hosts,
    /// Which addresses the platform may send to for an app.
    pub outbound: outbound::Rules,
}

type Done = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Act = Arc<dyn Fn(AppId) -> Done + Send + Sync>;

/// What makes and deletes an app's repository. The engine does it; a door does not know the engine, so the binary puts
/// the two calls in here. Both may be repeated.
#[derive(Clone)]
pub struct Repositories {
    create: Act,
    remove: Act,
}

impl Repositories {
    /// Repositories made and deleted by these two.
    pub fn new<C, CF, R, RF>(create: C, remove: R) -> Self
    where
        C: Fn(AppId) -> CF + Send + Sync + 'static,
        CF: Future<Output = Result<(), String>> + Send + 'static,
        R: Fn(AppId) -> RF + Send + Sync + 'static,
        RF: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { create: Arc::new(move |app| Box::pin(create(app))), remove: Arc::new(move |app| Box::pin(remove(app))) }
    }

    /// Makes an app's repository. A failure is logged and no more: the first push makes the repository, too.
    pub(crate) async fn create(&self, app: AppId) {
        if let Err(error) = (self.create)(app).await {
            tracing::warn!(app.id = %app, error, "could not make an app's repository; its first push will");
        }
    }

    /// Deletes an app's repository. A failure is logged: the app is gone all the same.
    pub(crate) async fn remove(&self, app: AppId) {
        if let Err(error) = (self.remove)(app).await {
            tracing::error!(app.id = %app, error, "could not delete the repository of a deleted app");
        }
    }
}

impl fmt::Debug for Repositories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repositories")
    }
}
