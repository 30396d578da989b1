//! Which inner addresses an SA carries (RFC 4301 §4.4.1), laid out for one comparison a range and packet.

use std::net::IpAddr;

use super::SpecError;
use super::spec::{AddressRange, Selectors};

/// Ranges of source and destination addresses, as the packets of one direction carry them.
#[derive(Clone, Debug)]
pub struct Admission {
    source: Ranges,
    destination: Ranges,
}

#[derive(Clone, Debug, Default)]
struct Ranges {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Admission {
    /// For packets from the peer: their source is remote.
    pub fn inbound(selectors: &Selectors) -> Result<Self, SpecError> {
        Ok(Self { source: Ranges::new(&selectors.remote)?, destination: Ranges::new(&selectors.local)? })
    }

    /// For packets to the peer: their destination is remote.
    pub fn outbound(selectors: &Selectors) -> Result<Self, SpecError> {
        Ok(Self { source: Ranges::new(&selectors.local)?, destination: Ranges::new(&selectors.remote)? })
    }

    /// Whether a packet with these addresses belongs to the SA.
    #[inline]
    pub fn admits(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.source.contain(source) && self.destination.contain(destination)
    }
}

impl Ranges {
    fn new(ranges: &[AddressRange]) -> Result<Self, SpecError> {
        if ranges.len() > MAX_RANGES {
            return Err(SpecError::SelectorCount(ranges.len()));
        }
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match (range.start, range.end) {
                (IpAddr::V4(start), IpAddr::V4(end)) if start <= end => v4.push((start.into(), end.into())),
                (IpAddr::V6(start), IpAddr::V6(end)) if start <= end => v6.push((start.into(), end.into())),
                _ => return Err(SpecError::SelectorRange),
            }
        }
        Ok(Self { v4: v4.into(), v6: v6.into() })
    }

    #[inline]
    fn contain(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => contain(&self.v4, v4.into()),
            IpAddr::V6(v6) => contain(&self.v6, v6.into()),
        }
    }
}

#[inline]
fn contain<A: Ord + Copy>(ranges: &[(A, A)], address: A) -> bool {
    ranges.iter().any(|(start, end)| *start <= address && address <= *end)
}

/// A TS payload counts its selectors in one octet (RFC 7296 §3.13).
const MAX_RANGES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, end: &str) -> AddressRange {
        AddressRange { start: start.parse().unwrap(), end: end.parse().unwrap() }
    }

    fn admits(admission: &Admission, source: &str, destination: &str) -> bool {
        admission.admits(source.parse().unwrap(), destination.parse().unwrap())
    }

    #[test]
    fn each_direction_reads_the_addresses_its_own_way_round() {
        let selectors = Selectors {
            local: vec![range("10.0.0.0", "10.0.0.255"), range("fd00::", "fd00::ffff")],
            remote: vec![range("10.1.0.5", "10.1.0.5"), range("fd01::", "fd01::1")],
        };
        let inbound = Admission::inbound(&selectors).unwrap();
        let outbound = Admission::outbound(&selectors).unwrap();
        assert!(admits(&outbound, "10.0.0.255", "10.1.0.5"));
        assert!(admits(&inbound, "10.1.0.5", "10.0.0.0"));
        assert!(admits(&inbound, "fd01::1", "fd00::8"));
        assert!(!admits(&inbound, "10.0.0.0", "10.1.0.5"));
        assert!(!admits(&inbound, "10.1.0.6", "10.0.0.0"));
        assert!(!admits(&inbound, "10.1.0.5", "10.0.1.0"));
        assert!(!admits(&Admission::inbound(&Selectors::default()).unwrap(), "10.1.0.5", "10.0.0.0"));
    }

    #[test]
    fn ranges_that_mean_nothing_are_refused() {
        for (start, end) in [("10.0.0.2", "10.0.0.1"), ("10.0.0.1", "fd00::1"), ("fd00::2", "fd00::1")] {
            let selectors = Selectors { local: vec![range(start, end)], remote: vec![] };
            assert_eq!(Admission::inbound(&selectors).unwrap_err(), SpecError::SelectorRange);
        }
        let selectors = Selectors { local: vec![range("10.0.0.1", "10.0.0.1"); 256], remote: vec![] };
        assert_eq!(Admission::outbound(&selectors).unwrap_err(), SpecError::SelectorCount(256));
    }
}
