//! Which addresses of the range are free. The least recently used is given out first, so that a connection somebody
//! still has in mind never reaches the next instance.

use std::collections::{HashSet, VecDeque};
use std::net::Ipv4Addr;

use vocabulary::first_address;

/// The addresses of one install.
#[derive(Debug)]
pub(super) struct Addresses {
    base: u32,
    /// Usable offsets are 1 ..= size: the first and the last address of the range stay unused.
    size: u32,
    /// How many offsets were never used since the start, and where they begin.
    fresh: u32,
    begin: u32,
    used: HashSet<u32>,
    freed: VecDeque<u32>,
}

impl Addresses {
    /// All addresses of the range, beginning somewhere at `seed`: a restart then does not begin with those given out
    /// last.
    pub(super) fn new((address, prefix): (Ipv4Addr, u8), seed: u64) -> Option<Self> {
        let size = 1u32.checked_shl(32 - u32::from(prefix.min(32)))?.checked_sub(2).filter(|size| *size > 0)?;
        let begin = u32::try_from(seed % u64::from(size)).unwrap_or(0);
        let base = first_address(address, prefix).to_bits();
        Some(Self { base, size, fresh: size, begin, used: HashSet::new(), freed: VecDeque::new() })
    }

    /// A free address, or none if all are in use.
    pub(super) fn reserve(&mut self) -> Option<Ipv4Addr> {
        let offset = self.next_fresh().or_else(|| self.freed.pop_front())?;
        self.used.insert(offset);
        Some(self.address(offset))
    }

    fn next_fresh(&mut self) -> Option<u32> {
        while self.fresh > 0 {
            let offset = (self.begin + (self.size - self.fresh)) % self.size + 1;
            self.fresh -= 1;
            if !self.used.contains(&offset) && !self.freed.contains(&offset) {
                return Some(offset);
            }
        }
        None
    }

    /// Takes an address that is in use already.
    pub(super) fn adopt(&mut self, address: Ipv4Addr) {
        if let Some(offset) = self.offset(address) {
            self.freed.retain(|freed| *freed != offset);
            self.used.insert(offset);
        }
    }

    /// Gives an address back.
    pub(super) fn free(&mut self, address: Ipv4Addr) {
        let offset = self.offset(address).filter(|offset| self.used.remove(offset));
        self.freed.extend(offset);
    }

    /// Whether the address is in use.
    pub(super) fn is_used(&self, address: Ipv4Addr) -> bool {
        self.offset(address).is_some_and(|offset| self.used.contains(&offset))
    }

    /// The address's number in the range, if it is one of ours.
    pub(super) fn offset(&self, address: Ipv4Addr) -> Option<u32> {
        let offset = address.to_bits().checked_sub(self.base)?;
        (1..=self.size).contains(&offset).then_some(offset)
    }

    /// The address with this number.
    pub(super) fn address(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Addresses {
        Addresses::new((Ipv4Addr::new(198, 18, 0, 0), 29), 4).unwrap()
    }

    #[test]
    fn every_address_but_first_and_last_is_given_once() {
        let mut pool = pool();
        let mut given: Vec<u8> = std::iter::from_fn(|| pool.reserve()).map(|address| address.octets()[3]).collect();
        assert_eq!(given.first(), Some(&5), "the seed tells where it begins");
        given.sort_unstable();
        assert_eq!(given, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn the_longest_free_is_given_first() {
        let mut pool = pool();
        let all: Vec<Ipv4Addr> = std::iter::from_fn(|| pool.reserve()).collect();
        pool.free(all[3]);
        pool.free(all[1]);
        pool.free(all[3]);
        assert_eq!(pool.reserve(), Some(all[3]));
        assert_eq!(pool.reserve(), Some(all[1]));
        assert_eq!(pool.reserve(), None);
    }

    #[test]
    fn an_adopted_address_is_not_given() {
        let mut pool = pool();
        pool.adopt(Ipv4Addr::new(198, 18, 0, 5));
        pool.adopt(Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(pool.reserve(), Some(Ipv4Addr::new(198, 18, 0, 6)));
    }
}
