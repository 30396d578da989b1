//! Cutting a super-packet of the host into segments: TCP (TSO) and UDP (USO) over IPv4 and IPv6, and completing the
//! checksum of a packet that is not cut (virtio 1.2 §5.1.6.2).
//!
//! Each segment is written straight to where it will be sealed: the headers with what changes in them, and the payload.
//! What the sums of the headers have in common is worked out once. Of the virtio header only what the packet bears out is
//! believed.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::fields::{
    CWR, FIN, PSH, TCP_FLAGS, TCP_HEADER, TCP_OFFSET, TCP_SEQ, TCP_SUM, UDP_HEADER, UDP_LEN, UDP_SUM,
    V4_ADDRESSES, V4_ID, V4_LEN, V4_SUM, V6_ADDRESSES, V6_LEN, put, word,
};
use super::virtio::{self, GsoType, VirtioHeader};
use crate::drop_reason::DropReason;
use crate::packet::checksum;
use crate::packet::ip::{IpHeader, IpVersion, TCP, UDP, UpperLayer, V6_HEADER};

/// What a frame of the host becomes, one inner packet after the other.
#[derive(Debug)]
pub struct Segments<'f> {
    /// Headers and payload; a packet that is not cut is all payload.
    packet: &'f [u8],
    ip: IpHeader,
    /// Octets of the headers that each segment starts with.
    header_len: usize,
    /// Octets of payload in each segment but the last; never 0.
    size: usize,
    /// Where in `packet` the next segment's payload begins.
    at: usize,
    changes: Option<Changes>,
}

impl<'f> Segments<'f> {
    /// Reads what is to be done with `packet`. The checksum of one that is not cut is completed in place; one that is cut
    /// stays as it is.
    ///
    /// # Errors
    /// The packet is malformed, or is not what its virtio header says.
    pub fn new(header: VirtioHeader, packet: &'f mut [u8]) -> Result<Self, DropReason> {
        let ip = IpHeader::parse(packet).ok_or(DropReason::InnerHeader)?;
        if ip.total_len != packet.len() {
            return Err(DropReason::InnerLength);
        }
        if header.gso_type == GsoType::NONE {
            if header.has(virtio::NEEDS_CSUM) {
                complete_checksum(header, &ip, packet).ok_or(DropReason::Offload)?;
            }
            let size = packet.len();
            return Ok(Self { packet, ip, header_len: 0, size, at: 0, changes: None });
        }
        let (changes, header_len) = Changes::prepare(header, &ip, packet).ok_or(DropReason::Offload)?;
        let size = usize::from(header.gso_size);
        Ok(Self { packet, ip, header_len, size, at: header_len, changes: Some(changes) })
    }

    /// Writes the next segment to the start of `to` and returns its length. `None`, and no change: there is none left,
    /// or `to` is shorter than [`Self::next_len`].
    #[inline]
    pub fn write_next(&mut self, to: &mut [u8]) -> Option<usize> {
        let len = self.next_len()?;
        let (head, body) = to.get_mut(..len)?.split_at_mut_checked(self.header_len)?;
        let end = self.at.checked_add(body.len())?;
        let payload = self.packet.get(self.at..end)?;
        if let Some(changes) = &mut self.changes {
            head.copy_from_slice(self.packet.get(..self.header_len)?);
            changes.complete(head, len, checksum::add(0, payload), end == self.packet.len())?;
        }
        // One pass that copies and sums takes longer than both (60 ns against 45 for 1400 octets on Zen 4).
        body.copy_from_slice(payload);
        self.at = end;
        Some(len)
    }

    /// The IP header of the whole; each segment's differs in its lengths only.
    pub const fn ip(&self) -> &IpHeader {
        &self.ip
    }

    /// The whole, before it is cut.
    pub const fn packet(&self) -> &[u8] {
        self.packet
    }

    /// Octets of the longest segment.
    pub fn longest(&self) -> usize {
        self.packet.len().min(self.header_len.saturating_add(self.size))
    }

    /// Octets of the next segment.
    #[inline]
    pub fn next_len(&self) -> Option<usize> {
        let left = self.packet.len().checked_sub(self.at).filter(|left| *left > 0)?;
        self.header_len.checked_add(left.min(self.size))
    }
}

