//! The network of the instances: a namespace with a routed link for each, one firewall table, a DNS forwarder.
//!
//! Knows addresses, links and rules; knows neither apps nor ports. What it sets up is compared with what is there
//! every [`CHECK`] and repaired, so that a flushed firewall, a reset sysctl or a deleted route heals by itself; no
//! dyno notices. It leaves `ip_forward` on when it ends.

mod addresses;
pub mod foreign;
mod forwarder;
mod links;
mod nft;
mod repair;
mod rules;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use engine::Kind;
use tokio::task::JoinSet;

use addresses::Addresses;
use links::Links;
use rules::Rules;

pub use forwarder::forwarder_main;
pub use repair::repair;
pub use rules::is_private;
pub use vocabulary::{EgressAllow, InvalidEgressAllow};

/// How often what should be is compared with what is (reliability R13: repaired within 5 s).
const CHECK: Duration = Duration::from_secs(3);
/// How long an earlier engine's forwarder may take to let go of its port.
const PORT_PATIENCE: Duration = Duration::from_secs(3);
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
/// Linux's limit for a link's name is 15 bytes: this, `-` and six hexadecimal digits.
const MAX_INSTALL: usize = 8;

/// The network of one install.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Names the table and the links: 1 to 8 lower-case letters and digits.
    pub install: String,
    /// Where the instances' addresses come from: address and prefix length, 198.18.0.0/16 unless it is in use.
    pub range: (Ipv4Addr, u8),
    /// What instances may reach although it is private.
    pub egress_allow: Vec<EgressAllow>,
    /// nft 1.0 or newer.
    pub nft: PathBuf,
    /// The program and first arguments that call [`forwarder_main`].
    pub forwarder: Vec<String>,
    /// The user (and group) the DNS forwarder runs as.
    pub forwarder_uid: u32,
}

