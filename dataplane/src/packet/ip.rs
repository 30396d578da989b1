//! The few fields of an IP header that the path reads (RFC 791, RFC 8200). No options are interpreted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IP version of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// The version that the first octet of `packet` names.
    #[inline]
    pub fn of(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Some(Self::V4),
            6 => Some(Self::V6),
            _ => None,
        }
    }
}

/// An IP header, its lengths checked against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// IPv4 or IPv6.
    pub version: IpVersion,
    /// Octets of the header: with options for IPv4, the fixed 40 for IPv6.
    pub header_len: usize,
    /// Octets of the packet as the header says, at least `header_len`; it may exceed what was received.
    pub total_len: usize,
    /// DSCP and ECN.
    pub tos: u8,
    /// Protocol of what follows, or the first extension header.
    pub protocol: u8,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
}

impl IpHeader {
    /// Reads the header at the start of `packet`; `None` when it is cut short or its lengths contradict each other.
    ///
    /// A jumbogram (IPv6 payload length 0 with a hop-by-hop option, RFC 2675) is refused: no tunnel carries one.
    #[inline]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        match IpVersion::of(packet)? {
            IpVersion::V4 => Self::parse_v4(packet),
            IpVersion::V6 => Self::parse_v6(packet),
        }
    }

    fn parse_v4(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; 20] = packet.first_chunk()?;
        let [first, tos, len_0, len_1, _, _, _, _, _, protocol, _, _, addresses @ ..] = *fixed;
        let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
        let header_len = usize::from(first & 0x0f).checked_mul(4)?;
        let total_len = usize::from(u16::from_be_bytes([len_0, len_1]));
        if header_len < fixed.len() || header_len > packet.len() || total_len < header_len {
            return None;
        }
        Some(Self {
            version: IpVersion::V4,
            header_len,
            total_len,
            tos,
            protocol,
            source: Ipv4Addr::new(s0, s1, s2, s3).into(),
            destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
        })
    }

    fn parse_v6(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; V6_HEADER] = packet.first_chunk()?;
        let [first, second, _, _, len_0, len_1, next_header, _, addresses @ ..] = *fixed;
        let (source, destination) = (addresses.first_chunk::<16>()?, addresses.last_chunk::<16>()?);
        let payload = usize::from(u16::from_be_bytes([len_0, len_1]));
        if payload == 0 && next_header == HOP_BY_HOP {
            return None;
        }
        Some(Self {
            version: IpVersion::V6,
            header_len: V6_HEADER,
            total_len: payload.checked_add(V6_HEADER)?,
            tos: (first << 4) | (second >> 4),
            protocol: next_header,
            source: Ipv6Addr::from(*source).into(),
            destination: Ipv6Addr::from(*destination).into(),
        })
    }
}

/// What lies behind the IP header and any extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpperLayer {
    /// Its protocol number.
    pub protocol: u8,
    /// Where it begins in the packet; never beyond its end.
    pub offset: usize,
    /// Whether the packet is a fragment, the first included, so that the upper layer goes on elsewhere.
    pub fragment: bool,
    /// Whether the packet is a fragment other than the first, so that no upper-layer header is here.
    pub later_fragment: bool,
}

impl UpperLayer {
    /// Finds the upper layer of `packet`, over at most eight IPv6 extension headers; `None` when a header is cut short.
    pub fn find(packet: &[u8], header: &IpHeader) -> Option<Self> {
        match header.version {
            IpVersion::V4 => {
                let word = u16::from_be_bytes(packet.get(6..)?.first_chunk().copied()?);
                Some(Self {
                    protocol: header.protocol,
                    offset: header.header_len,
                    fragment: word & 0x3fff != 0,
                    later_fragment: word & 0x1fff != 0,
                })
            }
            IpVersion::V6 => Self::find_v6(packet, header),
        }
    }

