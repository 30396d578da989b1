//! Telling an inner sender that its packet is too large: ICMP "fragmentation needed" (RFC 1191 §4) and ICMPv6 "packet
//! too big" (RFC 4443 §3.2).

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::checksum;
use crate::packet::ip::{ICMP, ICMPV6, IpHeader, UpperLayer, V6_HEADER};

/// An answer, ready to be written to the TUN device. Kept by value, so that a flood of large packets allocates nothing.
#[derive(Clone)]
pub struct TooBig {
    octets: [u8; MAX_LEN],
    len: usize,
}

impl TooBig {
    /// The whole IP packet.
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn extend(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.len.checked_add(octets.len())?;
        self.octets.get_mut(self.len..end)?.copy_from_slice(octets);
        self.len = end;
        Some(())
    }

    fn write(&mut self, place: usize, word: u16) -> Option<()> {
        *self.octets.get_mut(place..)?.first_chunk_mut()? = word.to_be_bytes();
        Some(())
    }
}

impl core::fmt::Debug for TooBig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("TooBig").field(&self.as_slice()).finish()
    }
}

/// The answer to `original`, which is larger than `mtu`; `None` where none may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4).
///
/// It comes from `source`, or, where that is `None` or of the other family, from the address the sender wanted to
/// reach: an inner packet's own addresses always lie on the tunnel's route.
pub fn too_big(original: &[u8], mtu: u16, source: Option<IpAddr>) -> Option<TooBig> {
    let header = IpHeader::parse(original)?;
    if !may_answer(original, &header) {
        return None;
    }
    match (header.source, header.destination) {
        (IpAddr::V4(sender), IpAddr::V4(target)) => {
            let from = if let Some(IpAddr::V4(own)) = source { own } else { target };
            too_big_v4(original, mtu, from, sender)
        }
        (IpAddr::V6(sender), IpAddr::V6(target)) => {
            let from = if let Some(IpAddr::V6(own)) = source { own } else { target };
            too_big_v6(original, mtu, from, sender)
        }
        _ => None,
    }
}

/// Nothing answers an ICMP error, a fragment other than the first, or a packet from or to more than one host.
fn may_answer(original: &[u8], header: &IpHeader) -> bool {
    let Some(upper) = UpperLayer::find(original, header) else { return false };
    if upper.later_fragment {
        return false;
    }
    let kind = original.get(upper.offset);
    let error = match upper.protocol {
        // Anything but echo, timestamp and the like: unknown types are taken for errors.
        ICMP => !matches!(kind, Some(0 | 8 | 9 | 10 | 13..=18)),
        ICMPV6 => !matches!(kind, Some(128..)),
        _ => false,
    };
    !error && is_one_host(header.source) && is_one_host(header.destination)
}

fn is_one_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 240/4 holds the limited broadcast; 0/8 means "this network". A subnet's broadcast address cannot be told.
            let [first, ..] = v4.octets();
            first != 0 && first < 224 && !v4.is_loopback()
        }
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified() && !v6.is_loopback(),
    }
}

fn too_big_v4(original: &[u8], mtu: u16, from: Ipv4Addr, to: Ipv4Addr) -> Option<TooBig> {
    let quoted = original.get(..original.len().min(V4_MAX_LEN.checked_sub(28)?))?;
    let total = u16::try_from(quoted.len().checked_add(28)?).ok()?.to_be_bytes();
    let mut answer = TooBig { octets: [0; MAX_LEN], len: 0 };
    answer.extend(&[0x45, 0xc0])?; // precedence "internetwork control" (RFC 1812 §4.3.2.5)
    answer.extend(&total)?;
    answer.extend(&[0, 0, 0, 0, TTL, ICMP, 0, 0])?;
    answer.extend(&from.octets())?;
    answer.extend(&to.octets())?;
    answer.extend(&[3, 4, 0, 0, 0, 0])?;
    answer.extend(&mtu.to_be_bytes())?;
    answer.extend(quoted)?;

    let (header, message) = answer.as_slice().split_at_checked(20)?;
    let header_sum = checksum::finish(checksum::add(0, header));
    let message_sum = checksum::finish(checksum::add(0, message));
    answer.write(10, header_sum)?;
    answer.write(22, message_sum)?;
    Some(answer)
}

