//! From the outer network to the host: classify, find the SA, open in place, gather super-packets, give to the TUN device.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use super::Worker;
use super::crew::Job;
use super::tap::{Copies, Tap};
use crate::drop_reason::DropReason;
use crate::esp::cipher::BATCH;
use crate::esp::decapsulate::{Opened, Opening, OuterInfo, commit_batch, open_batch};
use crate::esp::ecn::Ecn;
use crate::esp::header::EspHeader;
use crate::io::{Backend, Datagram, Piece, QueueId, SocketId, Wire, Writes};
use crate::message::Notice;
use crate::mss;
use crate::mtu;
use crate::natt;
use crate::offload::coalesce::Coalescer;
use crate::offload::virtio;
use crate::packet::Packet;
use crate::packet::ip::IpVersion;
use crate::pool::Buffer;
use crate::replay::ReplayWindow;
use crate::sa::LAST_RESERVED_SPI;
use crate::sa::inbound::InboundSa;

/// An entry of the SAD: the SA, its window, and where its packets go.
pub(super) struct Inbound {
    sa: Arc<InboundSa>,
    window: ReplayWindow,
    pub(super) queue: QueueId,
}

/// What a worker keeps between bursts, so that a burst of which nothing is lent to other workers allocates nothing.
pub(super) struct Ingress {
    burst: Vec<Datagram>,
    arrivals: Vec<Arrival>,
    groups: Vec<Group>,
    jobs: Vec<Job>,
    pub(super) coalescer: Coalescer,
    writes: Writes,
    copies: Copies,
}

/// One ESP packet of a burst.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    spi: u32,
    /// Which datagram of the burst it lies in, and where.
    place: usize,
    start: usize,
    len: usize,
    /// Whether the datagram holds others too.
    coalesced: bool,
}

/// Packets of one SPI that are opened together.
struct Group {
    arrivals: Range<usize>,
    opened: Opened,
}

/// What a datagram turned out to be.
enum Kind {
    Esp(u32),
    Ike,
    Keepalive,
    Bad(DropReason),
}

impl Ingress {
    pub(super) fn new() -> Self {
        Self {
            burst: Vec::new(),
            arrivals: Vec::new(),
            groups: Vec::new(),
            jobs: Vec::new(),
            coalescer: Coalescer::new(false, false),
            writes: Writes::default(),
            copies: Copies::default(),
        }
    }
}

