//! From the host to the outer network: read a frame, check it, split it to where it is sealed, take sequence numbers, seal
//! in place, send.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use super::Worker;
use super::tap::Tap;
use super::tunnel::Tunnel;
use crate::batch::{Batch, PACKETS};
use crate::drop_reason::DropReason;
use crate::esp::encapsulate::encapsulate_batch;
use crate::esp::trailer;
use crate::icmp;
use crate::io::{Backend, Frame, Offloads, QueueId, Route, Wire};
use crate::message::{Notice, Outer};
use crate::mss;
use crate::mtu;
use crate::offload::split::Segments;
use crate::offload::virtio::VirtioHeader;
use crate::packet::Packet;
use crate::packet::ip::IpVersion;
use crate::sa::outbound::OutboundSa;
use crate::sa::sequence::Sequences;
use crate::stats::Counters;

impl<B: Backend> Worker<B> {
    /// Sends what the host put into the tunnel, up to [`FRAMES`].
    pub(super) fn outbound(&mut self, queue: QueueId) {
        let Some(Some(tunnel)) = self.tunnels.get_mut(queue.0) else { return };
        let backend = &mut self.backend;
        let Some(outbound) = tunnel.outbound.clone() else {
            let tap = Tap::of(tunnel, &self.notices);
            let result = discard(backend, queue, &mut tunnel.counters, tap);
            return self.unless_broken(queue, result);
        };
        let worker = (self.index, self.crew.is_some());
        let (sa, route, tap) = (&outbound.sa, outbound.route, Tap::of(tunnel, &self.notices));
        let mut egress = Egress { backend, worker, queue, tunnel, sa, route, batch: None, tap };
        let result = egress.run(self.now);
        if let Some(notice) = outbound.sa.limit_notice() {
            (self.notices)(notice);
        }
        self.unless_broken(queue, result);
    }

    /// A device that cannot be read was deleted by somebody else. Waiting on it would return at once, for ever.
    fn unless_broken(&mut self, queue: QueueId, result: io::Result<()>) {
        let Err(error) = result else { return };
        let Some(tunnel) = self.tunnels.get(queue.0).and_then(Option::as_ref).map(Tunnel::id) else { return };
        self.remove_tunnel(tunnel);
        let (tunnel, why) = (Some(tunnel), format!("its TUN device: {error}"));
        (self.notices)(Notice::Broken { tunnel, why });
    }
}

/// One tunnel's way out during one turn.
struct Egress<'w, B: Backend> {
    backend: &'w mut B,
    /// Which worker, and whether others send with the same SA.
    worker: (usize, bool),
    queue: QueueId,
    tunnel: &'w mut Tunnel,
    sa: &'w OutboundSa,
    route: Route,
    /// Being filled.
    batch: Option<Batch>,
    /// Where copies go, if anybody asks for them.
    tap: Option<Tap<'w>>,
}

