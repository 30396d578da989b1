//! Putting consecutive packets of a TCP connection or a UDP flow together, so that the host takes them in as one
//! super-packet (virtio 1.2 §5.1.6).
//!
//! Nothing is copied: a group is a list of pieces of the buffers that the packets lie in. A packet that does not continue the
//! group of its flow ends it, so that a flow's packets keep their order. A packet whose checksum is wrong goes alone and as it
//! is: the host's is made anew for a super-packet, and would hide it.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use core::ops::Range;

use super::fields::{
    self, TCP_FLAGS, TCP_SUM, UDP_LEN, UDP_SUM, V4_ADDRESSES, V4_LEN, V4_SUM, V6_ADDRESSES, V6_LEN,
};
use super::flow::{Arrival, Expected, Flow, Hosts, Layout, Segment};
use super::virtio::{self, GsoType, VirtioHeader};
use crate::packet::checksum;
use crate::packet::ip::{IpVersion, TCP};

/// The packets of one burst, gathered to groups. Its tables are reused.
#[derive(Debug, Default)]
pub struct Coalescer {
    tcp: bool,
    udp: bool,
    members: Vec<Member>,
    groups: Vec<Whole>,
    /// The groups that may go on, eldest first; at most [`MAX_OPEN`].
    open: Vec<Open>,
}

impl Coalescer {
    /// An empty one; `tcp`, `udp`: whether such packets may be put together.
    pub fn new(tcp: bool, udp: bool) -> Self {
        Self { tcp, udp, open: Vec::with_capacity(MAX_OPEN), ..Self::default() }
    }

    /// Forgets all packets.
    pub fn clear(&mut self) {
        self.members.clear();
        self.groups.clear();
        self.open.clear();
    }

    /// Takes in the next packet on its way to `queue`. It lies at `range` of the buffer of datagram number `place`.
    #[inline]
    pub fn push(&mut self, queue: usize, place: usize, range: Range<usize>, packet: &[u8]) {
        match Arrival::of(packet, self.tcp, self.udp) {
            Arrival::Segment(segment) => return self.push_segment(queue, place, range, packet, &segment),
            Arrival::Lone(flow) => self.close(queue, flow),
            Arrival::Between(hosts) => self.close_between(queue, hosts),
            Arrival::Unknown => {}
        }
        self.start(queue, place, range, None);
    }

    /// The groups, in the order of their first packets.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.groups.iter().map(|whole| Group { members: &self.members, whole })
    }

    #[inline]
    fn push_segment(
        &mut self,
        queue: usize,
        place: usize,
        range: Range<usize>,
        packet: &[u8],
        segment: &Segment<'_>,
    ) {
        let right = segment.verify(packet);
        let same = |open: &Open| open.expected.flow == segment.flow && open.queue == queue;
        if let Some(found) = self.open.iter().position(same) {
            if right && self.join(found, place, &range, segment).is_some() {
                return;
            }
            self.open.remove(found);
        }
        let layout = segment.layout;
        let shape = Shape { layout, size: segment.payload_len, len: packet.len(), closing: segment.closing };
        self.start(queue, place, range, right.then_some(shape));
        if right && segment.closing == 0 {
            self.open(queue, segment);
        }
    }

    /// Adds a segment to the open group at `found`; `None`, and no change, where it does not continue it.
    #[inline]
    fn join(
        &mut self,
        found: usize,
        place: usize,
        range: &Range<usize>,
        segment: &Segment<'_>,
    ) -> Option<()> {
        let open = self.open.get_mut(found)?;
        let whole = self.groups.get_mut(open.group)?;
        let shape = whole.shape.as_mut()?;
        let len = shape.len.checked_add(segment.payload_len).filter(|len| *len <= MAX_LEN)?;
        if !open.expected.is(segment) {
            return None;
        }
        let piece = range.start.checked_add(segment.layout.header_len)?..range.end;
        self.members.get_mut(whole.last)?.next = Some(self.members.len());
        whole.last = self.members.len();
        whole.packets = whole.packets.saturating_add(1);
        shape.len = len;
        shape.closing |= segment.closing;
        self.members.push(Member { place, piece, next: None });
        open.expected.count_on(segment);
        if segment.closing != 0 || segment.payload_len < shape.size || whole.packets == MAX_PACKETS {
            self.open.remove(found);
        }
        Some(())
    }

    /// Starts a group.
    fn start(&mut self, queue: usize, place: usize, piece: Range<usize>, shape: Option<Shape>) {
        let first = self.members.len();
        self.members.push(Member { place, piece, next: None });
        self.groups.push(Whole { queue, first, last: first, packets: 1, shape });
    }

    /// Lets the group that was started last go on.
    fn open(&mut self, queue: usize, segment: &Segment<'_>) {
        let (Some(expected), Some(group)) = (segment.expected(), self.groups.len().checked_sub(1)) else {
            return;
        };
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push(Open { queue, group, expected });
    }

    fn close(&mut self, queue: usize, flow: Flow) {
        self.open.retain(|open| open.queue != queue || open.expected.flow != flow);
    }

    fn close_between(&mut self, queue: usize, hosts: Hosts) {
        self.open.retain(|open| open.queue != queue || open.expected.flow.hosts != hosts);
    }
}