/// What the network could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings make no network.
    #[error("could not use the network settings: {0}")]
    Settings(String),
    /// The kernel's links and routes.
    #[error(transparent)]
    Links(#[from] links::Error),
    /// The firewall.
    #[error(transparent)]
    Firewall(#[from] nft::Error),
    /// The DNS forwarder's port.
    #[error("could not listen for DNS on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The DNS forwarder.
    #[error("could not start the DNS forwarder: {0}")]
    Forwarder(#[source] io::Error),
    /// What instances ask for names is gone; only an engine that starts chooses it.
    #[error("the address of the DNS forwarder of {0} is gone")]
    Resolver(String),
    /// A firewall of others.
    #[error("a firewall of others drops what dynos send, and no rule can be put into it: {0}")]
    Obstacle(String),
    /// Every address of the range is in use.
    #[error("no address of the range is free")]
    Full,
    /// The address was not reserved here.
    #[error("could not use {0}: it is not one of this install's")]
    Foreign(Ipv4Addr),
    /// The thread that configures a namespace went away.
    #[error("could not configure an instance's network: the work broke off")]
    BrokeOff,
}

/// The running network. Its work ends when it is dropped; links and rules stay, dynos use them.
#[derive(Debug)]
pub struct Network {
    parts: Arc<Parts>,
    _work: JoinSet<()>,
}

#[derive(Debug)]
struct Parts {
    config: NetworkConfig,
    links: Links,
    resolver: Ipv4Addr,
    mtu: u32,
    state: Mutex<Addresses>,
    attached: Mutex<std::collections::BTreeSet<Ipv4Addr>>,
    /// Why a firewall of others could not be opened, so that it is told once.
    refused: Mutex<Option<String>>,
}

impl Network {
    /// Sets it up, or takes over what an earlier engine of this install set up. After every running instance is
    /// adopted ([`Network::adopt`]), call [`Network::sweep`].
    pub async fn set_up(config: &NetworkConfig) -> Result<Network, Error> {
        let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs());
        let addresses = Addresses::new(config.range, seed).filter(|_| config.range.1 >= 8);
        let addresses = addresses.ok_or_else(|| Error::Settings("the range must be a /8 to a /30".to_owned()))?;
        check_install(&config.install)?;
        let mut work = JoinSet::new();
        let (links, netlink) = Links::open()?;
        work.spawn(netlink);
        let (resolver, sockets) = listen(&links, &config.install).await?;
        let mtu = links.uplink_mtu().await;
        let attached = Mutex::default();
        let parts = Parts {
            config: config.clone(),
            links,
            resolver,
            mtu,
            state: Mutex::new(addresses),
            attached,
            refused: Mutex::default(),
        };
        let parts = Arc::new(parts);
        parts.converge(true).await?;
        work.spawn(Arc::clone(&parts).keep_converged());
        work.spawn(forwarder::supervise(config.forwarder.clone(), config.forwarder_uid, sockets));
        Ok(Network { parts, _work: work })
    }

    /// The least recently used free address; it stays reserved until [`Network::detach`].
    pub fn reserve(&self) -> Result<Ipv4Addr, Error> {
        self.parts.addresses().reserve().ok_or(Error::Full)
    }

    /// Marks an address as in use by an instance that an earlier engine started.
    pub fn adopt(&self, address: Ipv4Addr) {
        self.parts.addresses().adopt(address);
        self.parts.attached().insert(address);
    }

    /// Deletes the links of instances that are no more: those whose address is neither reserved nor adopted.
    pub async fn sweep(&self) -> Result<(), Error> {
        let prefix = self.parts.prefix();
        for name in self.parts.links.names(&prefix).await? {
            let offset = name.strip_prefix(&prefix).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let used = |offset| {
                let addresses = self.parts.addresses();
                addresses.is_used(addresses.address(offset))
            };
            if offset.is_some_and(|offset| !used(offset)) {
                self.parts.links.delete(&name).await?;
            }
        }
        Ok(())
    }

    /// Connects the namespace `netns` to the host under a reserved `address`. May be repeated for a new namespace.
    pub async fn attach(&self, netns: BorrowedFd<'_>, address: Ipv4Addr, kind: Kind) -> Result<(), Error> {
        let name = self.parts.link(address)?;
        let netns = netns.try_clone_to_owned().map_err(links::Error::Enter)?;
        self.parts.links.add_pair(&name, &netns, self.parts.mtu).await?;
        configure_inside(netns, address).await?;
        self.parts.links.add_route(&name, address).await?;
        self.parts.attached().insert(address);
        tracing::debug!(dyno.address = %address, ?kind, link = name, "connected an instance");
        Ok(())
    }

    /// Disconnects the instance with this address and frees it.
    pub async fn detach(&self, address: Ipv4Addr) {
        self.parts.attached().remove(&address);
        let Ok(name) = self.parts.link(address) else { return };
        if let Err(error) = self.parts.links.delete(&name).await {
            tracing::warn!(%error, link = name, "could not delete an instance's link");
        }
        self.parts.addresses().free(address);
    }

    /// Where instances send their DNS questions: the line for their `resolv.conf`.
    #[must_use]
    pub fn resolver(&self) -> Ipv4Addr {
        self.parts.resolver
    }
}

impl Parts {
    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attached(&self) -> MutexGuard<'_, std::collections::BTreeSet<Ipv4Addr>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prefix(&self) -> String {
        format!("{}-", self.config.install)
    }

    fn link(&self, address: Ipv4Addr) -> Result<String, Error> {
        let addresses = self.addresses();
        let offset = addresses.offset(address).filter(|_| addresses.is_used(address));
        offset.map(|offset| format!("{}{offset:06x}", self.prefix())).ok_or(Error::Foreign(address))
    }

    async fn keep_converged(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(CHECK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.converge(false).await {
                tracing::error!(%error, "could not repair the network of the instances");
            }
        }
    }

    /// Makes firewall, forwarding and routes what they should be. `anew` replaces the table even if it is whole. Answers
    /// what it mended, in words; routes and the resolver's address are renewed without a word.
    async fn converge(&self, anew: bool) -> Result<Vec<String>, Error> {
        let mut mended = forward()?;
        mended.extend(self.protect(anew).await?);
        mended.extend(self.open_firewalls().await);
        self.links.add_labelled(&resolver_label(&self.config.install), self.resolver).await?;
        let attached: Vec<Ipv4Addr> = self.attached().iter().copied().collect();
        for address in attached {
            // An instance that is just going has no link any more.
            if let Ok(name) = self.link(address)
                && let Err(error) = self.links.add_route(&name, address).await
            {
                tracing::debug!(%error, link = name, "could not renew a route");
            }
        }
        Ok(mended)
    }

    /// Puts our own table in place.
    async fn protect(&self, anew: bool) -> Result<Vec<String>, Error> {
        let (table, prefix) = (format!("slipway-{}", self.config.install), self.prefix());
        let allow = &self.config.egress_allow;
        let rules = Rules { table: &table, links: &prefix, range: self.config.range, resolver: self.resolver, allow };
        if !anew && nft::count_rules(&self.config.nft, &table).await? == rules.count() {
            return Ok(vec![]);
        }
        nft::apply(&self.config.nft, &rules.document()).await?;
        tracing::info!(table, "put the firewall in place");
        Ok(vec![format!("put the rules for dynos in place (table inet {table})")])
    }

    /// Lets the dynos' packets through what others drop. That it cannot is told once, and hinders nothing else.
    async fn open_firewalls(&self) -> Vec<String> {
        let (opened, refused) = match foreign::open(&self.config.nft, &self.config.install).await {
            Ok(opened) => (opened, None),
            Err(error) => (vec![], Some(error.to_string())),
        };
        for chain in &opened {
            tracing::info!(chain, "put rules for dynos into a firewall that drops what the host forwards");
        }
        let mut before = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = refused.as_ref().filter(|_| *before != refused) {
            tracing::error!(error, "a firewall of others drops what dynos send, and no rule can be put into it");
        }
        *before = refused;
        opened.into_iter().map(|chain| format!("had a firewall that drops let dynos through ({chain})")).collect()
    }
}

