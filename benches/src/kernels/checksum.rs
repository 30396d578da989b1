//! The Internet checksum of a packet.

use gotthard_dataplane::packet::checksum;

use super::Kernel;

const LEN: usize = 1400;
const PACKETS: usize = 64;

/// The packets of a batch, so that the sum is timed as it runs: one after the other.
type Packets = [Vec<u8>; PACKETS];

pub(super) fn kernels() -> Vec<Kernel> {
    let input = || -> Packets { std::array::from_fn(|n| vec![n.to_le_bytes()[0]; LEN]) };
    vec![Kernel::new("checksum", LEN.to_string(), PACKETS, input, sum)]
}

fn sum(packets: &mut Packets) -> u16 {
    let sums = packets.iter().map(|packet| checksum::finish(checksum::add(0, packet)));
    sums.fold(0, u16::wrapping_add)
}
