//! `slipway doctor`: whether this machine can run the platform, each finding with what to do about it.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use local::network::{EgressAllow, is_private};

use crate::layout::Layout;
use crate::printer;
use crate::settings::Settings;
use crate::supervisor::of_install;

/// The oldest kernel with idmapped squashfs layers.
const KERNEL: (u32, u32) = (6, 2);
/// Free space under which deploys soon fail: two stack images, a few slugs and build space.
const FREE_GIB: u64 = 5;
/// Programs the platform runs, with the Debian package that has each.
const PROGRAMS: [(&str, &str); 7] = [
    ("git", "git"),
    ("nft", "nftables"),
    ("mksquashfs", "squashfs-tools"),
    ("mmdebstrap", "mmdebstrap"),
    ("mkfs.ext4", "e2fsprogs"),
    ("useradd", "passwd"),
    ("ip", "iproute2"),
];

/// One thing looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Fine; what was seen.
    Good(String),
    /// The platform runs, but something will hurt; what to do.
    Warning(String),
    /// The platform cannot run; what to do.
    Bad(String),
}

/// Prints every finding; fails if one is bad.
pub(crate) fn run(settings: &Settings) -> ExitCode {
    let findings = examine(settings);
    for finding in &findings {
        match finding {
            Finding::Good(text) => printer::say(format!("  good     {text}")),
            Finding::Warning(text) => printer::say(format!("  warning  {text}")),
            Finding::Bad(text) => printer::say(format!("  BAD      {text}")),
        }
    }
    if findings.iter().any(|finding| matches!(finding, Finding::Bad(_))) {
        printer::say("this machine cannot run the platform as it is");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Everything that is looked at, in this order.
pub(crate) fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![root(), kernel(&read("/proc/sys/kernel/osrelease")), cgroups(), filesystems()];
    findings.extend(PROGRAMS.iter().map(|(program, package)| self::program(program, package)));
    findings.extend([loop_devices(), forwarding(), disk(&settings.data)]);
    findings.extend(usage(&settings.data));
    findings.push(record(settings));
    findings.extend(authority(&settings.data));
    findings.extend(settings.sources.iter().map(|(name, url)| package_source(name, url, &settings.egress_allow)));
    findings
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn root() -> Finding {
    if rustix::process::geteuid().is_root() {
        Finding::Good("running as root".to_owned())
    } else {
        Finding::Bad("not root: run slipway as root; it makes namespaces, mounts and cgroups".to_owned())
    }
}

fn kernel(release: &str) -> Finding {
    let release = release.trim();
    let mut numbers = release.split(['.', '-', '+']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= KERNEL => Finding::Good(format!("kernel {release}")),
        _ => Finding::Bad(format!(
            "kernel {release}: {}.{} or newer is needed, as dynos share read-only images under users of their own \
             (Debian 13 and Ubuntu 24.04 have it)",
            KERNEL.0, KERNEL.1
        )),
    }
}

fn cgroups() -> Finding {
    let unified = read("/sys/fs/cgroup/cgroup.controllers");
    let (v2, v1): (Vec<_>, Vec<_>) = ["memory", "cpu", "pids"]
        .map(|name| {
            (unified.split_whitespace().any(|word| word == name), Path::new("/sys/fs/cgroup").join(name).is_dir())
        })
        .into_iter()
        .unzip();
    match (v2.into_iter().all(|there| there), v1.into_iter().all(|there| there)) {
        (true, _) => Finding::Good("cgroup v2 with memory, cpu and pids".to_owned()),
        (_, true) => Finding::Good("cgroup v1 with memory, cpu and pids".to_owned()),
        _ => Finding::Bad(
            "no cgroup controllers memory, cpu and pids: boot with them, or mount /sys/fs/cgroup".to_owned(),
        ),
    }
}

fn filesystems() -> Finding {
    let known = read("/proc/filesystems");
    let missing: Vec<&str> = ["overlay", "squashfs", "ext4"]
        .into_iter()
        .filter(|name| !known.lines().any(|line| line.split_whitespace().last() == Some(name)) && !loads(name))
        .collect();
    if missing.is_empty() {
        Finding::Good("file systems overlay, squashfs and ext4".to_owned())
    } else {
        Finding::Bad(format!("the kernel lacks {}: load the modules or choose another kernel", missing.join(", ")))
    }
}

fn loads(module: &str) -> bool {
    let quiet = Command::new("modprobe").arg(module).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn program(name: &str, package: &str) -> Finding {
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    match folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists()) {
        Some(path) => Finding::Good(format!("{name} at {}", path.display())),
        None => Finding::Bad(format!("{name} is missing: apt-get install {package}")),
    }
}

fn loop_devices() -> Finding {
    if Path::new("/dev/loop-control").exists() {
        Finding::Good("loop devices".to_owned())
    } else {
        Finding::Bad("no /dev/loop-control: load the module loop, or allow loop devices in this container".to_owned())
    }
}

/// A firewall whose forward chain drops by default (docker, ufw) drops our dynos' packets as well: a packet must pass
/// every table.
fn forwarding() -> Finding {
    let listed = Command::new("nft").args(["-j", "list", "chains"]).stdin(Stdio::null()).output();
    let dropping = listed.ok().and_then(|output| dropping_chains(&output.stdout)).unwrap_or_default();
    if dropping.is_empty() {
        return Finding::Good("no firewall drops forwarded packets".to_owned());
    }
    Finding::Warning(format!(
        "{} drops forwarded packets, so dynos cannot reach the internet: allow 198.18.0.0/16 there (docker: add it to \
         the chain DOCKER-USER; ufw: `ufw default allow routed`)",
        dropping.join(", ")
    ))
}

fn dropping_chains(json: &[u8]) -> Option<Vec<String>> {
    let listed: serde_json::Value = serde_json::from_slice(json).ok()?;
    let chains = listed["nftables"].as_array()?.iter().map(|entry| &entry["chain"]);
    let drops = chains.filter(|chain| chain["hook"] == "forward" && chain["policy"] == "drop");
    Some(drops.map(|chain| format!("table {} {}", text(&chain["family"]), text(&chain["table"]))).collect())
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// Builds fetch packages themselves; a mirror inside a private network is refused to them unless it is opened.
fn package_source(name: &str, url: &str, egress_allow: &[String]) -> Finding {
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let port = if url.starts_with("https") { 443 } else { 80 };
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    let Ok(addresses) = address.to_socket_addrs() else {
        return Finding::Warning(format!("{name} packages come from {host}, which cannot be resolved here"));
    };
    let allowed: Vec<EgressAllow> = egress_allow.iter().filter_map(|range| range.parse().ok()).collect();
    let closed = addresses.filter_map(|address| match address {
        SocketAddr::V4(address) if is_private(*address.ip()) => Some(address),
        _ => None,
    });
    let closed = closed.filter(|address| !allowed.iter().any(|range| range.opens(*address.ip(), address.port())));
    match closed.into_iter().next() {
        None => Finding::Good(format!("{name} packages come from {host}")),
        Some(address) => Finding::Warning(format!(
            "{name} packages come from {host} at the private address {}, which builds do not reach: give \
             --egress-allow {}/32:{} (or SLIPWAY_EGRESS_ALLOW)",
            address.ip(),
            address.ip(),
            address.port()
        )),
    }
}

fn disk(data: &Path) -> Finding {
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(existing) {
        Ok(stat) => {
            let free = stat.f_bavail * stat.f_frsize / (1 << 30);
            let told = format!("{free} GiB free at {}", existing.display());
            if free >= FREE_GIB {
                Finding::Good(told)
            } else {
                Finding::Warning(format!("{told}: have {FREE_GIB} or more"))
            }
        }
        Err(error) => Finding::Warning(format!("cannot see the free space at {}: {error}", existing.display())),
    }
}

/// Folders of the data folder that grow with use; who bounds each is told in its owner's documents.
const OWNED: [&str; 7] = ["blobs", "images", "stacks", "git", "outputs", "logs", "dynos"];

/// What the data folder holds, by folder; nothing before there is one.
fn usage(data: &Path) -> Option<Finding> {
    let folders = OWNED.map(|name| (name, used(&data.join(name))));
    let all: u64 = folders.iter().map(|(_, bytes)| bytes).sum();
    let told: Vec<String> = folders.iter().map(|(name, bytes)| format!("{name} {}", mebibytes(*bytes))).collect();
    data.exists().then(|| Finding::Good(format!("{} holds {}: {}", data.display(), mebibytes(all), told.join(", "))))
}

/// The database that holds the record.
fn record(settings: &Settings) -> Finding {
    let named = settings.database_url.as_ref().and_then(|url| url.reveal().parse().ok());
    let database = match Layout::open(&settings.data) {
        Ok(Some(layout)) => of_install(named, &layout),
        _ => Ok(named.unwrap_or_else(|| settings.data.join("store/slipway.db").as_path().into())),
    };
    let database = match database {
        Ok(database) => database,
        Err(error) => return Finding::Bad(format!("the record cannot be found: {error}")),
    };
    match crate::block_on(store::about(&database)) {
        Err(error) => Finding::Bad(format!("the record cannot be used ({database}): {}", chain(&error))),
        Ok(about) if about.is_current == Some(false) => Finding::Warning(format!(
            "the record's schema is another version's ({}; {database}): `slipway up` or `slipway db migrate` brings an \
             older one up to date",
            about.version
        )),
        Ok(about) if !about.is_private => Finding::Warning(format!(
            "the record travels unencrypted ({}; {database}): add sslmode=verify-full to its URL",
            about.version
        )),
        Ok(about) => Finding::Good(format!("the record is in {}: {database}", about.version)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What people elsewhere know this platform by; nothing before its first start.
fn authority(data: &Path) -> Option<Finding> {
    let layout = crate::layout::Layout::open(data).ok()??;
    let fingerprint = crate::ca::fingerprint(&layout).ok()?;
    Some(Finding::Good(format!("authority with the fingerprint {fingerprint} (for `slipway connect` elsewhere)")))
}

/// The bytes a folder takes on the disk; holes of sparse files do not count. What cannot be read counts as nothing.
fn used(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => used(&entry.path()),
        Ok(about) => about.blocks() * 512,
        Err(_) => 0,
    });
    each.sum()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_bad() {
        assert!(matches!(kernel("6.1.0-28-amd64\n"), Finding::Bad(_)));
        assert!(matches!(kernel("nonsense"), Finding::Bad(_)));
        for release in ["6.2.0", "6.18.44-fc", "7.0-rc1"] {
            assert!(matches!(kernel(release), Finding::Good(_)), "{release}");
        }
    }

    #[test]
    fn a_private_package_source_is_told_unless_it_is_opened() {
        let told = package_source("npm", "http://192.168.7.7:8080/npm/", &[]);
        assert!(
            matches!(&told, Finding::Warning(text) if text.contains("--egress-allow 192.168.7.7/32:8080")),
            "{told:?}"
        );
        let opened = package_source("npm", "http://192.168.7.7:8080/npm/", &["192.168.0.0/16".to_owned()]);
        assert!(matches!(opened, Finding::Good(_)), "{opened:?}");
    }

    #[test]
    fn the_data_folder_is_told_by_its_folders() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(data.path().join("blobs/ab")).unwrap();
        fs::write(data.path().join("blobs/ab/blob"), vec![1; (1 << 20) + 1]).unwrap();
        let told = usage(data.path()).unwrap();
        assert!(matches!(&told, Finding::Good(text) if text.contains("blobs 2 MiB, images 0 MiB")), "{told:?}");
        assert_eq!(usage(&data.path().join("missing")), None);
    }

    #[test]
    fn a_dropping_forward_chain_is_seen() {
        let json = br#"{"nftables":[{"metainfo":{}},{"chain":{"family":"ip","table":"filter","name":"FORWARD",
            "hook":"forward","policy":"drop"}},{"chain":{"family":"inet","table":"x","hook":"input","policy":"drop"}}]}"#;
        assert_eq!(dropping_chains(json).unwrap(), ["table ip filter"]);
    }
}