impl Arrival {
    /// Where in its datagram's buffer it is.
    pub(super) fn octets(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

impl Inbound {
    pub(super) fn new(sa: Box<InboundSa>, queue: QueueId) -> Self {
        Self { window: sa.replay_window(), sa: sa.into(), queue }
    }
}

impl<B: Backend> Worker<B> {
    /// Takes in one burst.
    pub(super) fn inbound(&mut self, socket: SocketId) {
        let Some((port, wire)) = self.backend.socket(socket) else { return };
        let Some(mut ingress) = self.ingress.take() else { return };
        if let Err(error) = self.backend.receive(socket, &mut ingress.burst) {
            // An ICMP error that came back, or no memory: the next burst may do better.
            tracing::trace!(%error, "receive");
        }
        self.sort(port, wire, &mut ingress);
        if self.taps {
            self.copy(if wire == Wire::Udp { port } else { 0 }, &mut ingress);
        }
        self.open(&mut ingress);
        self.commit(&mut ingress);
        ingress.copies.tell(&self.notices);
        self.deliver(&mut ingress);
        self.ingress = Some(ingress);
    }

    /// Leaves the ESP packets of the burst in `arrivals`, and deals with everything else.
    fn sort(&mut self, port: u16, wire: Wire, ingress: &mut Ingress) {
        ingress.arrivals.clear();
        for (place, datagram) in ingress.burst.iter().enumerate() {
            if datagram.truncated {
                self.stats.drops.add(DropReason::Truncated, 1);
                continue;
            }
            let coalesced = datagram.payload.len() > datagram.segment;
            for octets in datagrams(datagram) {
                let (start, len) = (octets.start, octets.len());
                let octets = datagram.buffer.bytes().get(octets).unwrap_or_default();
                match classify(wire, octets) {
                    Kind::Esp(spi) => ingress.arrivals.push(Arrival { spi, place, start, len, coalesced }),
                    Kind::Ike => self.hand_over_ike(port, datagram, octets),
                    Kind::Keepalive => self.stats.keepalives = self.stats.keepalives.wrapping_add(1),
                    Kind::Bad(reason) => self.stats.drops.add(reason, 1),
                }
            }
        }
    }

    /// Copies what is asked for of the burst, before it is opened in place.
    fn copy(&self, port: u16, ingress: &mut Ingress) {
        let Ingress { burst, arrivals, copies, .. } = ingress;
        for (number, arrival) in arrivals.iter().enumerate() {
            let queue = self.sad.get(arrival.spi).map(|entry| entry.queue.0);
            let tunnel = queue.and_then(|queue| self.tunnels.get(queue)?.as_ref());
            if let Some((tunnel, datagram)) = tunnel.zip(burst.get(arrival.place)) {
                copies.take(tunnel, number, arrival, (datagram, port));
            }
        }
    }

    /// Opens what has an SA: here, or beside other workers where there are several receives full of packets.
    fn open(&mut self, ingress: &mut Ingress) {
        let Ingress { burst, arrivals, groups, jobs, .. } = ingress;
        groups.clear();
        let crew = self.crew.as_deref().filter(|_| burst.len() > 1);
        let mut start = 0;
        while let Some(group) = next_group(arrivals, start) {
            start = group.end;
            let members = &arrivals[group.clone()];
            let mut opened = [Err(DropReason::UnknownSpi); GROUP];
            if let Some(entry) = self.sad.get(members[0].spi) {
                // An AEAD opens a receive in the time that it takes to cross from core to core and back.
                let lends = crew.is_some() && !entry.sa.transform().is_aead();
                if lends && fills_datagram(arrivals, &group) {
                    jobs.push(Job::new(groups.len(), entry, &mut burst[members[0].place], members));
                } else {
                    opened = open_arrivals(&entry.sa, &entry.window, lend(burst, members));
                }
            }
            groups.push(Group { arrivals: group, opened });
        }
        if let Some(crew) = crew
            && !jobs.is_empty()
        {
            crew.open(jobs);
            for job in jobs.drain(..) {
                let Group { arrivals: group, opened } = &mut groups[job.group];
                *opened = job.opened;
                burst[arrivals[group.start].place] = job.datagram;
            }
        }
    }

    /// Enters what was opened into the windows, in order of arrival, and admits or refuses what is inside.
    fn commit(&mut self, ingress: &mut Ingress) {
        let Ingress { burst, arrivals, groups, coalescer, copies, .. } = ingress;
        coalescer.clear();
        for Group { arrivals: group, opened } in groups.drain(..) {
            let members = &arrivals[group.clone()];
            let Some(spi) = members.first().map(|a| a.spi) else { continue };
            let Some(entry) = self.sad.get_mut(spi) else {
                let reason =
                    if spi <= LAST_RESERVED_SPI { DropReason::ReservedSpi } else { DropReason::UnknownSpi };
                self.stats.drops.add(reason, members.len() as u64);
                continue;
            };
            let Some(Some(tunnel)) = self.tunnels.get_mut(entry.queue.0) else {
                self.stats.drops.add(DropReason::UnknownSpi, members.len() as u64);
                continue;
            };
            let (mut openings, count) = openings(lend(burst, members));
            let openings = &mut openings[..count];
            commit_batch(&entry.sa, &mut entry.window, openings, &opened);
            copies.judge(&group, |number| openings.get(number).and_then(|opening| opening.result.err()));
            let tap = Tap::of(tunnel, &self.notices);
            for (opening, arrival) in openings.iter_mut().zip(members) {
                let packet = &mut opening.packet;
                match opening.result {
                    Ok(inner) => {
                        tunnel.counters.received(packet.as_slice());
                        tunnel.counters.last_rx = Some(self.now);
                        let v6 = inner.version == IpVersion::V6;
                        mss::clamp(packet.as_mut_slice(), mtu::mss(tunnel.mtu(), v6));
                        let Range { start, end } = packet.range();
                        let range = arrival.start + start..arrival.start + end;
                        coalescer.push(entry.queue.0, arrival.place, range, packet.as_slice());
                        if let Some(tap) = tap {
                            tap.opened(packet.as_slice());
                        }
                    }
                    Err(reason) => tunnel.counters.dropped(reason),
                }
            }
        }
    }

    /// Gives the host what was opened, and the burst back.
    fn deliver(&mut self, ingress: &mut Ingress) {
        let Ingress { burst, coalescer, writes, .. } = ingress;
        writes.clear();
        for group in coalescer.groups() {
            let mut pieces = group.pieces().map(|(datagram, octets)| Piece { datagram, octets });
            let Some(mut head) = pieces.next() else { continue };
            let Some(Some(tunnel)) = self.tunnels.get(group.queue()) else { continue };
            let buffer = burst.get_mut(head.datagram).map(|d| d.buffer.bytes_mut()).unwrap_or_default();
            let Some(queue) = tunnel.writer() else { continue };
            if self.backend.offloads(queue).header {
                // The ESP header and the IV, at least 16 octets, were before the packet.
                head.octets.start = head.octets.start.saturating_sub(virtio::LEN);
                group.write_header(buffer.get_mut(head.octets.clone()).unwrap_or_default());
            }
            writes.push(queue, u64::from(group.packets()), std::iter::once(head).chain(pieces));
        }
        self.backend.deliver(burst, writes);
    }

    fn hand_over_ike(&mut self, port: u16, datagram: &Datagram, octets: &[u8]) {
        if !self.gate.admits(datagram.remote.ip(), self.now) {
            return self.stats.drops.add(DropReason::IkeQueueFull, 1);
        }
        if let natt::Datagram::Ike(message) = natt::classify(octets) {
            let local = datagram.local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            self.stats.ike_messages = self.stats.ike_messages.wrapping_add(1);
            (self.notices)(Notice::Ike {
                local: SocketAddr::new(local, port),
                remote: datagram.remote,
                payload: message.to_vec(),
            });
        }
    }
}

/// Where in its buffer each datagram of one receive lies; an empty one counts too.
fn datagrams(datagram: &Datagram) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = datagram.payload;
    let step = datagram.segment.max(1);
    let count = end.saturating_sub(start).div_ceil(step).max(1);
    (0..count).map(move |n| {
        let first = start + n * step;
        first..(first + step).min(end)
    })
}

/// The packets from `start` on that are opened together: of one SPI, and either all in one receive or each in its own.
fn next_group(arrivals: &[Arrival], start: usize) -> Option<Range<usize>> {
    let rest = arrivals.get(start..)?;
    let first = rest.first()?;
    let joins =
        |a: &&Arrival| a.spi == first.spi && (a.place == first.place || !(a.coalesced || first.coalesced));
    Some(start..start + rest.iter().take(GROUP).take_while(joins).count())
}

/// Whether a group is all that its receive holds, and enough to be worth another worker's while.
fn fills_datagram(arrivals: &[Arrival], group: &Range<usize>) -> bool {
    let place = |index: usize| arrivals.get(index).map(|a| a.place);
    let own = place(group.start);
    let before = group.start.checked_sub(1).and_then(place);
    let (last, behind) = (place(group.end.saturating_sub(1)), place(group.end));
    group.len() >= WORTH_LENDING && own == last && before != own && behind != own
}

/// Packets as [`open_batch`] and [`commit_batch`] take them, and how many there are.
fn openings<'b>(lent: impl Iterator<Item = (&'b mut [u8], u8)>) -> ([Opening<'b>; GROUP], usize) {
    let mut openings: [Opening<'_>; GROUP] = std::array::from_fn(|_| Opening::default());
    let mut count = 0;
    for (opening, (octets, tos)) in openings.iter_mut().zip(lent) {
        let whole = 0..octets.len();
        *opening = Opening::new(Packet::new(octets, whole), OuterInfo { ecn: Ecn::of_tos(tos) });
        count += 1;
    }
    (openings, count)
}

/// Opens packets of one SA.
pub(super) fn open_arrivals<'b>(
    sa: &InboundSa,
    window: &ReplayWindow,
    lent: impl Iterator<Item = (&'b mut [u8], u8)>,
) -> Opened {
    let (mut openings, count) = openings(lent);
    open_batch(sa, window, &mut openings[..count])
}

impl Job {
    /// Takes the datagram out of the burst.
    fn new(group: usize, entry: &Inbound, datagram: &mut Datagram, members: &[Arrival]) -> Self {
        let (buffer, payload) = (Buffer::default(), datagram.payload.clone());
        let empty = Datagram { buffer, payload, ..*datagram };
        Self {
            group,
            sa: Arc::clone(&entry.sa),
            window: entry.window.clone(),
            datagram: std::mem::replace(datagram, empty),
            arrivals: members.iter().map(|a| Arrival { place: 0, ..*a }).collect(),
            opened: [Err(DropReason::UnknownSpi); GROUP],
        }
    }
}

/// The octets and the outer TOS octet of each packet of a group, which lie in the burst in this order.
pub(super) fn lend<'b>(
    burst: &'b mut [Datagram],
    group: &[Arrival],
) -> impl Iterator<Item = (&'b mut [u8], u8)> {
    let mut datagrams = burst.iter_mut().enumerate();
    let (mut place, mut tos, mut rest, mut offset) = (None, 0, <&mut [u8]>::default(), 0);
    group.iter().map(move |arrival| {
        while place != Some(arrival.place) {
            let Some((next, datagram)) = datagrams.next() else { break };
            (place, tos, rest, offset) = (Some(next), datagram.tos, datagram.buffer.bytes_mut(), 0);
        }
        let (_, at) =
            std::mem::take(&mut rest).split_at_mut_checked(arrival.start - offset).unwrap_or_default();
        let (octets, behind) = at.split_at_mut_checked(arrival.len).unwrap_or_default();
        (rest, offset) = (behind, arrival.start + arrival.len);
        (octets, tos)
    })
}

fn classify(wire: Wire, octets: &[u8]) -> Kind {
    match wire {
        Wire::Esp => {
            EspHeader::parse(octets).map_or(Kind::Bad(DropReason::Runt), |header| Kind::Esp(header.spi))
        }
        Wire::Udp => match natt::classify(octets) {
            natt::Datagram::Keepalive => Kind::Keepalive,
            natt::Datagram::Ike(_) => Kind::Ike,
            natt::Datagram::Esp { spi } => Kind::Esp(spi),
            natt::Datagram::Runt => Kind::Bad(DropReason::Runt),
        },
    }
}

/// Most packets that are opened together.
const GROUP: usize = BATCH;

/// Packets that take longer to open than another worker takes to wake up.
const WORTH_LENDING: usize = 16;
