//! From the outer network to the host: classify, find the SA, open in place, gather super-packets, give to the TUN device.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use super::Worker;
use crate::drop_reason::DropReason;
use crate::esp::decapsulate::{Opening, OuterInfo, decapsulate_batch};
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
use crate::replay::ReplayWindow;
use crate::sa::LAST_RESERVED_SPI;
use crate::sa::inbound::InboundSa;

/// An entry of the SAD: the SA, its window, and where its packets go.
pub(super) struct Inbound {
    sa: Box<InboundSa>,
    window: ReplayWindow,
    pub(super) queue: QueueId,
}

/// What a worker keeps between bursts, so that a burst allocates nothing.
pub(super) struct Ingress {
    burst: Vec<Datagram>,
    arrivals: Vec<Arrival>,
    pub(super) coalescer: Coalescer,
    writes: Writes,
}

/// One ESP packet of a burst.
#[derive(Clone, Copy)]
struct Arrival {
    spi: u32,
    /// Which datagram of the burst it lies in, and where.
    place: usize,
    start: usize,
    len: usize,
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
            coalescer: Coalescer::new(false, false),
            writes: Writes::default(),
        }
    }
}

impl Inbound {
    pub(super) fn new(sa: Box<InboundSa>, queue: QueueId) -> Self {
        Self { window: sa.replay_window(), sa, queue }
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
        ingress.coalescer.clear();
        let mut rest = ingress.arrivals.as_slice();
        while let Some(first) = rest.first() {
            let count = rest.iter().take(GROUP).take_while(|a| a.spi == first.spi).count();
            let (group, behind) = rest.split_at(count);
            rest = behind;
            self.open(group, &mut ingress.burst, &mut ingress.coalescer);
        }
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
            for octets in datagrams(datagram) {
                let (start, len) = (octets.start, octets.len());
                let octets = datagram.buffer.bytes().get(octets).unwrap_or_default();
                match classify(wire, octets) {
                    Kind::Esp(spi) => ingress.arrivals.push(Arrival { spi, place, start, len }),
                    Kind::Ike => self.hand_over_ike(port, datagram, octets),
                    Kind::Keepalive => self.stats.keepalives = self.stats.keepalives.wrapping_add(1),
                    Kind::Bad(reason) => self.stats.drops.add(reason, 1),
                }
            }
        }
    }

    /// Opens packets of one SPI.
    fn open(&mut self, group: &[Arrival], burst: &mut [Datagram], coalescer: &mut Coalescer) {
        let Some(spi) = group.first().map(|a| a.spi) else { return };
        let Some(entry) = self.sad.get_mut(spi) else {
            let reason =
                if spi <= LAST_RESERVED_SPI { DropReason::ReservedSpi } else { DropReason::UnknownSpi };
            return self.stats.drops.add(reason, group.len() as u64);
        };
        let Some(Some(tunnel)) = self.tunnels.get_mut(entry.queue.0) else {
            return self.stats.drops.add(DropReason::UnknownSpi, group.len() as u64);
        };
        let mut openings: [Opening<'_>; GROUP] = std::array::from_fn(|_| Opening::default());
        for (opening, (octets, tos)) in openings.iter_mut().zip(lend(burst, group)) {
            let whole = 0..octets.len();
            *opening = Opening::new(Packet::new(octets, whole), OuterInfo { ecn: Ecn::of_tos(tos) });
        }
        let openings = &mut openings[..group.len()];
        decapsulate_batch(&entry.sa, &mut entry.window, openings);
        for (opening, arrival) in openings.iter_mut().zip(group) {
            let packet = &mut opening.packet;
            match opening.result {
                Ok(inner) => {
                    tunnel.counters.received(packet.len());
                    tunnel.counters.last_rx = Some(self.now);
                    let v6 = inner.version == IpVersion::V6;
                    mss::clamp(packet.as_mut_slice(), mtu::mss(tunnel.mtu(), v6));
                    let Range { start, end } = packet.range();
                    let range = arrival.start + start..arrival.start + end;
                    coalescer.push(entry.queue.0, arrival.place, range, packet.as_slice());
                }
                Err(reason) => tunnel.counters.dropped(reason),
            }
        }
    }

    /// Gives the host what was opened, and the burst back.
    fn deliver(&mut self, ingress: &mut Ingress) {
        let Ingress { burst, coalescer, writes, .. } = ingress;
        writes.clear();
        for group in coalescer.groups() {
            let queue = QueueId(group.queue());
            let header = if self.backend.offloads(queue).header { virtio::LEN } else { 0 };
            let mut pieces = group.pieces().map(|(datagram, octets)| Piece { datagram, octets });
            let Some(mut head) = pieces.next() else { continue };
            // The ESP header and the IV, at least 16 octets, were before the packet.
            head.octets.start = head.octets.start.saturating_sub(header);
            if header > 0
                && let Some(datagram) = burst.get_mut(head.datagram)
            {
                let octets = datagram.buffer.bytes_mut().get_mut(head.octets.clone());
                group.write_header(octets.unwrap_or_default());
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

/// The octets and the outer TOS octet of each packet of a group, which lie in the burst in this order.
fn lend<'b>(burst: &'b mut [Datagram], group: &[Arrival]) -> impl Iterator<Item = (&'b mut [u8], u8)> {
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

/// Packets that are opened together.
const GROUP: usize = 64;
