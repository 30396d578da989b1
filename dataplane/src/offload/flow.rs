//! What a packet on its way in is to coalescing: of which flow, whether it may be one of many segments of a super-packet, and
//! what the next segment has to look like.
//!
//! Two segments may become one only where the host can cut them apart again as they were: every field but those that count
//! on must be the same.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::fields::{ACK, ECE, FIN, PSH, TCP_HEADER, UDP_HEADER, V4_ADDRESSES, V4_HEADER, V6_ADDRESSES};
use crate::packet::checksum;
use crate::packet::ip::{IpVersion, TCP, UDP, V6_HEADER};

/// A packet as the first look sees it.
pub(super) enum Arrival<'p> {
    /// May be one of many.
    Segment(Segment<'p>),
    /// Of this flow, and to go alone.
    Lone(Flow),
    /// Of any flow between these hosts (fragments, options and extension headers, other protocols), and to go alone.
    Between(Hosts),
    /// Not an IP packet.
    Unknown,
}

/// The two ends, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hosts {
    v6: bool,
    source: u128,
    destination: u128,
}

/// A TCP connection or a UDP flow, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    ports: u32,
    protocol: u8,
    pub(super) hosts: Hosts,
}

/// A TCP segment or UDP datagram with payload and nothing unusual in its headers.
#[derive(Clone, Copy)]
pub(super) struct Segment<'p> {
    pub(super) flow: Flow,
    pub(super) layout: Layout,
    pub(super) payload_len: usize,
    /// PSH and FIN, where set: the last of its super-packet.
    pub(super) closing: u8,
    same: Same,
    options: &'p [u8],
    seq: u32,
    id: u16,
}

/// The headers of a super-packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) version: IpVersion,
    pub(super) protocol: u8,
    /// Octets of the IP header.
    pub(super) ip_len: usize,
    /// Octets of all headers.
    pub(super) header_len: usize,
}

/// What all segments of a super-packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Same {
    /// IPv4: TOS, DF, TTL; IPv6: traffic class, flow label, hop limit.
    ip: u64,
    /// TCP: acknowledgment, header length, flags other than PSH and FIN, window; UDP: 0.
    transport: u64,
}

/// What the next segment of a flow has to look like.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) flow: Flow,
    same: Same,
    options: [u8; MAX_OPTIONS],
    options_len: usize,
    seq: u32,
    id: u16,
    /// The most payload it may have.
    size: usize,
}

impl<'p> Arrival<'p> {
    /// Looks at a packet. `tcp`, `udp`: whether such segments may be one of many.
    #[inline]
    pub(super) fn of(packet: &'p [u8], tcp: bool, udp: bool) -> Self {
        let Some(ip) = Ip::of(packet) else { return Self::Unknown };
        let Some(protocol) = ip.plain_protocol else { return Self::Between(ip.hosts) };
        let octets = packet.get(ip.header_len..).unwrap_or_default();
        let Some(ports) = octets.first_chunk() else { return Self::Between(ip.hosts) };
        let flow = Flow { ports: u32::from_ne_bytes(*ports), protocol, hosts: ip.hosts };
        let header = match protocol {
            TCP if tcp => Transport::tcp(octets),
            UDP if udp => Transport::udp(octets),
            _ => None,
        };
        let Some(transport) = header else { return Self::Lone(flow) };
        let header_len = ip.header_len.saturating_add(transport.len);
        let payload_len = packet.len().saturating_sub(header_len);
        if payload_len == 0 {
            return Self::Lone(flow);
        }
        Self::Segment(Segment {
            flow,
            layout: Layout { version: ip.version, protocol, ip_len: ip.header_len, header_len },
            payload_len,
            closing: transport.closing,
            same: Same { ip: ip.same, transport: transport.same },
            options: transport.options,
            seq: transport.seq,
            id: ip.id,
        })
    }
}

impl Segment<'_> {
    /// Whether the checksums of `packet`, which this segment is of, are right.
    #[inline]
    pub(super) fn verify(&self, packet: &[u8]) -> bool {
        self.layout.verify(packet).is_some_and(|right| right)
    }

    /// What must follow this segment.
    #[inline]
    pub(super) fn expected(&self) -> Option<Expected> {
        let mut options = [0; MAX_OPTIONS];
        options.get_mut(..self.options.len())?.copy_from_slice(self.options);
        let mut expected = Expected {
            flow: self.flow,
            same: self.same,
            options,
            options_len: self.options.len(),
            seq: self.seq,
            id: self.id,
            size: self.payload_len,
        };
        expected.count_on(self);
        Some(expected)
    }
}

impl Layout {
    fn verify(&self, packet: &[u8]) -> Option<bool> {
        // Both addresses lie right before the transport header: pseudo-header and cover are summed in one go.
        let addresses = match self.version {
            IpVersion::V4 => {
                if checksum::add(0, packet.first_chunk::<V4_HEADER>()?) != 0xffff {
                    return Some(false);
                }
                V4_ADDRESSES.start
            }
            IpVersion::V6 => V6_ADDRESSES.start,
        };
        let len = u32::try_from(packet.len().checked_sub(self.ip_len)?).ok()?;
        let sum = checksum::add(len.checked_add(self.protocol.into())?, packet.get(addresses..)?);
        Some(sum == 0xffff)
    }
}

