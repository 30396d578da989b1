//! From the host to the outer network: read into the send buffer, check, take sequence numbers, seal in place, send.

use std::io;
use std::time::Instant;

use super::Worker;
use super::tunnel::Tunnel;
use crate::batch::{Batch, PACKETS};
use crate::drop_reason::DropReason;
use crate::esp::encapsulate::encapsulate;
use crate::esp::trailer;
use crate::icmp;
use crate::io::{Backend, QueueId, Sent};
use crate::message::Notice;
use crate::mss;
use crate::mtu;
use crate::packet::Packet;
use crate::packet::ip::{IpHeader, IpVersion};
use crate::sa::outbound::OutboundSa;
use crate::stats::Counters;

impl<B: Backend> Worker<B> {
    /// Sends one batch of what the host put into the tunnel.
    pub(super) fn outbound(&mut self, queue: QueueId) {
        let Some(Some(tunnel)) = self.tunnels.get_mut(queue.0) else { return };
        let Some(mut batch) = self.backend.batch() else { return };
        let Some(outbound) = tunnel.outbound.clone() else {
            let result = discard(&mut self.backend, queue, tunnel, &mut batch);
            self.backend.put_back(batch);
            return self.unless_broken(queue, result);
        };
        let result = fill(&mut self.backend, queue, tunnel, &outbound.sa, self.now, &mut batch);
        seal(tunnel, &outbound.sa, &mut batch);
        let sent = self.backend.send(&outbound.route, batch);
        count(&mut tunnel.counters, &sent);
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

/// Reads packets to where they will be sealed, until the batch is full or the queue is drained.
fn fill<B: Backend>(
    backend: &mut B,
    queue: QueueId,
    tunnel: &mut Tunnel,
    sa: &OutboundSa,
    now: Instant,
    batch: &mut Batch,
) -> io::Result<()> {
    let largest = sealed_len(sa, usize::from(tunnel.mtu()));
    for _ in 0..PACKETS {
        if !batch.has_room(largest) {
            break;
        }
        let space = batch.space(sa.headroom());
        let Some(len) = backend.read_tun(queue, space)? else { break };
        let packet = space.get_mut(..len).unwrap_or_default();
        match admit(sa, tunnel.mtu(), packet) {
            Ok(tos) => batch.push(sealed_len(sa, len), len, tos),
            Err(reason) => {
                tunnel.counters.dropped(reason);
                if reason == DropReason::TooBig
                    && tunnel.icmp.take(now)
                    && let Some(answer) = icmp::too_big(packet, tunnel.mtu(), None)
                {
                    // A host that takes no packets does not wait for this one.
                    let _ = backend.answer_tun(queue, answer.as_slice());
                }
            }
        }
    }
    Ok(())
}

/// Whether a packet may enter the tunnel, with its TCP segment size clamped; returns the TOS octet of its outer header.
fn admit(sa: &OutboundSa, mtu: u16, packet: &mut [u8]) -> Result<u8, DropReason> {
    let header = IpHeader::parse(packet).ok_or(DropReason::InnerHeader)?;
    if header.total_len != packet.len() {
        return Err(DropReason::InnerLength);
    }
    if !sa.selectors().admits(header.source, header.destination) {
        return Err(DropReason::OutboundSelectors);
    }
    if header.total_len > usize::from(mtu) {
        return Err(DropReason::TooBig);
    }
    mss::clamp(packet, mtu::mss(mtu, header.version == IpVersion::V6));
    Ok(header.tos)
}

/// Seals every packet of the batch. What cannot be sealed is cut off: nothing leaves in clear.
fn seal(tunnel: &mut Tunnel, sa: &OutboundSa, batch: &mut Batch) {
    let packets = batch.segments().len();
    if packets == 0 {
        return;
    }
    let (mut sealed, mut reason) = (0, DropReason::SequenceExhausted);
    if let Ok(sequences) = sa.sequence.take(packets as u64) {
        for ((segment, octets), seq) in batch.packets_mut().zip(sequences) {
            let inner = sa.headroom()..sa.headroom() + segment.inner_len;
            match encapsulate(sa, seq, &mut Packet::new(octets, inner)) {
                Ok(()) => sealed += 1,
                Err(fault) => {
                    reason = fault;
                    break;
                }
            }
        }
    }
    tunnel.counters.drops.add(reason, (packets - sealed) as u64);
    batch.truncate(sealed);
}

fn count(counters: &mut Counters, sent: &Sent) {
    counters.tx_packets = counters.tx_packets.wrapping_add(sent.packets);
    counters.tx_bytes = counters.tx_bytes.wrapping_add(sent.octets);
    counters.drops.add(DropReason::SendFull, sent.full);
    counters.drops.add(DropReason::SendFailed, sent.failed);
}

/// Reads and drops: the tunnel has no outbound SA.
fn discard<B: Backend>(
    backend: &mut B,
    queue: QueueId,
    tunnel: &mut Tunnel,
    batch: &mut Batch,
) -> io::Result<()> {
    for _ in 0..PACKETS {
        if backend.read_tun(queue, batch.space(0))?.is_none() {
            break;
        }
        tunnel.counters.dropped(DropReason::NoOutboundSa);
    }
    Ok(())
}

/// Octets of an inner packet when it is sealed.
fn sealed_len(sa: &OutboundSa, inner_len: usize) -> usize {
    let transform = sa.transform();
    sa.headroom() + inner_len + transform.pad_len(inner_len) + trailer::LEN + transform.icv_len()
}
