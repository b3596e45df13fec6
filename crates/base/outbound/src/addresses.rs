//! Which addresses may be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use vocabulary::{EgressAllow, first_address};

use crate::own;

/// Addresses of IPv4 that are not of the public network, or are what a cloud shows to its machines alone.
const CLOSED: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8),            // this network (RFC 791)
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private (RFC 1918)
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by providers (RFC 6598); metadata of one cloud
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // this host
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the host of machines in one cloud, public by its number alone
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local (RFC 3927); metadata of most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments (RFC 6890); metadata of one cloud
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation (RFC 5737)
    (Ipv4Addr::new(192, 31, 196, 0), 24),  // AS112 (RFC 7535): answered by whoever is near
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // relays of 6to4 (RFC 7526)
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // tests between networks (RFC 2544); the dynos are in it
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

/// Ranges within the public network of IPv6 (2000::/3) that lead elsewhere. All outside of it is closed: loopback,
/// IPv4-mapped and NAT64 addresses, unique local, link-local and multicast ones among it.
const CLOSED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments (RFC 2928), Teredo among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation (RFC 3849)
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4 (RFC 3056): any address of IPv4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation (RFC 9637)
];

/// Whether an address is of the public network, as far as its number says.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !CLOSED.iter().any(|(start, prefix)| first_address(address, *prefix) == first_address(*start, *prefix))
        }
        IpAddr::V6(address) => {
            let within = |start: Ipv6Addr, prefix: u8| (address.to_bits() ^ start.to_bits()) >> (128 - prefix) == 0;
            let public = within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
            public && !CLOSED_V6.iter().any(|(start, prefix)| within(*start, *prefix))
        }
    }
}

/// What the operator opened.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    allow: Vec<EgressAllow>,
}

impl Rules {
    /// The public network, and these ranges beside it.
    #[must_use]
    pub fn new(allow: Vec<EgressAllow>) -> Self {
        Self { allow }
    }

    /// Whether the operator opened anything.
    #[must_use]
    pub fn opens_something(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Whether the operator opened this.
    #[must_use]
    pub fn opens(&self, address: IpAddr, port: u16) -> bool {
        match address {
            IpAddr::V4(address) => self.allow.iter().any(|range| range.opens(address, port)),
            IpAddr::V6(_) => false,
        }
    }

    /// Whether a connection may be made, with TLS or without. Asks the kernel which addresses are this machine's.
    #[must_use]
    pub fn may_reach(&self, to: SocketAddr, is_tls: bool) -> bool {
        if own::is_own(to.ip()) {
            return self.opens_exactly(to);
        }
        self.opens(to.ip(), to.port()) || (is_tls && is_public(to.ip()))
    }

    /// Whether the operator opened this one port of this one address: what listens on this machine is reached no
    /// other way, however large a range around it is open. Dynos do not reach it either.
    fn opens_exactly(&self, to: SocketAddr) -> bool {
        let exactly = |range: &&EgressAllow| range.prefix == 32 && range.port.is_some();
        match to.ip() {
            IpAddr::V4(address) => self.allow.iter().filter(exactly).any(|range| range.opens(address, to.port())),
            IpAddr::V6(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_closed() {
        let near = "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 \
                    127.255.255.255 168.63.129.16 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.192 \
                    192.0.2.1 192.31.196.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 \
                    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 \
                    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::7f00:1 \
                    64:ff9b::808:808 64:ff9b:1::1 100::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 5f00::1 \
                    2001::1 2001:0:7f00:1::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 \
                    2002:a00:1::1 3fff::1 1fff::1 4000::1";
        for text in near.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_public_is_open() {
        let far = "1.1.1.1 8.8.8.8 11.0.0.1 100.63.255.255 100.128.0.1 128.0.0.1 169.253.0.1 172.15.0.1 172.32.0.1 \
                   192.0.1.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255 2606:4700:4700::1111 \
                   2001:4860:4860::8888 2001:200::1 2a00::1 3ffe::1";
        for text in far.split_whitespace() {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_the_operator_opens_is_open_at_its_port_also_in_the_clear() {
        let rules = Rules::new(vec!["10.1.0.0/16:8000".parse().unwrap()]);
        let may = |to: &str, is_tls| rules.may_reach(to.parse().unwrap(), is_tls);
        assert!(may("10.1.2.3:8000", false) && may("10.1.2.3:8000", true));
        assert!(!may("10.1.2.3:8001", true) && !may("10.2.0.1:8000", true));
        assert!(may("8.8.8.8:443", true) && !may("8.8.8.8:80", false));
        assert!(!may("[::ffff:10.1.2.3]:8000", true));
    }
}
