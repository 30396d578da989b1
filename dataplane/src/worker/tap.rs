//! Copies of a tunnel's packets, for a person who asks to see them. Off, it costs one look at an `Option` a batch.

use std::net::SocketAddr;
use std::ops::Range;

use super::Notices;
use super::inbound::Arrival;
use super::tunnel::Tunnel;
use crate::batch::Batch;
use crate::drop_reason::DropReason;
use crate::io::Datagram;
use crate::message::{Captured, Layer, Notice, Outer};
use crate::sa::spec::TunnelId;

/// Where the copies of one tunnel go, and of what they are.
#[derive(Clone, Copy)]
pub(super) struct Tap<'w> {
    notices: &'w Notices,
    tunnel: TunnelId,
    layer: Layer,
}

impl<'w> Tap<'w> {
    /// `None`: nobody asked for this tunnel's.
    pub(super) fn of(tunnel: &Tunnel, notices: &'w Notices) -> Option<Self> {
        tunnel.captured.map(|layer| Self { notices, tunnel: tunnel.id(), layer })
    }

    /// A packet of the host's that goes no further.
    pub(super) fn refused(self, packet: &[u8], drop: DropReason) {
        if self.layer == Layer::Inner {
            self.tell(true, packet, None, Some(drop));
        }
    }

    /// The inner packets of a batch, before they are sealed.
    pub(super) fn unsealed(self, batch: &mut Batch, headroom: usize, drop: Option<DropReason>) {
        if self.layer == Layer::Inner {
            for (segment, octets) in batch.packets_mut() {
                let inner = octets.get(headroom..headroom + segment.inner_len).unwrap_or_default();
                self.tell(true, inner, None, drop);
            }
        }
    }

    /// The ESP packets of a batch, as they leave.
    pub(super) fn sealed(self, batch: &mut Batch, outer: Outer) {
        if self.layer == Layer::Outer {
            for (_, octets) in batch.packets_mut() {
                self.tell(true, octets, Some(outer), None);
            }
        }
    }

    /// What an ESP packet held.
    pub(super) fn opened(self, inner: &[u8]) {
        if self.layer == Layer::Inner {
            self.tell(false, inner, None, None);
        }
    }

    fn tell(self, outbound: bool, octets: &[u8], outer: Option<Outer>, drop: Option<DropReason>) {
        let (tunnel, octets) = (self.tunnel, octets.to_vec());
        (self.notices)(Notice::Captured(Captured { tunnel, outbound, octets, outer, drop }));
    }
}

/// Copies of arrivals, made before they are opened in place: each with its number in the burst.
#[derive(Default)]
pub(super) struct Copies(Vec<(usize, Captured)>);

impl Copies {
    /// Copies an arrival, if its tunnel's outer packets are asked for.
    pub(super) fn take(&mut self, tunnel: &Tunnel, number: usize, arrival: &Arrival, from: (&Datagram, u16)) {
        if tunnel.captured != Some(Layer::Outer) {
            return;
        }
        let (datagram, port) = from;
        let octets = datagram.buffer.bytes().get(arrival.octets()).unwrap_or_default().to_vec();
        let local = datagram.local.map(|local| SocketAddr::new(local, port));
        let outer = local.map(|local| Outer { local, remote: datagram.remote });
        self.0.push((number, Captured { tunnel: tunnel.id(), outbound: false, octets, outer, drop: None }));
    }

    /// What became of the arrivals of a group.
    pub(super) fn judge(&mut self, group: &Range<usize>, drop: impl Fn(usize) -> Option<DropReason>) {
        for (number, captured) in self.0.iter_mut().filter(|(number, _)| group.contains(number)) {
            captured.drop = drop(*number - group.start);
        }
    }

    /// Hands all over.
    pub(super) fn tell(&mut self, notices: &Notices) {
        for (_, captured) in self.0.drain(..) {
            notices(Notice::Captured(captured));
        }
    }
}