/// Packets that go to the host with one write.
#[derive(Clone, Copy, Debug)]
pub struct Group<'c> {
    members: &'c [Member],
    whole: &'c Whole,
}

impl<'c> Group<'c> {
    /// The queue they go to.
    pub const fn queue(&self) -> usize {
        self.whole.queue
    }

    /// How many packets.
    pub const fn packets(&self) -> u16 {
        self.whole.packets
    }

    /// The parts of the super-packet: number of the datagram, and octets of its buffer. The first is the whole first packet,
    /// the others are payload.
    pub fn pieces(&self) -> impl Iterator<Item = (usize, Range<usize>)> + use<'c> {
        let members = self.members;
        let first = members.get(self.whole.first);
        std::iter::successors(first, move |member| members.get(member.next?))
            .map(|member| (member.place, member.piece.clone()))
    }

    /// Writes the virtio header, and makes the first packet's headers those of the whole. `head`: [`virtio::LEN`] octets for
    /// the one, and the first packet.
    pub fn write_header(&self, head: &mut [u8]) {
        let Some((virtio, packet)) = head.split_first_chunk_mut() else { return };
        let header = self.whole.shape.as_ref().and_then(|shape| match self.whole.packets {
            1 => Some(VirtioHeader { flags: virtio::DATA_VALID, ..VirtioHeader::default() }),
            _ => shape.write(packet),
        });
        *virtio = header.unwrap_or_default().to_bytes();
    }
}

/// One packet's part of a super-packet.
#[derive(Debug)]
struct Member {
    place: usize,
    piece: Range<usize>,
    /// The next of its group.
    next: Option<usize>,
}

/// A group.
#[derive(Debug)]
struct Whole {
    queue: usize,
    /// The first and last member.
    first: usize,
    last: usize,
    packets: u16,
    /// `None`: one packet, whose checksums are wrong or were not looked at.
    shape: Option<Shape>,
}

/// A super-packet.
#[derive(Debug)]
struct Shape {
    layout: Layout,
    /// Octets of payload in each segment but the last.
    size: usize,
    /// Octets of the whole.
    len: usize,
    /// PSH and FIN, where a segment had them.
    closing: u8,
}

impl Shape {
    /// Makes the headers in `packet` those of the whole; `None`, and no change, where they are cut short.
    fn write(&self, packet: &mut [u8]) -> Option<VirtioHeader> {
        let Layout { version, protocol, ip_len, header_len } = self.layout;
        let (ip, transport) = packet.get_mut(..header_len)?.split_at_mut_checked(ip_len)?;
        let transport_len = u16::try_from(self.len.checked_sub(ip_len)?).ok()?;
        let addresses = match version {
            IpVersion::V4 => {
                fields::put(ip, V4_LEN, u16::try_from(self.len).ok()?.to_be_bytes())?;
                fields::put(ip, V4_SUM, [0; 2])?;
                let sum = checksum::finish(checksum::add(0, ip));
                fields::put(ip, V4_SUM, sum.to_be_bytes())?;
                ip.get(V4_ADDRESSES)?
            }
            IpVersion::V6 => {
                fields::put(ip, V6_LEN, transport_len.to_be_bytes())?;
                ip.get(V6_ADDRESSES)?
            }
        };
        let pseudo = u32::from(protocol).checked_add(transport_len.into())?;
        let pseudo = u16::try_from(checksum::add(pseudo, addresses)).ok()?;
        let (gso_type, sum_place) = if protocol == TCP {
            *transport.get_mut(TCP_FLAGS)? |= self.closing;
            (if version == IpVersion::V4 { GsoType::TCPV4 } else { GsoType::TCPV6 }, TCP_SUM)
        } else {
            fields::put(transport, UDP_LEN, transport_len.to_be_bytes())?;
            (GsoType::UDP_L4, UDP_SUM)
        };
        fields::put(transport, sum_place, pseudo.to_be_bytes())?;
        Some(VirtioHeader {
            flags: virtio::NEEDS_CSUM,
            gso_type,
            hdr_len: u16::try_from(header_len).ok()?,
            gso_size: u16::try_from(self.size).ok()?,
            csum_start: u16::try_from(ip_len).ok()?,
            csum_offset: u16::try_from(sum_place).ok()?,
        })
    }
}

/// A group that may go on.
#[derive(Debug)]
struct Open {
    queue: usize,
    /// Its place among the groups.
    group: usize,
    expected: Expected,
}

/// Most groups that may go on at a time: flows that mix in one burst.
const MAX_OPEN: usize = 16;
/// Most packets of a group: what the host cuts a UDP super-packet to (`UDP_MAX_SEGMENTS` before Linux 6.6). TCP packets of 1
/// KiB reach the length limit before.
const MAX_PACKETS: u16 = 64;
/// Most octets of a super-packet: an IPv4 packet's.
const MAX_LEN: usize = 65_535;
