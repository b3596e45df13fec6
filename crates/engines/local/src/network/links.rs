//! Links, addresses and routes by netlink: a routed pair per instance, without a bridge.
//!
//! ```text
//! host: INSTALL-OFFSET  169.254.77.1/32   route DYNO/32 dev INSTALL-OFFSET
//! dyno: eth0            DYNO/32           route 169.254.77.1 dev eth0; default via 169.254.77.1
//! ```

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteScope};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The host's address on every pair.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 77, 1);
/// The link's name inside.
const INSIDE: &str = "eth0";
const LOOPBACK: &str = "lo";
/// Ethernet's, where the uplink's cannot be found.
const DEFAULT_MTU: u32 = 1500;

/// A netlink call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No netlink socket.
    #[error("could not open netlink: {0}")]
    Open(#[source] io::Error),
    /// The kernel said no.
    #[error("could not {0}: {1}")]
    Kernel(&'static str, #[source] rtnetlink::Error),
    /// A kernel setting could not be written.
    #[error("could not write {0}: {1}")]
    Setting(String, #[source] io::Error),
    /// The link is gone.
    #[error("there is no link {0}")]
    NoLink(String),
    /// The namespace could not be entered.
    #[error("could not enter the instance's network: {0}")]
    Enter(#[source] io::Error),
}

/// A netlink socket in the namespace of whoever opened it.
#[derive(Debug, Clone)]
pub(super) struct Links(Handle);

impl Links {
    /// Opens one; the returned future is its work, to be run until it ends.
    pub(super) fn open() -> Result<(Self, impl Future<Output = ()> + Send), Error> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(Error::Open)?;
        Ok((Self(handle), connection))
    }

    /// The MTU of the link that the default route leaves by.
    pub(super) async fn uplink_mtu(&self) -> u32 {
        match self.find_uplink_mtu().await {
            Ok(Some(mtu)) => mtu,
            _ => DEFAULT_MTU,
        }
    }

    async fn find_uplink_mtu(&self) -> Result<Option<u32>, rtnetlink::Error> {
        let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let routes: Vec<_> = self.0.route().get(all).execute().try_collect().await?;
        let default = routes.iter().find(|route| route.header.destination_prefix_length == 0);
        let index = default.and_then(|route| {
            route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            })
        });
        let Some(index) = index else { return Ok(None) };
        let link = self.0.link().get().match_index(index).execute().try_next().await?;
        Ok(link.and_then(|link| {
            link.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::Mtu(mtu) => Some(*mtu),
                _ => None,
            })
        }))
    }

    /// The number of a link, if there is one of that name.
    pub(super) async fn index(&self, name: &str) -> Option<u32> {
        let found = self.0.link().get().match_name(name).execute().try_next().await;
        found.ok().flatten().map(|link| link.header.index)
    }

    async fn need(&self, name: &str) -> Result<u32, Error> {
        self.index(name).await.ok_or_else(|| Error::NoLink(name.to_owned()))
    }

    /// The names of all links that begin with `prefix`.
    pub(super) async fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let links: Vec<LinkMessage> =
            self.0.link().get().execute().try_collect().await.map_err(kernel("list links"))?;
        let names = links.into_iter().flat_map(|link| link.attributes).filter_map(|attribute| match attribute {
            LinkAttribute::IfName(name) if name.starts_with(prefix) => Some(name),
            _ => None,
        });
        Ok(names.collect())
    }

    /// Deletes a link, if there is one of that name.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        match self.index(name).await {
            Some(index) => self.0.link().del(index).execute().await.map_err(kernel("delete a link")),
            None => Ok(()),
        }
    }

    /// Gives the host's loopback link an address under a label, `lo:INSTALL`, for the DNS forwarder. A link of its own
    /// would take a driver (dummy) that not every kernel has. May be repeated.
    pub(super) async fn add_labelled(&self, label: &str, address: Ipv4Addr) -> Result<(), Error> {
        let index = self.need(LOOPBACK).await?;
        let mut add = self.0.address().add(index, IpAddr::V4(address), 32).replace();
        add.message_mut().attributes.push(AddressAttribute::Label(label.to_owned()));
        add.execute().await.map_err(kernel("give the host the resolver's address"))
    }

    /// Takes it away again.
    pub(super) async fn delete_labelled(&self, label: &str) -> Result<(), Error> {
        for message in self.labelled(label).await? {
            self.0.address().del(message).execute().await.map_err(kernel("delete the resolver's address"))?;
        }
        Ok(())
    }

    /// The address under a label, if there is one.
    pub(super) async fn labelled_address(&self, label: &str) -> Result<Option<Ipv4Addr>, Error> {
        let found = self.labelled(label).await?.into_iter().flat_map(|message| message.attributes);
        Ok(found.into_iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(IpAddr::V4(address)) => Some(address),
            _ => None,
        }))
    }

    async fn labelled(&self, label: &str) -> Result<Vec<AddressMessage>, Error> {
        let all: Vec<AddressMessage> =
            self.0.address().get().execute().try_collect().await.map_err(kernel("list addresses"))?;
        let ours = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Label(found) if found == label);
        Ok(all.into_iter().filter(|message| message.attributes.iter().any(ours)).collect())
    }

    async fn add_address(&self, index: u32, address: Ipv4Addr) -> Result<(), Error> {
        let add = self.0.address().add(index, IpAddr::V4(address), 32).replace();
        add.execute().await.map_err(kernel("give a link its address"))
    }

    /// The host's half of a pair whose other half is made inside `netns`.
    pub(super) async fn add_pair(&self, name: &str, netns: &OwnedFd, mtu: u32) -> Result<(), Error> {
        self.delete(name).await?;
        let peer = LinkMessageBuilder::<LinkUnspec>::new().name(INSIDE).mtu(mtu).setns_by_fd(netns.as_raw_fd()).build();
        let pair = LinkMessageBuilder::<LinkVeth>::new(name, INSIDE)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .mtu(mtu)
            .build();
        self.0.link().add(pair).execute().await.map_err(kernel("make an instance's link"))?;
        // Before it is up: no IPv6 address may appear, and a dyno must not send with another's address.
        write_setting(&format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "1")?;
        disable_ipv6(name)?;
        let index = self.need(name).await?;
        self.add_address(index, GATEWAY).await?;
        let up = LinkUnspec::new_with_index(index).up().build();
        self.0.link().set(up).execute().await.map_err(kernel("bring an instance's link up"))
    }

    /// The host's route to an instance. May be repeated.
    pub(super) async fn add_route(&self, name: &str, dyno: Ipv4Addr) -> Result<(), Error> {
        let index = self.need(name).await?;
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(dyno, 32)
            .output_interface(index)
            .scope(RouteScope::Link)
            .pref_source(GATEWAY)
            .build();
        self.0.route().add(route).replace().execute().await.map_err(kernel("add the route to an instance"))
    }

    /// The instance's half; call it inside its namespace.
    async fn configure_inside(&self, dyno: Ipv4Addr) -> Result<(), Error> {
        for link in ["all", "default"] {
            disable_ipv6(link)?;
        }
        for name in ["lo", INSIDE] {
            let index = self.need(name).await?;
            if name == INSIDE {
                self.add_address(index, dyno).await?;
            }
            let up = LinkUnspec::new_with_index(index).up().build();
            self.0.link().set(up).execute().await.map_err(kernel("bring a link up inside"))?;
        }
        let index = self.need(INSIDE).await?;
        let gateway = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(GATEWAY, 32)
            .output_interface(index)
            .scope(RouteScope::Link)
            .build();
        self.0.route().add(gateway).replace().execute().await.map_err(kernel("add the gateway inside"))?;
        let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(GATEWAY).output_interface(index).build();
        self.0.route().add(default).replace().execute().await.map_err(kernel("add the default route inside"))
    }
}

fn kernel(attempted: &'static str) -> impl Fn(rtnetlink::Error) -> Error {
    move |error| Error::Kernel(attempted, error)
}

/// Writes a kernel setting of the namespace of the calling thread.
pub(super) fn write_setting(path: &str, value: &str) -> Result<(), Error> {
    fs::write(path, value).map_err(|error| Error::Setting(path.to_owned(), error))
}

fn disable_ipv6(link: &str) -> Result<(), Error> {
    match write_setting(&format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6"), "1") {
        // A kernel without IPv6 has none to disable.
        Err(Error::Setting(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Configures an instance's half of its pair. Blocking; enters the namespace on a thread that ends with it, since a
/// thread that was in there must serve nothing else.
pub(super) fn configure_inside(netns: &OwnedFd, dyno: Ipv4Addr) -> Result<(), Error> {
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| Error::Enter(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(Error::Open)?;
    runtime.block_on(async {
        let (links, work) = Links::open()?;
        let work = tokio::spawn(work);
        let done = links.configure_inside(dyno).await;
        work.abort();
        done
    })
}