/// Has the kernel forward packets.
fn forward() -> Result<Vec<String>, Error> {
    if std::fs::read_to_string(IP_FORWARD).is_ok_and(|value| value.trim() != "1") {
        links::write_setting(IP_FORWARD, "1")?;
        return Ok(vec!["had the kernel forward packets (ip_forward)".to_owned()]);
    }
    Ok(vec![])
}

/// What the DNS forwarder's address is called on the host's loopback link.
fn resolver_label(install: &str) -> String {
    format!("lo:{install}")
}

fn check_install(install: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fine = (1..=MAX_INSTALL).contains(&install.len()) && install.bytes().all(plain);
    if fine { Ok(()) } else { Err(Error::Settings(format!("{install:?} does not name an install"))) }
}

/// The resolver's address, kept from an earlier engine or the first one nobody else on this host listens on.
async fn listen(links: &Links, install: &str) -> Result<(Ipv4Addr, forwarder::Sockets), Error> {
    let label = resolver_label(install);
    if let Some(address) = links.labelled_address(&label).await? {
        let until = tokio::time::Instant::now() + PORT_PATIENCE;
        loop {
            match bind(address) {
                Err(Error::Listen(_, error)) if in_use(&error) && tokio::time::Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                done => return done.map(|sockets| (address, sockets)),
            }
        }
    }
    let start = install.bytes().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let mut last = Error::Settings("no address for the DNS forwarder".to_owned());
    for step in 0..=u8::MAX {
        let address = Ipv4Addr::new(169, 254, 78, start.wrapping_add(step).max(1));
        links.add_labelled(&label, address).await?;
        match bind(address) {
            Ok(sockets) => return Ok((address, sockets)),
            Err(Error::Listen(_, error)) if in_use(&error) => {
                last = Error::Listen(SocketAddrV4::new(address, 53).into(), error);
            }
            Err(error) => return Err(error),
        }
        links.delete_labelled(&label).await?;
    }
    Err(last)
}

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn bind(address: Ipv4Addr) -> Result<forwarder::Sockets, Error> {
    let place = SocketAddr::from((address, 53));
    let listen = |error| Error::Listen(place, error);
    let udp = std::net::UdpSocket::bind(place).map_err(listen)?;
    let tcp = std::net::TcpListener::bind(place).map_err(listen)?;
    Ok(forwarder::Sockets { udp: udp.into(), tcp: tcp.into() })
}

async fn configure_inside(netns: OwnedFd, address: Ipv4Addr) -> Result<(), Error> {
    let (answer, wait) = tokio::sync::oneshot::channel();
    let work = move || {
        // If nobody waits any more, nobody needs the answer.
        drop(answer.send(links::configure_inside(&netns, address)));
    };
    std::thread::Builder::new().name("netns".to_owned()).spawn(work).map_err(links::Error::Enter)?;
    Ok(wait.await.map_err(|_| Error::BrokeOff)??)
}
