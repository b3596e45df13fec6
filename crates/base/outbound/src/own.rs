//! Which addresses are this machine's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Documentation's (RFC 5737): no machine has it.
const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Whether an address is one of this machine's: what listens on it may be meant for the machine alone. A socket can be
/// bound to such an address and to no other; no list has to be read, and none can be out of date.
pub(crate) fn is_own(address: IpAddr) -> bool {
    if may_bind(NOBODYS) {
        // Where the kernel lets one bind to any address (`ip_nonlocal_bind`), that says nothing. Then: from one's own
        // address one reaches it.
        return UdpSocket::bind((unspecified(address), 0))
            .and_then(|socket| socket.connect((address, 9)).and_then(|()| socket.local_addr()))
            .is_ok_and(|from| from.ip() == address);
    }
    may_bind(address)
}

/// Without a descriptor or a port to try with, an address counts as ours: what is not known is not reached.
fn may_bind(address: IpAddr) -> bool {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
    }
}

fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_addresses_are_known() {
        assert!(is_own("127.0.0.1".parse().unwrap()) && is_own("127.4.5.6".parse().unwrap()));
        assert!(!is_own("1.1.1.1".parse().unwrap()));
    }
}
