//! The network: addresses, ports, firewalls of others, and the way to packages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;

use local::network::foreign::{Obstacle, obstacles};
use local::network::{EgressAllow, is_private};

use super::finding::{Finding, ok, problem, warning};
use super::host::is_nearly_used;
use super::{Running, read};
use crate::settings::Settings;

/// The range all installs of a machine take their addresses from (RFC 2544).
const RANGE: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 16);
/// What the kernel's table of connections holds by default on a machine of middling size; a dyno may have 8,192.
pub(super) const CONNECTIONS: u64 = 65_536;

pub(super) fn all(settings: &Settings, running: &Running) -> Vec<Finding> {
    let listening = read("/proc/net/tcp") + &read("/proc/net/tcp6");
    let connections = |name: &str| read(&format!("/proc/sys/net/netfilter/nf_conntrack_{name}"));
    let mut findings = vec![
        addresses(&read("/proc/net/route")),
        forwarding(&read("/proc/sys/net/ipv4/ip_forward")),
        firewall(seen(running), running),
        tracking(&connections("max"), &connections("count")),
    ];
    findings.extend(settings.listen.iter().map(|address| port(*address, &listening, running)));
    findings.extend(settings.sources.iter().map(|(name, url)| package_source(name, url, &settings.egress_allow)));
    findings
}

/// Routes to others in our range: /proc/net/route has destination and mask as hexadecimal, byte for byte.
fn addresses(routes: &str) -> Finding {
    let number = |text: &str| u32::from_str_radix(text, 16).map(u32::swap_bytes).ok();
    let (first, prefix) = (RANGE.0.to_bits(), RANGE.1);
    let mask = u32::MAX << (32 - prefix);
    let taken = routes.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (link, destination) = (fields.next()?, number(fields.next()?)?);
        let others = number(fields.nth(5)?)?;
        // A default route leads to the rest of the world, and dynos' own links are ours.
        let common = others & mask;
        let overlaps = others != 0 && destination & common == first & common;
        (overlaps && !is_dynos(link))
            .then(|| format!("{}/{} by {link}", Ipv4Addr::from(destination), others.count_ones()))
    });
    let taken: Vec<String> = taken.take(4).collect();
    if taken.is_empty() {
        return ok("addresses", format!("nobody else uses {}/{prefix}", RANGE.0));
    }
    problem(
        "addresses",
        format!("{}/{prefix}, where dynos get their addresses, is routed to {}", RANGE.0, taken.join(", ")),
        "give other addresses to that network; this range is for tests between networks (RFC 2544)",
    )
}

/// `INSTALL-NUMBER`, as the engine names the host's end of a dyno's link.
fn is_dynos(link: &str) -> bool {
    let digits = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    link.split_once('-').is_some_and(|(install, number)| install.len() <= 8 && digits(number))
}

fn forwarding(value: &str) -> Finding {
    match value.trim() {
        "1" => ok("ip_forward", "the kernel forwards packets"),
        "0" => ok("ip_forward", "off; slipway turns it on when it starts, and keeps it on"),
        _ => problem("ip_forward", "the kernel cannot forward packets", "choose a kernel with IPv4 forwarding"),
    }
}

fn seen(running: &Running) -> Result<Vec<Obstacle>, String> {
    let install = running.install.clone().unwrap_or_default();
    let seen = crate::block_on(obstacles(Path::new("/usr/sbin/nft"), &install));
    seen.map_err(|error| error.to_string())
}

fn firewall(seen: Result<Vec<Obstacle>, String>, running: &Running) -> Finding {
    let obstacles = match seen {
        Ok(obstacles) if obstacles.is_empty() => return ok("firewall", "none of others drops what dynos send"),
        Ok(obstacles) => obstacles,
        Err(error) => return warning("firewall", format!("cannot be seen: {error}"), "run slipway doctor as root"),
    };
    let names = |open: bool| -> Vec<&str> {
        obstacles.iter().filter(|one| one.open == open).map(|one| one.chain.as_str()).collect()
    };
    let (open, closed) = (names(true).join("; "), names(false).join("; "));
    if closed.is_empty() {
        return ok("firewall", format!("drops what is forwarded, and has slipway's rules for dynos: {open}"));
    }
    if !running.now {
        let text = format!("drops what is forwarded, and gets rules for dynos while slipway runs: {closed}");
        return ok("firewall", text);
    }
    problem(
        "firewall",
        format!("drops what dynos send, and has no rules for them: {closed}"),
        "slipway doctor --repair; if it stays, slipway's log says why the rules cannot be put in",
    )
}

fn tracking(most: &str, count: &str) -> Finding {
    let (Ok(most), Ok(count)) = (most.trim().parse::<u64>(), count.trim().parse::<u64>()) else {
        return ok("connections", "not counted yet; the first rule of a firewall begins it");
    };
    let told = format!("{count} of {most} connections in the kernel's table");
    let advice = "sysctl -w net.netfilter.nf_conntrack_max=262144, and the same in /etc/sysctl.d";
    if most < CONNECTIONS || is_nearly_used(count, most) {
        return warning("connections", told, advice);
    }
    ok("connections", told)
}