fn too_big_v6(original: &[u8], mtu: u16, from: Ipv6Addr, to: Ipv6Addr) -> Option<TooBig> {
    let quoted = original.get(..original.len().min(MAX_LEN.checked_sub(V6_HEADER)?.checked_sub(8)?))?;
    let payload = u16::try_from(quoted.len().checked_add(8)?).ok()?;
    let mut answer = TooBig { octets: [0; MAX_LEN], len: 0 };
    answer.extend(&[0x60, 0, 0, 0])?;
    answer.extend(&payload.to_be_bytes())?;
    answer.extend(&[ICMPV6, TTL])?;
    answer.extend(&from.octets())?;
    answer.extend(&to.octets())?;
    answer.extend(&[2, 0, 0, 0])?;
    answer.extend(&u32::from(mtu).to_be_bytes())?;
    answer.extend(quoted)?;

    // The pseudo-header (RFC 8200 §8.1): both addresses, the length, the protocol.
    let pseudo = u32::from(payload).checked_add(u32::from(ICMPV6))?;
    let sum = checksum::finish(checksum::add(pseudo, answer.as_slice().get(8..)?));
    answer.write(V6_HEADER.checked_add(2)?, sum)?;
    Some(answer)
}

/// An ICMPv6 error fits in the least MTU of IPv6 (RFC 4443 §2.4 c).
const MAX_LEN: usize = 1280;
/// An ICMP error has at most 576 octets (RFC 1812 §4.3.2.3).
const V4_MAX_LEN: usize = 576;
const TTL: u8 = 64;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_ipv4_sender_learns_the_mtu_with_right_checksums() {
        let original = v4(1500, 17);
        let answer = too_big(&original, 1438, Some("169.254.10.2".parse().unwrap())).unwrap();
        let octets = answer.as_slice();
        assert_eq!(octets.len(), 576);
        assert_eq!(octets[20..22], [3, 4]);
        assert_eq!(octets[26..28], 1438u16.to_be_bytes());
        assert_eq!(octets[28..], original[..548]);
        assert_eq!(checksum::finish(checksum::add(0, &octets[..20])), 0);
        assert_eq!(checksum::finish(checksum::add(0, &octets[20..])), 0);
        let header = IpHeader::parse(octets).unwrap();
        assert_eq!(header.total_len, 576);
        assert_eq!(header.source, "169.254.10.2".parse::<IpAddr>().unwrap());
        assert_eq!(header.destination, "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_ipv6_sender_learns_the_mtu_with_a_right_checksum() {
        let original = v6(1500, 17);
        let answer = too_big(&original, 1400, None).unwrap();
        let octets = answer.as_slice();
        assert_eq!(octets.len(), 1280);
        assert_eq!(octets[40..42], [2, 0]);
        assert_eq!(octets[44..48], 1400u32.to_be_bytes());
        let header = IpHeader::parse(octets).unwrap();
        assert_eq!(
            (header.source, header.destination),
            ("fd00::2".parse().unwrap(), "fd00::1".parse().unwrap())
        );
        let pseudo = 1240 + u32::from(ICMPV6);
        assert_eq!(checksum::finish(checksum::add(pseudo, &octets[8..])), 0);
    }

    #[test]
    fn errors_later_fragments_and_groups_are_never_answered() {
        let mut error_v4 = v4(1500, ICMP);
        error_v4[20] = 3;
        let mut error_v6 = v6(1500, ICMPV6);
        error_v6[40] = 2;
        let mut fragment = v4(1500, 17);
        fragment[7] = 1;
        let mut to_group = v4(1500, 17);
        to_group[16] = 224;
        let mut to_all = v4(1500, 17);
        to_all[16..20].fill(255);
        let mut from_nobody = v4(1500, 17);
        from_nobody[12..16].fill(0);
        let mut to_group_v6 = v6(1500, 17);
        to_group_v6[24] = 0xff;
        for original in [error_v4, error_v6, fragment, to_group, to_all, from_nobody, to_group_v6] {
            assert!(too_big(&original, 1400, None).is_none(), "{:02x?}", &original[..44]);
        }
        let mut echo = v4(1500, ICMP);
        echo[20] = 8;
        assert!(too_big(&echo, 1400, None).is_some());
    }

    proptest! {
        #[test]
        fn no_packet_panics(mut original in proptest::collection::vec(any::<u8>(), 1..200), v6: bool, mtu: u16) {
            original[0] = if v6 { 0x60 } else { 0x45 };
            if let Some(answer) = too_big(&original, mtu, None) {
                prop_assert!(IpHeader::parse(answer.as_slice()).unwrap().total_len == answer.as_slice().len());
            }
        }
    }

    fn v4(len: usize, protocol: u8) -> Vec<u8> {
        let total = u16::try_from(len).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.resize(len, 0xab);
        packet
    }

    fn v6(len: usize, next_header: u8) -> Vec<u8> {
        let payload = u16::try_from(len - V6_HEADER).unwrap().to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, payload[0], payload[1], next_header, 64];
        packet.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
        packet.resize(len, 0xab);
        packet
    }
}