    fn find_v6(packet: &[u8], header: &IpHeader) -> Option<Self> {
        let (protocol, offset) = (header.protocol, header.header_len);
        let mut at = Self { protocol, offset, fragment: false, later_fragment: false };
        for _ in 0..MAX_EXTENSION_HEADERS {
            let length = match at.protocol {
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                    let words = usize::from(*packet.get(at.offset.checked_add(1)?)?);
                    words.checked_add(1)?.checked_mul(8)?
                }
                FRAGMENT => {
                    let place = at.offset.checked_add(2)?;
                    let word = u16::from_be_bytes(packet.get(place..)?.first_chunk().copied()?);
                    at.fragment |= word & 0xfff9 != 0;
                    at.later_fragment |= word & 0xfff8 != 0;
                    8
                }
                _ => return Some(at),
            };
            at.protocol = *packet.get(at.offset)?;
            at.offset = at.offset.checked_add(length).filter(|offset| *offset <= packet.len())?;
            if at.later_fragment {
                return Some(at);
            }
        }
        None
    }
}

/// TCP (RFC 9293).
pub const TCP: u8 = 6;
/// UDP (RFC 768).
pub const UDP: u8 = 17;
/// ICMP (RFC 792).
pub const ICMP: u8 = 1;
/// ICMPv6 (RFC 4443).
pub const ICMPV6: u8 = 58;
/// Octets of the fixed IPv6 header.
pub const V6_HEADER: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const MAX_EXTENSION_HEADERS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_that_contradict_each_other_are_refused() {
        let mut v4 = [0u8; 24];
        v4[0] = 0x46;
        v4[3] = 24;
        assert_eq!(IpHeader::parse(&v4).map(|h| (h.header_len, h.total_len)), Some((24, 24)));
        v4[3] = 23; // total below the header
        assert_eq!(IpHeader::parse(&v4), None);
        v4[3] = 24;
        v4[0] = 0x44; // header of 16 octets
        assert_eq!(IpHeader::parse(&v4), None);
        v4[0] = 0x47; // header beyond the packet
        assert_eq!(IpHeader::parse(&v4), None);
        assert_eq!(IpHeader::parse(&[0x60; 39]), None);
    }

    #[test]
    fn extension_headers_are_walked_and_bounded() {
        let mut v6 = vec![0u8; 40];
        v6[0] = 0x60;
        v6[6] = DESTINATION_OPTIONS;
        v6.extend([FRAGMENT, 0, 0, 0, 0, 0, 0, 0]);
        v6.extend([TCP, 0, 0, 1, 0, 0, 0, 1]);
        let header = IpHeader::parse(&v6).unwrap();
        let first = UpperLayer { protocol: TCP, offset: 56, fragment: true, later_fragment: false };
        assert_eq!(UpperLayer::find(&v6, &header), Some(first));
        v6[51] = 9; // offset 1
        assert_eq!(UpperLayer::find(&v6, &header).map(|u| u.later_fragment), Some(true));

        let mut endless = vec![0u8; 40];
        endless[0] = 0x60;
        endless[6] = DESTINATION_OPTIONS;
        for _ in 0..20 {
            endless.extend([DESTINATION_OPTIONS, 0, 0, 0, 0, 0, 0, 0]);
        }
        let header = IpHeader::parse(&endless).unwrap();
        assert_eq!(UpperLayer::find(&endless, &header), None);
    }

    proptest! {
        #[test]
        fn no_input_panics_and_no_offset_leaves_the_packet(
            first in prop_oneof![Just(0x45u8), Just(0x60u8), any::<u8>()],
            mut data in proptest::collection::vec(any::<u8>(), 1..120),
        ) {
            data[0] = first;
            if let Some(header) = IpHeader::parse(&data) {
                prop_assert!(header.header_len <= data.len() && header.header_len <= header.total_len);
                if let Some(upper) = UpperLayer::find(&data, &header) {
                    prop_assert!(upper.offset <= data.len());
                }
            }
        }
    }
}
