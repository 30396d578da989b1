//! Clamping the maximum segment size of TCP (RFC 9293 §3.7.1) in SYN and SYN-ACK, to what the tunnel carries.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::packet::checksum;
use crate::packet::ip::{IpHeader, TCP, UpperLayer};

/// Lowers the MSS option of a SYN or SYN-ACK in `packet` to `max`; tells whether it did.
///
/// Whatever is not a well-formed SYN is left as it is. A SYN without the option is too: the peer then takes 536, or
/// 1220 over IPv6 (RFC 9293 §3.7.1), which every tunnel carries.
#[inline]
pub fn clamp(packet: &mut [u8], max: u16) -> bool {
    try_clamp(packet, max).is_some()
}

fn try_clamp(packet: &mut [u8], max: u16) -> Option<()> {
    let header = IpHeader::parse(packet)?;
    let upper = UpperLayer::find(packet, &header)?;
    if upper.protocol != TCP || upper.later_fragment {
        return None;
    }
    let (fixed, rest) = packet.get_mut(upper.offset..)?.split_first_chunk_mut::<20>()?;
    let [_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, _, _, sum_0, sum_1, ..] = fixed;
    if *flags & SYN == 0 {
        return None;
    }
    let options_len = usize::from(*offset >> 4).checked_mul(4)?.checked_sub(20)?;
    let (place, mss) = find_option(rest.get_mut(..options_len)?)?;
    let old = *mss;
    if u16::from_be_bytes(old) <= max {
        return None;
    }
    let new = max.to_be_bytes();
    *mss = new;
    // The checksum sums words from the header's start: an option at an odd place has its octets the other way round.
    let [old, new] = if place % 2 == 0 { [old, new] } else { [swapped(old), swapped(new)] };
    let sum = u16::from_be_bytes([*sum_0, *sum_1]);
    let updated = checksum::update(sum, u16::from_be_bytes(old), u16::from_be_bytes(new));
    [*sum_0, *sum_1] = updated.to_be_bytes();
    Some(())
}

/// The value of the MSS option, and how far into the options it lies.
fn find_option(options: &mut [u8]) -> Option<(usize, &mut [u8; 2])> {
    let mut at = 0usize;
    loop {
        let length = match options.get(at..)? {
            [END, ..] => return None,
            [NO_OPERATION, ..] => 1,
            [MSS, 4, ..] => {
                let place = at.checked_add(2)?;
                return Some((place, options.get_mut(place..)?.first_chunk_mut()?));
            }
            // A length below 2 would not advance.
            [_, length, ..] if *length >= 2 => usize::from(*length),
            _ => return None,
        };
        at = at.checked_add(length)?;
    }
}

const fn swapped([a, b]: [u8; 2]) -> [u8; 2] {
    [b, a]
}