impl<B: Backend> Egress<'_, B> {
    /// Reads frames until the queue is drained, and sends what is left at the end.
    fn run(&mut self, now: Instant) -> io::Result<()> {
        let offloads = self.backend.offloads(self.queue);
        let mut result = Ok(());
        for _ in 0..FRAMES {
            match self.backend.read_tun(self.queue) {
                Ok(Some(frame)) => self.take(frame, offloads, now),
                Ok(None) => break,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.flush();
        result
    }

    fn take(&mut self, Frame { mut buffer, octets }: Frame, offloads: Offloads, now: Instant) {
        let frame = buffer.bytes_mut().get_mut(octets).unwrap_or_default();
        if let Some((header, packet)) = strip_header(frame, offloads) {
            if let Err(reason) = self.admit(header, packet) {
                self.refuse(reason, packet, now);
            }
        } else {
            self.tunnel.counters.dropped(DropReason::InnerHeader);
        }
        self.backend.release(buffer);
    }

    /// Cuts a packet or super-packet into the batch, if it may enter the tunnel.
    fn admit(&mut self, header: VirtioHeader, packet: &mut [u8]) -> Result<(), DropReason> {
        let mut segments = Segments::new(header, packet)?;
        let ip = *segments.ip();
        if !self.sa.selectors().admits(ip.source, ip.destination) {
            return Err(DropReason::OutboundSelectors);
        }
        if segments.longest() > usize::from(self.tunnel.mtu()) {
            return Err(DropReason::TooBig);
        }
        let max_segment = mtu::mss(self.tunnel.mtu(), ip.version == IpVersion::V6);
        let head = self.sa.headroom();
        while let Some(len) = segments.next_len() {
            let sealed = sealed_len(self.sa, len);
            let Some(batch) = self.batch_for(sealed) else {
                // All batches are on their way: the link is full.
                return Err(DropReason::SendFull);
            };
            let place = batch.space(head, len);
            segments.write_next(place).ok_or(DropReason::NoRoom)?;
            mss::clamp(place, max_segment);
            batch.push(sealed, len, ip.tos);
        }
        self.tunnel.counters.demands.count(segments.packet(), &ip);
        Ok(())
    }

    /// The batch with room for a sealed packet of this length, after sending the one that had none.
    fn batch_for(&mut self, sealed: usize) -> Option<&mut Batch> {
        if self.batch.as_ref().is_some_and(|batch| !batch.has_room(sealed)) {
            self.flush();
        }
        if self.batch.is_none() {
            self.batch = self.backend.batch();
        }
        self.batch.as_mut()
    }

    fn refuse(&mut self, reason: DropReason, packet: &[u8], now: Instant) {
        self.tunnel.counters.dropped(reason);
        if let Some(tap) = self.tap {
            tap.refused(packet, reason);
        }
        if reason == DropReason::TooBig
            && self.tunnel.icmp.take(now)
            && let Some(answer) = icmp::too_big(packet, self.tunnel.mtu(), None)
        {
            // A host that takes no packets does not wait for this one.
            let _ = self.backend.answer_tun(self.queue, answer.as_slice());
        }
    }

    /// Seals and sends the batch.
    fn flush(&mut self) {
        let Some(mut batch) = self.batch.take() else { return };
        let (worker, shares) = self.worker;
        let packets = batch.segments().len();
        let octets = || batch.segments().iter().map(|segment| segment.inner_len as u64).sum();
        let reserved = self.sa.reserve(worker, packets as u64, octets);
        if let Some(tap) = self.tap {
            tap.unsealed(&mut batch, self.sa.headroom(), reserved.as_ref().err().copied());
        }
        let counters = &mut self.tunnel.counters;
        match &reserved {
            Ok(reservation) => seal(counters, self.sa, reservation.sequences(), &mut batch),
            Err(reason) => {
                counters.drops.add(*reason, packets as u64);
                batch.truncate(0);
            }
        }
        if batch.segments().is_empty() {
            return self.backend.put_back(batch);
        }
        if let Some(tap) = self.tap {
            tap.sealed(&mut batch, self.outer());
        }
        self.backend.send(self.queue, &self.route, batch);
        if shares {
            // Others may send higher numbers as soon as these are no longer reserved.
            self.backend.submit();
        }
    }

    /// The outer addresses of what is sent; of protocol 50, which has no ports, the socket's own is zero too.
    fn outer(&self) -> Outer {
        let Route { socket, local, remote } = self.route;
        let port = match self.backend.socket(socket) {
            Some((port, Wire::Udp)) => port,
            Some((_, Wire::Esp)) | None => 0,
        };
        Outer { local: SocketAddr::new(local, port), remote }
    }
}

/// The virtio header, where the queue gives one, and the packet.
fn strip_header(frame: &mut [u8], offloads: Offloads) -> Option<(VirtioHeader, &mut [u8])> {
    if !offloads.header {
        return Some((VirtioHeader::default(), frame));
    }
    VirtioHeader::parse(frame)
}

/// Seals the packets of the batch that have a number. What has none or cannot be sealed is cut off: nothing leaves in clear.
fn seal(counters: &mut Counters, sa: &OutboundSa, sequences: Sequences, batch: &mut Batch) {
    let packets = batch.segments().len();
    let numbered = sequences.clone().count();
    counters.drops.add(DropReason::SequenceExhausted, packets.saturating_sub(numbered) as u64);
    batch.truncate(numbered);
    let mut lent: [Packet<'_>; PACKETS] = std::array::from_fn(|_| Packet::default());
    let mut count = 0;
    for (place, (segment, octets)) in lent.iter_mut().zip(batch.packets_mut()) {
        *place = Packet::new(octets, sa.headroom()..sa.headroom() + segment.inner_len);
        count += 1;
    }
    if let Err(reason) = encapsulate_batch(sa, sequences, &mut lent[..count]) {
        counters.drops.add(reason, count as u64);
        batch.truncate(0);
    }
}

/// Reads and drops: the tunnel has no outbound SA.
fn discard<B: Backend>(
    backend: &mut B,
    queue: QueueId,
    counters: &mut Counters,
    tap: Option<Tap<'_>>,
) -> io::Result<()> {
    let offloads = backend.offloads(queue);
    for _ in 0..FRAMES {
        let Some(Frame { mut buffer, octets }) = backend.read_tun(queue)? else { break };
        counters.dropped(DropReason::NoOutboundSa);
        if let Some(tap) = tap {
            let frame = buffer.bytes_mut().get_mut(octets).unwrap_or_default();
            if let Some((_, packet)) = strip_header(frame, offloads) {
                tap.refused(packet, DropReason::NoOutboundSa);
            }
        }
        backend.release(buffer);
    }
    Ok(())
}

/// Octets of an inner packet when it is sealed.
fn sealed_len(sa: &OutboundSa, inner_len: usize) -> usize {
    let transform = sa.transform();
    sa.headroom() + inner_len + transform.pad_len(inner_len) + trailer::LEN + transform.icv_len()
}

/// Frames of one queue before others have their turn.
const FRAMES: usize = PACKETS;