/// Whether somebody else listens where we will; `listening` is /proc/net/tcp and tcp6.
fn port(address: SocketAddr, listening: &str, running: &Running) -> Finding {
    let taken = listening.lines().filter_map(listener).any(|other| {
        other.port() == address.port()
            && (other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified())
    });
    match (taken, running.now) {
        (false, false) => ok("port", format!("{address} is free")),
        (true, true) => ok("port", format!("{address} is taken, and slipway runs")),
        (false, true) => {
            warning("port", format!("slipway runs, and nobody listens at {address}"), "restart it with these settings")
        }
        (true, false) => {
            let port = address.port();
            let advice = format!("ss -ltnp 'sport = :{port}' tells who; stop it, or give another --listen");
            problem("port", format!("somebody else listens at {address}"), advice)
        }
    }
}

/// The address of a line whose state is LISTEN (0A): words of the address in the host's order.
fn listener(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != "0A" {
        return None;
    }
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).map(u32::swap_bytes).ok();
    let ip = if address.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let words = [word(0)?, word(1)?, word(2)?, word(3)?];
        IpAddr::V6(Ipv6Addr::from_bits(words.iter().fold(0, |bits, word| (bits << 32) | u128::from(*word))))
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Builds fetch packages themselves; a mirror inside a private network is refused to them unless it is opened.
fn package_source(name: &str, url: &str, egress_allow: &[String]) -> Finding {
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let port = if url.starts_with("https") { 443 } else { 80 };
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    let Ok(addresses) = address.to_socket_addrs() else {
        let text = format!("{name} packages come from {host}, which cannot be resolved here");
        return warning("packages", text, "look at /etc/resolv.conf, or give another source");
    };
    let allowed: Vec<EgressAllow> = egress_allow.iter().filter_map(|range| range.parse().ok()).collect();
    let closed = addresses.filter_map(|address| match address {
        SocketAddr::V4(address) if is_private(*address.ip()) => Some(address),
        _ => None,
    });
    let closed = closed.filter(|address| !allowed.iter().any(|range| range.opens(*address.ip(), address.port())));
    match closed.into_iter().next() {
        None => ok("packages", format!("{name} packages come from {host}")),
        Some(address) => warning(
            "packages",
            format!(
                "{name} packages come from {host} at the private address {}, which builds do not reach",
                address.ip()
            ),
            format!("give --egress-allow {}/32:{} (or SLIPWAY_EGRESS_ALLOW)", address.ip(), address.port()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    const UP: Running = Running { install: None, now: true };
    const DOWN: Running = Running { install: None, now: false };

    #[test]
    fn a_network_of_others_in_our_range_is_a_problem() {
        let head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        let ours = "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                    abc234-000003\t030012C6\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        assert_eq!(addresses(&format!("{head}{ours}")).level, Level::Ok);
        for (mask, prefix) in [("00FFFFFF", 24), ("0000FEFF", 15)] {
            let taken = addresses(&format!("{head}{ours}wg0\t000012C6\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n"));
            assert!(taken.told().contains(&format!("198.18.0.0/{prefix} by wg0")), "{taken:?}");
        }
    }

    #[test]
    fn a_port_is_free_ours_or_somebody_elses() {
        let listening = "  sl  local_address rem_address   st tx_queue rx_queue\n\
               0: 0100007F:13D8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n\
               1: 0100007F:1F90 0100007F:AAAA 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n\
               0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1\n";
        let at = |address: &str, running| port(address.parse().unwrap(), listening, running).level;
        assert_eq!(at("127.0.0.1:5080", &DOWN), Level::Problem);
        assert_eq!(at("127.0.0.1:5080", &UP), Level::Ok);
        assert_eq!(at("0.0.0.0:5080", &DOWN), Level::Problem);
        assert_eq!(at("10.1.1.1:5080", &DOWN), Level::Ok);
        assert_eq!(at("127.0.0.1:8080", &DOWN), Level::Ok, "a connection is no listener");
        assert_eq!(at("10.1.1.1:80", &DOWN), Level::Problem, "of both families");
        assert_eq!(at("127.0.0.1:5081", &UP), Level::Warning);
    }

    #[test]
    fn limits_of_the_kernel_are_told() {
        assert_eq!(tracking("262144\n", "12\n").level, Level::Ok);
        assert_eq!(tracking("8192\n", "12\n").level, Level::Warning);
        assert_eq!(tracking("262144\n", "250000\n").level, Level::Warning);
        assert_eq!(tracking("", "").level, Level::Ok);
        assert_eq!((forwarding("0\n").level, forwarding("").level), (Level::Ok, Level::Problem));
    }

    #[test]
    fn no_firewall_is_fine_and_one_that_cannot_be_seen_is_told() {
        assert_eq!(firewall(Ok(vec![]), &UP).level, Level::Ok);
        assert_eq!(firewall(Err("no nft".to_owned()), &UP).level, Level::Warning);
    }

    #[test]
    fn a_private_package_source_is_told_unless_it_is_opened() {
        let told = package_source("npm", "http://192.168.7.7:8080/npm/", &[]);
        assert!(told.level == Level::Warning && told.told().contains("--egress-allow 192.168.7.7/32:8080"), "{told:?}");
        let opened = package_source("npm", "http://192.168.7.7:8080/npm/", &["192.168.0.0/16".to_owned()]);
        assert_eq!(opened.level, Level::Ok, "{opened:?}");
    }
}
