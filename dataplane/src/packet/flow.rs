//! A number for the flow that a packet belongs to, the same for both directions.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::ip::{IpHeader, TCP, UDP, UpperLayer};

/// The flow's number: by addresses, and by ports where the packet has them and is no fragment; 0 for what is not IP.
///
/// It spreads flows over queues; it need not withstand somebody who looks for flows that share one.
pub fn number(packet: &[u8]) -> u32 {
    let Some(header) = IpHeader::parse(packet) else { return 0 };
    let (source, destination) = (fold(header.source), fold(header.destination));
    let ports = ports(packet, &header).unwrap_or_default();
    // Fibonacci hashing; the high bits are the good ones.
    (source ^ destination ^ ports).wrapping_mul(0x9e37_79b1) >> 16
}

fn ports(packet: &[u8], header: &IpHeader) -> Option<u32> {
    let upper = UpperLayer::find(packet, header)?;
    if upper.later_fragment || !matches!(upper.protocol, TCP | UDP) {
        return None;
    }
    let [s0, s1, d0, d1] = *packet.get(upper.offset..)?.first_chunk()?;
    Some(u32::from(u16::from_be_bytes([s0, s1]) ^ u16::from_be_bytes([d0, d1])))
}

fn fold(address: core::net::IpAddr) -> u32 {
    match address {
        core::net::IpAddr::V4(v4) => v4.to_bits(),
        core::net::IpAddr::V6(v6) => v6
            .to_bits()
            .to_be_bytes()
            .as_chunks::<4>()
            .0
            .iter()
            .fold(0, |sum, word| sum ^ u32::from_be_bytes(*word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(source: [u8; 4], destination: [u8; 4], ports: [u16; 2]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, UDP, 0, 0];
        packet.extend([source, destination].concat());
        packet.extend(ports.map(u16::to_be_bytes).concat());
        packet.extend([0, 8, 0, 0]);
        packet
    }

    #[test]
    fn both_directions_have_one_number_and_flows_differ() {
        let (left, right) = ([10, 0, 0, 1], [10, 200, 0, 9]);
        assert_eq!(number(&udp(left, right, [4000, 53])), number(&udp(right, left, [53, 4000])));
        let numbers: std::collections::HashSet<u32> =
            (0..64).map(|port| number(&udp(left, right, [40_000 + port, 5201])) % 4).collect();
        assert_eq!(numbers.len(), 4);
        assert_eq!(number(&[]), 0);
    }
}