/// What changes in the headers from one segment to the next, and the sums of what does not.
#[derive(Debug)]
struct Changes {
    ip: IpChanges,
    transport: TransportChanges,
    /// Sum of the pseudo-header and the transport header, without what changes.
    sum: u32,
    /// Where the transport header begins.
    offset: usize,
}

/// What changes in the IP header.
#[derive(Debug)]
enum IpChanges {
    /// The identification of the next segment. `sum`: the header's, without identification, length and checksum.
    V4 { id: u16, sum: u32 },
    /// The length alone.
    V6,
}

/// What changes in the transport header, besides the checksum.
#[derive(Debug)]
enum TransportChanges {
    /// Sequence number and flags of the next segment; octets of payload in each; flags of the last one alone.
    Tcp { seq: u32, flags: u8, size: u32, last: u8 },
    /// The length alone.
    Udp,
}

impl Changes {
    /// Checks that `packet` can be cut as `header` says; returns the length of its headers also.
    fn prepare(header: VirtioHeader, ip: &IpHeader, packet: &[u8]) -> Option<(Self, usize)> {
        let upper = UpperLayer::find(packet, ip)?;
        let protocol = match (header.gso_type.base(), ip.version) {
            (GsoType::TCPV4, IpVersion::V4) | (GsoType::TCPV6, IpVersion::V6) => TCP,
            (GsoType::UDP_L4, _) => UDP,
            _ => return None,
        };
        if upper.protocol != protocol || upper.fragment || header.gso_size == 0 {
            return None;
        }
        let (head, transport) = packet.split_at_checked(upper.offset)?;
        let (changes, changing, transport_len) = match protocol {
            TCP => TransportChanges::of_tcp(transport, header.gso_size)?,
            _ => TransportChanges::of_udp(transport)?,
        };
        let (header_octets, payload) = transport.split_at_checked(transport_len)?;
        if payload.is_empty() {
            return None;
        }
        let ip = match ip.version {
            IpVersion::V4 => IpChanges::of_v4(head)?,
            IpVersion::V6 => IpChanges::V6,
        };
        let pseudo = pseudo_header(header, &upper, packet)?;
        let sum = total([pseudo, checksum::add(0, header_octets), changing]);
        Some((
            Self { ip, transport: changes, sum, offset: upper.offset },
            upper.offset.checked_add(transport_len)?,
        ))
    }

    /// Makes the headers in `head` those of a segment of `len` octets whose payload sums to `payload`.
    #[inline]
    fn complete(&mut self, head: &mut [u8], len: usize, payload: u32, last: bool) -> Option<()> {
        let transport_len = u16::try_from(len.checked_sub(self.offset)?).ok()?;
        let (ip, transport) = head.split_at_mut_checked(self.offset)?;
        self.ip.complete(ip, len)?;
        let sum = total([self.sum, payload, transport_len.into()]);
        self.transport.complete(transport, transport_len, sum, last)
    }
}

impl IpChanges {
    fn of_v4(head: &[u8]) -> Option<Self> {
        let id = word(head, V4_ID)?;
        let changing = without([word(head, V4_LEN)?, id, word(head, V4_SUM)?]);
        Some(Self::V4 { id, sum: checksum::add(changing, head) })
    }

    #[inline]
    fn complete(&mut self, head: &mut [u8], len: usize) -> Option<()> {
        match self {
            Self::V4 { id, sum } => {
                let len = u16::try_from(len).ok()?;
                put(head, V4_LEN, len.to_be_bytes())?;
                put(head, V4_ID, id.to_be_bytes())?;
                let sum = checksum::finish(total([*sum, len.into(), (*id).into()]));
                put(head, V4_SUM, sum.to_be_bytes())?;
                *id = id.wrapping_add(1);
                Some(())
            }
            Self::V6 => put(head, V6_LEN, u16::try_from(len.checked_sub(V6_HEADER)?).ok()?.to_be_bytes()),
        }
    }
}

impl TransportChanges {
    /// What changes in a TCP header, what takes it out of the header's sum, and the header's length.
    fn of_tcp(head: &[u8], size: u16) -> Option<(Self, u32, usize)> {
        let len = usize::from(*head.get(TCP_OFFSET)? >> 4).checked_mul(4).filter(|len| *len >= TCP_HEADER)?;
        let flags = *head.get(TCP_FLAGS)?;
        let (high, low) = (word(head, TCP_SEQ)?, word(head, TCP_SEQ + 2)?);
        let changing = without([high, low, flags.into(), word(head, TCP_SUM)?]);
        let changes = Self::Tcp {
            seq: (u32::from(high) << 16) | u32::from(low),
            flags: flags & !(PSH | FIN),
            size: size.into(),
            last: flags & (PSH | FIN),
        };
        Some((changes, changing, len))
    }