impl Expected {
    /// Whether `segment` is what was expected.
    #[inline]
    pub(super) fn is(&self, segment: &Segment<'_>) -> bool {
        self.same == segment.same
            && self.seq == segment.seq
            && segment.payload_len <= self.size
            && (self.any_id() || self.id == segment.id)
            && self.options.get(..self.options_len) == Some(segment.options)
    }

    /// Moves on behind `segment`.
    #[inline]
    pub(super) fn count_on(&mut self, segment: &Segment<'_>) {
        if segment.flow.protocol == TCP {
            #[expect(clippy::cast_possible_truncation, reason = "an IP packet's payload is below 2^16")]
            let len = segment.payload_len as u32;
            self.seq = segment.seq.wrapping_add(len);
        }
        self.id = segment.id.wrapping_add(1);
    }

    /// IPv4 packets that may not be fragmented need no identification (RFC 6864 §4.1), and IPv6 has none.
    fn any_id(&self) -> bool {
        self.flow.hosts.v6 || self.same.ip & DF != 0
    }
}

/// The IP header, as far as it matters here.
struct Ip {
    version: IpVersion,
    hosts: Hosts,
    header_len: usize,
    /// What follows the header, where the packet is whole and has neither options nor extension headers.
    plain_protocol: Option<u8>,
    same: u64,
    id: u16,
}

impl Ip {
    #[inline]
    fn of(packet: &[u8]) -> Option<Self> {
        match IpVersion::of(packet)? {
            IpVersion::V4 => Self::of_v4(packet),
            IpVersion::V6 => Self::of_v6(packet),
        }
    }

    #[inline]
    fn of_v4(packet: &[u8]) -> Option<Self> {
        let [first, tos, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, addresses @ ..] =
            *packet.first_chunk::<V4_HEADER>()?;
        let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
        let fragment = u16::from_be_bytes([f0, f1]);
        let plain = first == 0x45
            && usize::from(u16::from_be_bytes([l0, l1])) == packet.len()
            && (fragment == 0 || u64::from(fragment) == DF);
        Some(Self {
            version: IpVersion::V4,
            hosts: Hosts {
                v6: false,
                source: u32::from_ne_bytes([s0, s1, s2, s3]).into(),
                destination: u32::from_ne_bytes([d0, d1, d2, d3]).into(),
            },
            header_len: V4_HEADER,
            plain_protocol: plain.then_some(protocol).filter(|p| [TCP, UDP].contains(p)),
            same: (u64::from(ttl) << 32) | (u64::from(tos) << 16) | u64::from(fragment),
            id: u16::from_be_bytes([i0, i1]),
        })
    }

    #[inline]
    fn of_v6(packet: &[u8]) -> Option<Self> {
        let [c0, c1, c2, c3, l0, l1, next_header, hop_limit, addresses @ ..] =
            *packet.first_chunk::<V6_HEADER>()?;
        let (source, destination) = (addresses.first_chunk()?, addresses.last_chunk()?);
        let payload_len = usize::from(u16::from_be_bytes([l0, l1]));
        let plain = payload_len.checked_add(V6_HEADER)? == packet.len();
        Some(Self {
            version: IpVersion::V6,
            hosts: Hosts {
                v6: true,
                source: u128::from_ne_bytes(*source),
                destination: u128::from_ne_bytes(*destination),
            },
            header_len: V6_HEADER,
            plain_protocol: plain.then_some(next_header).filter(|p| [TCP, UDP].contains(p)),
            same: (u64::from(hop_limit) << 32) | u64::from(u32::from_be_bytes([c0, c1, c2, c3])),
            id: 0,
        })
    }
}

/// The transport header of a segment that may be one of many.
struct Transport<'p> {
    /// Octets of the header.
    len: usize,
    closing: u8,
    same: u64,
    options: &'p [u8],
    seq: u32,
}

impl<'p> Transport<'p> {
    #[inline]
    fn tcp(octets: &'p [u8]) -> Option<Self> {
        let [_, _, _, _, seq @ .., a0, a1, a2, a3, offset, flags, w0, w1, _, _, _, _] =
            *octets.first_chunk::<TCP_HEADER>()?;
        // Only the flags that a stream in full flow has, and none of the reserved bits.
        if flags & !(PSH | FIN | ECE) != ACK || offset & 0x0f != 0 {
            return None;
        }
        let len = usize::from(offset >> 4).checked_mul(4)?;
        Some(Self {
            len,
            closing: flags & (PSH | FIN),
            same: u64::from_ne_bytes([a0, a1, a2, a3, offset, flags & !(PSH | FIN), w0, w1]),
            options: octets.get(TCP_HEADER..len)?,
            seq: u32::from_be_bytes(seq),
        })
    }

    #[inline]
    fn udp(octets: &'p [u8]) -> Option<Self> {
        let [_, _, _, _, len_0, len_1, sum_0, sum_1] = *octets.first_chunk::<UDP_HEADER>()?;
        // Without a checksum (0) there is nothing that a segment of the whole could be checked by.
        if usize::from(u16::from_be_bytes([len_0, len_1])) != octets.len() || [sum_0, sum_1] == [0, 0] {
            return None;
        }
        Some(Self { len: UDP_HEADER, closing: 0, same: 0, options: &[], seq: 0 })
    }
}

/// Octets of the longest TCP options.
const MAX_OPTIONS: usize = 40;
const DF: u64 = 0x4000;
