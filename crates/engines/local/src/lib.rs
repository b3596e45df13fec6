//! The engine of one machine: namespaces, mounts, network, images, repositories.
//!
//! Knows the requests of crate `engine` and the machine; knows no app's reasons and no path that a request could name.
//! Runs as root in a process of its own: [`Local`] takes over what an earlier engine left and answers on a socket.

pub mod git;
pub mod images;
pub mod instances;
pub mod network;
mod server;
pub mod stack;

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use git::{Repositories, RepositoriesConfig};
use images::{Images, ImagesConfig};
use instances::{Instances, InstancesConfig};
use network::{Network, NetworkConfig};

/// Everything the engine is told by whoever starts it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The user whose processes may give orders, besides root: the control process's.
    pub control_uid: u32,
    /// Instances.
    pub instances: InstancesConfig,
    /// Stacks and layers.
    pub images: ImagesConfig,
    /// The network.
    pub network: NetworkConfig,
    /// Repositories.
    pub repositories: RepositoriesConfig,
}

/// Why the engine could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image store.
    #[error("could not open the image store")]
    Images(#[from] images::Error),
    /// The network.
    #[error("could not set up the network")]
    Network(#[from] network::Error),
    /// The instances.
    #[error("could not take over the instances")]
    Instances(#[from] instances::Error),
    /// The repositories.
    #[error("could not open the repositories")]
    Repositories(#[source] std::io::Error),
    /// The socket.
    #[error("could not listen on the engine's socket")]
    Socket(#[from] std::io::Error),
}

/// The parts that answer requests.
#[derive(Debug)]
struct Parts {
    instances: Instances,
    images: Images,
    repositories: Repositories,
}

/// An engine that has taken over what an earlier one left, and answers as soon as it is given its socket.
#[derive(Debug)]
pub struct Local {
    parts: Arc<Parts>,
    control_uid: u32,
}

impl Local {
    /// Takes over what an earlier engine left. Instances outlive it; the next call with the same config finds them.
    pub async fn take_over(config: Config) -> Result<Self, Error> {
        let images = Images::open(&config.images)?;
        let network = Arc::new(Network::set_up(&config.network).await?);
        let instances = Instances::open(config.instances, images.clone(), Arc::clone(&network)).await?;
        network.sweep().await?;
        let repositories = Repositories::open(&config.repositories).map_err(Error::Repositories)?;
        let parts = Arc::new(Parts { instances, images, repositories });
        Ok(Self { parts, control_uid: config.control_uid })
    }

    /// Answers requests until its socket fails.
    pub async fn serve(self, listener: UnixListener) -> Result<(), Error> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        match server::serve(listener, self.parts, self.control_uid).await {}
    }
}
