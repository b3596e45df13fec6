//! One pass of repair by whoever asks, while the engine runs or not: dynos outlive it, and what a reload of a firewall
//! takes away while it is gone nobody else puts back.

use std::sync::Mutex;

use tokio::task::JoinSet;

use super::addresses::Addresses;
use super::links::Links;
use super::{Error, NetworkConfig, Parts, check_install, resolver_label};

/// Compares what should be with what is, as the engine does every few seconds, and mends it; answers what it mended.
/// An install without a link to any instance needs nothing. May be repeated, and run beside the engine.
pub async fn repair(config: &NetworkConfig) -> Result<Vec<String>, Error> {
    check_install(&config.install)?;
    let addresses = Addresses::new(config.range, 0).ok_or_else(|| Error::Settings("the range is none".to_owned()))?;
    let mut work = JoinSet::new();
    let (links, netlink) = Links::open()?;
    work.spawn(netlink);
    let prefix = format!("{}-", config.install);
    let offset = |name: &str| u32::from_str_radix(name.strip_prefix(&prefix)?, 16).ok();
    let offsets: Vec<u32> = links.names(&prefix).await?.iter().filter_map(|name| offset(name)).collect();
    if offsets.is_empty() {
        return Ok(vec![]);
    }
    let label = resolver_label(&config.install);
    let resolver = links.labelled_address(&label).await?.ok_or_else(|| Error::Resolver(config.install.clone()))?;
    let parts = Parts {
        config: config.clone(),
        links,
        resolver,
        mtu: 0,
        state: Mutex::new(addresses),
        attached: Mutex::default(),
        refused: Mutex::default(),
    };
    for offset in offsets {
        let address = parts.addresses().address(offset);
        parts.addresses().adopt(address);
        parts.attached().insert(address);
    }
    let mended = parts.converge(false).await?;
    match parts.refused.lock().ok().and_then(|mut refused| refused.take()) {
        Some(why) => Err(Error::Obstacle(why)),
        None => Ok(mended),
    }
}