    /// As [`Self::of_tcp`].
    fn of_udp(head: &[u8]) -> Option<(Self, u32, usize)> {
        Some((Self::Udp, without([word(head, UDP_LEN)?, word(head, UDP_SUM)?]), UDP_HEADER))
    }

    /// `sum`: of all that the checksum covers, but for what changes.
    #[inline]
    fn complete(&mut self, head: &mut [u8], len: u16, sum: u32, last: bool) -> Option<()> {
        match self {
            Self::Tcp { seq, flags, size, last: of_last } => {
                let all_flags = *flags | if last { *of_last } else { 0 };
                let sum = total([sum, *seq >> 16, *seq & 0xffff, all_flags.into()]);
                put(head, TCP_SEQ, seq.to_be_bytes())?;
                put(head, TCP_FLAGS, [all_flags])?;
                put(head, TCP_SUM, checksum::finish(sum).to_be_bytes())?;
                *seq = seq.wrapping_add(*size);
                *flags &= !CWR;
            }
            Self::Udp => {
                let sum = checksum::finish(total([sum, len.into()]));
                put(head, UDP_LEN, len.to_be_bytes())?;
                put(head, UDP_SUM, never_zero(sum).to_be_bytes())?;
            }
        }
        Some(())
    }
}

/// Completes the checksum that the host left with the sum of the pseudo-header in it.
fn complete_checksum(header: VirtioHeader, ip: &IpHeader, packet: &mut [u8]) -> Option<()> {
    let upper = UpperLayer::find(packet, ip)?;
    let start = usize::from(header.csum_start);
    // Behind the first transport header there may be another, of a packet inside this one.
    let plausible = if start == upper.offset { covers(header, &upper) } else { start > upper.offset };
    if !plausible || upper.fragment {
        return None;
    }
    let (cover, offset) = (packet.get_mut(start..)?, usize::from(header.csum_offset));
    let sum = checksum::finish(checksum::add(0, cover));
    put(cover, offset, if offset == UDP_SUM { never_zero(sum) } else { sum }.to_be_bytes())
}

/// Whether the checksum that the virtio header names is the one of the upper layer.
fn covers(header: VirtioHeader, upper: &UpperLayer) -> bool {
    let offset = match upper.protocol {
        TCP => TCP_SUM,
        UDP => UDP_SUM,
        _ => return true,
    };
    usize::from(header.csum_start) == upper.offset && usize::from(header.csum_offset) == offset
}

/// The sum of the pseudo-header of a packet to be cut, without its length.
///
/// Where the checksum is to be completed, it is what stands there: with a routing header, the addresses of the pseudo-header
/// are not those of the packet (RFC 8200 §8.1). Where the host vouches for a checksum that its device verified, it is
/// taken from the addresses. For a packet with neither nobody vouches.
fn pseudo_header(header: VirtioHeader, upper: &UpperLayer, packet: &[u8]) -> Option<u32> {
    if header.has(virtio::NEEDS_CSUM) {
        if !covers(header, upper) {
            return None;
        }
        let sum = word(packet.get(upper.offset..)?, header.csum_offset.into())?;
        let len = u16::try_from(packet.len().checked_sub(upper.offset)?).ok()?;
        return Some(total([sum.into(), without([len])]));
    }
    let addresses = match IpVersion::of(packet)? {
        IpVersion::V4 => packet.get(V4_ADDRESSES)?,
        IpVersion::V6 => packet.get(V6_ADDRESSES)?,
    };
    header.has(virtio::DATA_VALID).then(|| checksum::add(upper.protocol.into(), addresses))
}

/// What, added to a sum over these words, takes them out of it.
fn without<const N: usize>(words: [u16; N]) -> u32 {
    total(words.map(|word| u32::from(!word)))
}

/// A UDP checksum of 0 says that there is none, and is sent as 0xffff (RFC 768).
const fn never_zero(sum: u16) -> u16 {
    if sum == 0 { 0xffff } else { sum }
}

/// The sum of a few folded sums.
fn total<const N: usize>(sums: [u32; N]) -> u32 {
    sums.into_iter().fold(0, u32::wrapping_add)
}
