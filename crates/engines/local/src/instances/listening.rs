//! Whether an instance listens, seen from outside: the kernel's table of sockets of its network namespace.
//!
//! Nothing connects to the app for this. A socket on the wildcard address or the instance's own is one the router can
//! reach; one on the loopback address alone is a mistake worth a line in the log (Heroku's R10 with a reason).

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// How often it is looked at first, while an app boots in the usual time, and afterwards.
const EAGER: Duration = Duration::from_millis(10);
const PATIENT: Duration = Duration::from_millis(50);
/// How long it is looked at eagerly.
const BOOT: Duration = Duration::from_secs(2);
/// The state LISTEN in the kernel's tables (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// What the tables say about a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Nobody listens on it.
    Nowhere,
    /// Somebody does, where only the instance itself can connect.
    Loopback,
    /// Somebody does, where the router can connect.
    Reachable,
}

/// The tables of one network namespace. Holds the namespace: drop it when the instance ends.
#[derive(Debug)]
pub(crate) struct Sockets {
    tables: Vec<File>,
}

impl Sockets {
    /// The tables of the namespace a process lives in.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        let table = |name: &str| File::open(format!("/proc/{pid}/net/{name}"));
        // A kernel without IPv6 has one table.
        let mut tables = vec![table("tcp")?];
        tables.extend(table("tcp6").ok());
        Ok(Self { tables })
    }

    /// Where `port` is bound now.
    pub(crate) fn bound(&self, port: u16, own: Ipv4Addr) -> Bound {
        let mut best = Bound::Nowhere;
        for table in &self.tables {
            let text = beginning(table).unwrap_or_default();
            for address in listening(&text, port) {
                match judge(address, own) {
                    Bound::Reachable => return Bound::Reachable,
                    Bound::Loopback => best = Bound::Loopback,
                    Bound::Nowhere => {}
                }
            }
        }
        best
    }

    /// Waits until the port is bound where the router can connect; calls `loopback` once if it is bound elsewhere first.
    pub(crate) async fn wait(&self, port: u16, own: Ipv4Addr, loopback: impl Fn()) {
        let started = tokio::time::Instant::now();
        let mut told = false;
        loop {
            match self.bound(port, own) {
                Bound::Reachable => return,
                Bound::Loopback if !told => {
                    told = true;
                    loopback();
                }
                _ => {}
            }
            tokio::time::sleep(if started.elapsed() < BOOT { EAGER } else { PATIENT }).await;
        }
    }
}

/// How much of a table is looked at: some 400 sockets.
const ENOUGH: usize = 64 * 1024;

/// The beginning of a table. Listening sockets stand first in it (`net/ipv4/tcp_ipv4.c`), and what follows can be as
/// long as the dyno likes.
fn beginning(table: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut part = [0; 8192];
    loop {
        let count = table.read_at(&mut part, bytes.len() as u64)?;
        if count == 0 || bytes.len() >= ENOUGH {
            return String::from_utf8(bytes).map_err(io::Error::other);
        }
        bytes.extend_from_slice(part.get(..count).unwrap_or_default());
    }
}

/// The addresses on which `port` is listened on. A line: `sl local_address rem_address st …`, addresses in
/// hexadecimal, words in the machine's byte order.
fn listening(table: &str, port: u16) -> impl Iterator<Item = IpAddr> {
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (address, local_port) = local.split_once(':')?;
        let right = state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port);
        if right { parse(address) } else { None }
    })
}

fn parse(hexadecimal: &str) -> Option<IpAddr> {
    let words = hexadecimal.as_bytes().chunks(8).map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes.as_slice()).ok().map(|sixteen| Ipv6Addr::from(sixteen).to_canonical())
}

fn judge(address: IpAddr, own: Ipv4Addr) -> Bound {
    if address.is_unspecified() || address == IpAddr::V4(own) {
        Bound::Reachable
    } else if address.is_loopback() {
        Bound::Loopback
    } else {
        Bound::Nowhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 5);
    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

    fn bound(address: &str, state: &str) -> Bound {
        let table =
            format!("{HEAD}   0: {address}:1388 00000000:0000 {state} 00000000:00000000 00:00000000 00000000\n");
        listening(&table, 5000).map(|address| judge(address, OWN)).next().unwrap_or(Bound::Nowhere)
    }

    #[test]
    fn only_the_beginning_of_a_long_table_is_read() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, "x".repeat(3 * ENOUGH).as_bytes()).unwrap();
        assert!((ENOUGH..2 * ENOUGH).contains(&beginning(&file).unwrap().len()));
    }

    #[test]
    fn where_a_port_is_bound() {
        assert_eq!(bound("00000000", LISTEN), Bound::Reachable);
        assert_eq!(bound("050012C6", LISTEN), Bound::Reachable);
        assert_eq!(bound("060012C6", LISTEN), Bound::Nowhere);
        assert_eq!(bound("0100007F", LISTEN), Bound::Loopback);
        assert_eq!(bound("00000000000000000000000000000000", LISTEN), Bound::Reachable);
        assert_eq!(bound("00000000000000000000000001000000", LISTEN), Bound::Loopback);
        assert_eq!(bound("0000000000000000FFFF00000100007F", LISTEN), Bound::Loopback);
        assert_eq!(bound("00000000", "01"), Bound::Nowhere);
    }

    #[test]
    fn another_port_does_not_count() {
        let table = format!("{HEAD}   0: 00000000:1389 00000000:0000 0A\n");
        assert_eq!(listening(&table, 5000).count(), 0);
    }

    #[test]
    fn a_real_socket_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sockets = Sockets::of(rustix::process::getpid().as_raw_pid()).unwrap();
        assert_eq!(sockets.bound(port, OWN), Bound::Loopback);
        drop(listener);
        // A child that another test forks holds a copy of the socket until its exec.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while sockets.bound(port, OWN) != Bound::Nowhere {
            assert!(std::time::Instant::now() < deadline, "the port is still bound");
            std::thread::sleep(EAGER);
        }
    }
}