const SYN: u8 = 0x02;
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SYN_ACK: u8 = 0x12;

    #[test]
    fn syn_and_syn_ack_are_clamped_over_both_versions_and_the_checksum_holds() {
        for flags in [SYN, SYN_ACK] {
            for mut packet in [v4(flags, &[2, 4, 5, 0xb4]), v6(&[], flags, &[2, 4, 5, 0xb4])] {
                assert!(clamp(&mut packet, 1398));
                assert_eq!(packet[packet.len() - 4..], [2, 4, 0x05, 0x76]);
                assert_eq!(tcp_sum(&packet), 0);
                assert!(!clamp(&mut packet, 1398), "it fits");
            }
        }
    }

    #[test]
    fn an_option_at_an_odd_place_keeps_the_checksum_right() {
        let mut packet = v4(SYN, &[NO_OPERATION, 2, 4, 5, 0xb4, 1, 1, 1]);
        assert!(clamp(&mut packet, 1001));
        assert_eq!(tcp_sum(&packet), 0);
    }

    #[test]
    fn extension_headers_are_passed_over() {
        let destination_options = [60, 0, 1, 4, 0, 0, 0, 0];
        let mut packet = v6(&destination_options, SYN, &[2, 4, 5, 0xb4]);
        assert!(clamp(&mut packet, 1300));
        assert_eq!(packet[packet.len() - 2..], 1300u16.to_be_bytes());
    }

    #[test]
    fn what_is_no_well_formed_syn_is_left_alone() {
        let mut later_fragment = v4(SYN, &[2, 4, 5, 0xb4]);
        later_fragment[7] = 1;
        let mut udp = v4(SYN, &[2, 4, 5, 0xb4]);
        udp[9] = 17;
        let mut no_syn = v4(0x10, &[2, 4, 5, 0xb4]);
        no_syn[33] = 0x10;
        let mut options_beyond_the_end = v4(SYN, &[2, 4, 5, 0xb4]);
        options_beyond_the_end[32] = 0xf0;
        let mut options_before_the_start = v4(SYN, &[2, 4, 5, 0xb4]);
        options_before_the_start[32] = 0x40;
        let cases = [
            later_fragment,
            udp,
            no_syn,
            options_beyond_the_end,
            options_before_the_start,
            v4(SYN, &[2, 3, 5, 0xb4]),
            v4(SYN, &[3, 0, 2, 4]),
            v4(SYN, &[3, 1, 2, 4]),
            v4(SYN, &[0, 0, 0, 0, 2, 4, 5, 0xb4]),
            v4(SYN, &[3, 40, 2, 4]),
            v4(SYN, &[1, 1, 1, 2]),
            v4(SYN, &[1, 1, 2, 4]),
        ];
        for packet in cases {
            let mut clamped = packet.clone();
            assert!(!clamp(&mut clamped, 1000), "{packet:02x?}");
            assert_eq!(clamped, packet);
        }
    }

    proptest! {
        #[test]
        fn no_packet_panics_or_changes_length(mut packet in proptest::collection::vec(any::<u8>(), 0..120), v6: bool) {
            if let Some(first) = packet.first_mut() {
                *first = if v6 { 0x60 } else { 0x45 };
            }
            if let Some(protocol) = packet.get_mut(if v6 { 6 } else { 9 }) {
                *protocol = TCP;
            }
            let before = packet.clone();
            if !clamp(&mut packet, 1000) {
                prop_assert_eq!(packet, before);
            }
        }
    }

    fn tcp(flags: u8, options: &[u8]) -> Vec<u8> {
        let words = u8::try_from(5 + options.len() / 4).unwrap();
        let mut segment =
            vec![0, 80, 1, 187, 1, 2, 3, 4, 0, 0, 0, 0, words << 4, flags, 255, 255, 0, 0, 0, 0];
        segment.extend(options);
        segment
    }

    fn v4(flags: u8, options: &[u8]) -> Vec<u8> {
        let segment = tcp(flags, options);
        let len = u16::try_from(20 + segment.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, TCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(segment);
        with_sum(packet, 20)
    }

    fn v6(extension: &[u8], flags: u8, options: &[u8]) -> Vec<u8> {
        let segment = tcp(flags, options);
        let len = u16::try_from(extension.len() + segment.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], extension.first().copied().unwrap_or(TCP), 64];
        packet.extend([0xfd; 32]);
        packet.extend(extension);
        if !extension.is_empty() {
            packet[40] = TCP;
        }
        packet.extend(segment);
        with_sum(packet, 40 + extension.len())
    }

    fn with_sum(mut packet: Vec<u8>, tcp_at: usize) -> Vec<u8> {
        let sum = tcp_sum(&packet);
        packet[tcp_at + 16..tcp_at + 18].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// 0 where the checksum in the segment is right.
    fn tcp_sum(packet: &[u8]) -> u16 {
        let header = IpHeader::parse(packet).unwrap();
        let upper = UpperLayer::find(packet, &header).unwrap();
        let segment = &packet[upper.offset..];
        let addresses = if header.header_len == 20 { &packet[12..20] } else { &packet[8..40] };
        let sum = checksum::add(u32::from(TCP) + u32::try_from(segment.len()).unwrap(), addresses);
        checksum::finish(checksum::add(sum, segment))
    }
}
