//! From the outer network to the host: classify, find the SA, open in place, give to the TUN device.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Worker;
use crate::drop_reason::DropReason;
use crate::esp::decapsulate::{OuterInfo, decapsulate};
use crate::esp::ecn::Ecn;
use crate::esp::header::EspHeader;
use crate::io::{Backend, Datagram, QueueId, SocketId, Wire};
use crate::message::Notice;
use crate::mss;
use crate::mtu;
use crate::natt;
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

/// What a datagram turned out to be.
enum Kind {
    Esp(u32),
    Ike,
    Keepalive,
    Bad(DropReason),
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
        let mut burst = std::mem::take(&mut self.burst);
        if let Err(error) = self.backend.receive(socket, &mut burst) {
            // An ICMP error that came back, or no memory: the next burst may do better.
            tracing::trace!(%error, "receive");
        }
        for datagram in burst.drain(..) {
            match classify(wire, &datagram) {
                Kind::Esp(spi) => self.open(spi, datagram),
                Kind::Ike => self.hand_over_ike(port, datagram),
                Kind::Keepalive => {
                    self.stats.keepalives = self.stats.keepalives.wrapping_add(1);
                    self.backend.release(datagram.buffer);
                }
                Kind::Bad(reason) => self.drop_datagram(reason, datagram),
            }
        }
        self.burst = burst;
    }

    fn open(&mut self, spi: u32, datagram: Datagram) {
        let Some(entry) = self.sad.get_mut(spi) else {
            let reason =
                if spi <= LAST_RESERVED_SPI { DropReason::ReservedSpi } else { DropReason::UnknownSpi };
            return self.drop_datagram(reason, datagram);
        };
        let Some(Some(tunnel)) = self.tunnels.get_mut(entry.queue.0) else {
            return self.drop_datagram(DropReason::UnknownSpi, datagram);
        };
        let Datagram { mut buffer, payload, tos, .. } = datagram;
        let mut packet = Packet::new(buffer.bytes_mut(), payload);
        let outer = OuterInfo { ecn: Ecn::of_tos(tos) };
        match decapsulate(&entry.sa, &mut entry.window, &mut packet, outer) {
            Ok(inner) => {
                tunnel.counters.received(packet.len());
                tunnel.counters.last_rx = Some(self.now);
                mss::clamp(packet.as_mut_slice(), mtu::mss(tunnel.mtu(), inner.version == IpVersion::V6));
                let range = packet.range();
                if let Err(error) = self.backend.write_tun(entry.queue, buffer, range) {
                    let full = error.kind() == io::ErrorKind::WouldBlock;
                    tunnel.counters.dropped(if full { DropReason::TunFull } else { DropReason::TunFailed });
                }
            }
            Err(reason) => {
                tunnel.counters.dropped(reason);
                self.backend.release(buffer);
            }
        }
    }

    fn hand_over_ike(&mut self, port: u16, datagram: Datagram) {
        if !self.gate.admits(datagram.remote.ip(), self.now) {
            return self.drop_datagram(DropReason::IkeQueueFull, datagram);
        }
        let octets = datagram.buffer.bytes().get(datagram.payload.clone()).unwrap_or_default();
        if let natt::Datagram::Ike(message) = natt::classify(octets) {
            let local = datagram.local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            self.stats.ike_messages = self.stats.ike_messages.wrapping_add(1);
            (self.notices)(Notice::Ike {
                local: SocketAddr::new(local, port),
                remote: datagram.remote,
                payload: message.to_vec(),
            });
        }
        self.backend.release(datagram.buffer);
    }

    fn drop_datagram(&mut self, reason: DropReason, datagram: Datagram) {
        self.stats.drops.add(reason, 1);
        self.backend.release(datagram.buffer);
    }
}

fn classify(wire: Wire, datagram: &Datagram) -> Kind {
    if datagram.truncated {
        return Kind::Bad(DropReason::Truncated);
    }
    let octets = datagram.buffer.bytes().get(datagram.payload.clone()).unwrap_or_default();
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
