//! What dynos, and the platform for their apps, may reach besides the public network, as an operator writes it: `10.1.0.0/16`, `10.1.2.3:5432`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A range of addresses, all of its ports or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EgressAllow {
    /// The range's first address.
    pub address: Ipv4Addr,
    /// Bits of it that matter, 0 to 32.
    pub prefix: u8,
    /// TCP or UDP port; `None` is everything.
    pub port: Option<u16>,
}

/// The text is no [`EgressAllow`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no CIDR[:PORT], such as 10.1.0.0/16 or 10.1.2.3:5432")]
pub struct InvalidEgressAllow(String);

impl FromStr for EgressAllow {
    type Err = InvalidEgressAllow;

    fn from_str(text: &str) -> Result<Self, InvalidEgressAllow> {
        parse(text).ok_or_else(|| InvalidEgressAllow(text.to_owned()))
    }
}

impl EgressAllow {
    /// Whether it opens a port of an address.
    #[must_use]
    pub fn opens(&self, address: Ipv4Addr, port: u16) -> bool {
        first_address(address, self.prefix) == self.address && self.port.is_none_or(|open| open == port)
    }
}

fn parse(text: &str) -> Option<EgressAllow> {
    let (range, port) = match text.split_once(':') {
        Some((range, port)) => (range, Some(port.parse().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    let (address, prefix) = match range.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().ok().filter(|prefix| *prefix <= 32)?),
        None => (range, 32),
    };
    let address = first_address(address.parse().ok()?, prefix);
    Some(EgressAllow { address, prefix, port })
}

/// The first address of the range that `address` is in.
#[must_use]
pub fn first_address(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

impl fmt::Display for EgressAllow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_ports_are_read() {
        let shown = |text: &str| text.parse::<EgressAllow>().map(|allow| allow.to_string());
        assert_eq!(shown("10.1.2.3").unwrap(), "10.1.2.3/32");
        assert_eq!(shown("10.1.2.3/16").unwrap(), "10.1.0.0/16");
        assert_eq!(shown("10.1.2.3:5432").unwrap(), "10.1.2.3/32:5432");
        assert_eq!(shown("0.0.0.0/0:443").unwrap(), "0.0.0.0/0:443");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "x", "10.1.2.3/33", "10.1.2.3:0", "10.1.2.3:70000", "::1", "10.1.2.3/", "10.1.2:5"] {
            assert!(text.parse::<EgressAllow>().is_err(), "{text}");
        }
    }
}
