//! How many half-open IKE SAs there are, in all, of an address and of a prefix: who forges source addresses must not
//! take the room of those who do not.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct HalfOpenCount {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
    by_prefix: BTreeMap<IpAddr, usize>,
}

impl HalfOpenCount {
    /// Whether one more of this address is within the bounds.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.is_below(
            address,
            [limits::HALF_OPEN, limits::HALF_OPEN_PER_ADDRESS, limits::HALF_OPEN_PER_PREFIX],
        )
    }

    /// Whether one more of this address needs a cookie: the room above belongs to those that have one.
    pub(super) fn presses(&self, address: IpAddr) -> bool {
        let free = [
            limits::COOKIE_HALF_OPEN,
            limits::COOKIE_HALF_OPEN_PER_ADDRESS,
            limits::COOKIE_HALF_OPEN_PER_PREFIX,
        ];
        !self.is_below(address, free)
    }

    pub(super) fn add(&mut self, address: IpAddr) {
        self.total += 1;
        *self.by_address.entry(address).or_default() += 1;
        *self.by_prefix.entry(prefix(address)).or_default() += 1;
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        self.total = self.total.saturating_sub(1);
        decrement(&mut self.by_address, address);
        decrement(&mut self.by_prefix, prefix(address));
    }

    fn is_below(&self, address: IpAddr, [total, of_address, of_prefix]: [usize; 3]) -> bool {
        let of = |counts: &BTreeMap<IpAddr, usize>, key| counts.get(&key).copied().unwrap_or(0);
        self.total < total
            && of(&self.by_address, address) < of_address
            && of(&self.by_prefix, prefix(address)) < of_prefix
    }
}

fn decrement(counts: &mut BTreeMap<IpAddr, usize>, key: IpAddr) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// What one holder of addresses mostly has: a /24 or a /64.
fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_address_leaves_room_for_its_neighbour() {
        let mut count = HalfOpenCount::default();
        let (busy, neighbour) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..limits::HALF_OPEN_PER_ADDRESS {
            assert!(count.admits(busy));
            count.add(busy);
        }
        assert!(!count.admits(busy));
        assert!(count.admits(neighbour));
        count.remove(busy);
        assert!(count.admits(busy));
    }

    #[test]
    fn a_full_prefix_leaves_room_for_others() {
        let mut count = HalfOpenCount::default();
        for host in 0..u8::MAX {
            let address = IpAddr::from([192, 0, 2, host]);
            if count.admits(address) {
                count.add(address);
            }
        }
        assert_eq!(count.total, limits::HALF_OPEN_PER_PREFIX);
        assert!(count.admits(IpAddr::from([198, 51, 100, 1])));
    }

    #[test]
    fn what_is_over_leaves_nothing_behind() {
        let mut count = HalfOpenCount::default();
        let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        count.add(address);
        count.remove(address);
        assert_eq!(count.total, 0);
        assert!(count.by_address.is_empty() && count.by_prefix.is_empty());
    }
}
