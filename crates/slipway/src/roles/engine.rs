//! The engine role: root, and small.

use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use local::git::RepositoriesConfig;
use local::images::ImagesConfig;
use local::instances::InstancesConfig;
use local::network::NetworkConfig;

use super::{Error, Inheritance, doing};
use crate::layout::Layout;
use crate::settings::Settings;
use crate::users::Users;

/// The first address of the first install: the range for tests between networks (RFC 2544), routed nowhere.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Each install has a /20 of it: 4,094 addresses.
const PREFIX: u8 = 20;
/// The first user id that instances get on any install, and how many instances an install has ids for.
const IDS: (u32, u32) = (0x1000_0000, 2048);
/// Ids of one instance.
const IDS_EACH: u32 = 65_536;
/// The first and the last user id that any install gives to instances.
pub(crate) const ID_RANGE: (u32, u32) = (IDS.0, IDS.0 + (crate::layout::SLOTS * IDS.1 * IDS_EACH - 1));

/// Serves until the process ends.
pub(super) fn run(mut inheritance: Inheritance, settings: &Settings, layout: &Layout) -> Result<(), Error> {
    inheritance.follow_supervisor()?;
    let socket = UnixListener::from(inheritance.fd("engine")?);
    let config = config(settings, layout)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(doing("start a runtime"))?;
    runtime.block_on(async {
        let engine = local::Local::take_over(config).await.map_err(doing("start the engine"))?;
        // The socket has listened all the time: what connected meanwhile is answered now.
        inheritance.ready()?;
        engine.serve(socket).await.map_err(doing("run the engine"))
    })
}

fn config(settings: &Settings, layout: &Layout) -> Result<local::Config, Error> {
    let users = Users::ensure().map_err(doing("find the system users"))?;
    let program = std::env::current_exe().map_err(doing("find our own program"))?;
    let slot =
        layout.slot().ok_or_else(|| std::io::Error::other("it is in no slot")).map_err(doing("find our range"))?;
    Ok(local::Config {
        control_uid: users.control.uid,
        instances: instances(layout, slot, &program),
        images: ImagesConfig {
            folder: layout.at("images"),
            stacks: layout.at("stacks"),
            mounts: layout.in_run("mounts"),
            packer_uid: users.packer.uid,
            packer: own(layout, "packer"),
            mksquashfs: PathBuf::from("/usr/bin/mksquashfs"),
        },
        network: network(settings, layout, slot, &users),
        repositories: RepositoriesConfig {
            folder: layout.at("git"),
            uid: users.git.uid,
            gid: users.git.gid,
            hooks: layout.at("hooks"),
            hook_program: layout.at("bin/slipway"),
            git: PathBuf::from("/usr/bin/git"),
            max_input_bytes: 1 << 30,
        },
    })
}

/// The network of an install's instances; nothing before it has a range of addresses.
pub(crate) fn instance_network(settings: &Settings, layout: &Layout, users: &Users) -> Option<NetworkConfig> {
    layout.slot().map(|slot| network(settings, layout, slot, users))
}

fn network(settings: &Settings, layout: &Layout, slot: u32, users: &Users) -> NetworkConfig {
    NetworkConfig {
        install: layout.install.clone(),
        range: (first_address(slot), PREFIX),
        egress_allow: settings.egress_allow.iter().filter_map(|range| range.parse().ok()).collect(),
        nft: PathBuf::from("/usr/sbin/nft"),
        forwarder: own(layout, "forwarder"),
        forwarder_uid: users.packer.uid,
    }
}

/// A subcommand of the copy that users without rights can pass to; the others are started by root.
fn own(layout: &Layout, subcommand: &str) -> Vec<String> {
    vec![layout.at("bin/slipway").display().to_string(), subcommand.to_owned()]
}

/// `program` is ours; what instances need lies beside it.
fn instances(layout: &Layout, slot: u32, program: &Path) -> InstancesConfig {
    let beside = |name: &str| program.with_file_name(format!("slipway-{name}"));
    InstancesConfig {
        install: layout.install.clone(),
        data: layout.data.clone(),
        // A folder of its own, which it closes to all others; short, as socket paths hold 107 bytes.
        run: layout.in_run("i"),
        first_id: first_id(slot),
        ranges: IDS.1,
        shim: beside("shim"),
        programs: ["init", "buildpacks"].map(|name| (name.to_owned(), beside(name))).to_vec(),
        mkfs: PathBuf::from("/sbin/mkfs.ext4"),
    }
}

fn first_address(slot: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + (slot << (32 - PREFIX)))
}

fn first_id(slot: u32) -> u32 {
    IDS.0 + slot * IDS.1 * IDS_EACH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::SLOTS;

    #[test]
    fn every_slot_has_ids_and_addresses_of_its_own() {
        let end = u64::from(IDS.0) + u64::from(SLOTS) * u64::from(IDS.1) * u64::from(IDS_EACH);
        assert!(u32::try_from(end).is_ok());
        assert_eq!(first_id(1) - first_id(0), IDS.1 * IDS_EACH);
        assert_eq!(first_address(1), Ipv4Addr::new(198, 18, 16, 0));
        assert_eq!(first_address(SLOTS - 1), Ipv4Addr::new(198, 18, 240, 0));
    }
}
