//! The messages between control plane and data plane: plain and owned, so that they can cross to another process.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::drop_reason::DropReason;
use crate::sa::spec::{InboundSpec, OutboundSpec, OuterPath, TunnelId, TunnelSpec};
use crate::stats::{Drops, TunnelStats};

/// What the control plane says. Commands of one handle are carried out in order; each is answered by one [`Reply`].
#[derive(Debug)]
pub enum Command {
    /// Create the tunnel's TUN device and serve it.
    AddTunnel(TunnelSpec),
    /// Remove the tunnel, its SAs and its TUN device.
    RemoveTunnel(TunnelId),
    /// Accept ESP with this SPI.
    InstallInbound(InboundSpec),
    /// Send the tunnel's packets with this SA from here on.
    InstallOutbound(OutboundSpec),
    /// No longer accept this SPI.
    RemoveInbound {
        /// Whose.
        tunnel: TunnelId,
        /// Our SPI.
        spi: u32,
    },
    /// No longer send with this SPI; done already where another outbound SA has taken its place.
    RemoveOutbound {
        /// Whose.
        tunnel: TunnelId,
        /// The peer's SPI.
        spi: u32,
    },
    /// The peer moved.
    UpdatePath {
        /// Whose.
        tunnel: TunnelId,
        /// The new outer addresses.
        path: OuterPath,
    },
    /// Send an IKE message from UDP 4500; the non-ESP marker is put before it here.
    SendIke {
        /// Our outer address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
        /// The IKE message.
        payload: Vec<u8>,
    },
    /// Send one NAT keepalive (RFC 3948 §2.3).
    SendKeepalive {
        /// Our outer address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// Report copies of a tunnel's packets as [`Notice::Captured`]; `None`: no longer.
    Capture {
        /// Whose.
        tunnel: TunnelId,
        /// Which.
        layer: Option<Layer>,
    },
    /// Read the counters of every tunnel.
    Stats,
    /// Read the counters of these; one that there is not is left out.
    StatsOf(Arc<[TunnelId]>),
    /// Read what was counted for no tunnel.
    GatewayStats,
}

/// The answer to a [`Command`].
#[derive(Debug)]
pub enum Reply {
    /// Done: every worker sees it at its next batch.
    Done,
    /// Counters of the tunnels that were asked for, in the order of their ids; they only ever grow while a tunnel exists.
    Stats(Vec<(TunnelId, TunnelStats)>),
    /// What was counted for no tunnel.
    GatewayStats(Box<GatewayStats>),
    /// Refused, and nothing was changed.
    Refused(String),
}

/// Which packets of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Those inside, in clear.
    Inner,
    /// ESP.
    Outer,
}

/// A copy of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Whose.
    pub tunnel: TunnelId,
    /// From the host to the peer.
    pub outbound: bool,
    /// The inner packet; or the ESP packet, without its outer headers.
    pub octets: Vec<u8>,
    /// Its outer addresses, where it is ESP.
    pub outer: Option<Outer>,
    /// Why it went no further.
    pub drop: Option<DropReason>,
}

/// The outer addresses of an ESP packet. Their ports are zero where it is IP protocol 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Ours.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// What was counted for no tunnel, over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayStats {
    /// NAT keepalives received.
    pub keepalives: u64,
    /// IKE messages handed to the control plane.
    pub ike_messages: u64,
    /// Datagrams that concern no tunnel, by reason.
    pub drops: Drops,
}

impl GatewayStats {
    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        self.keepalives = self.keepalives.wrapping_add(other.keepalives);
        self.ike_messages = self.ike_messages.wrapping_add(other.ike_messages);
        for (reason, count) in other.drops.iter() {
            self.drops.add(reason, count);
        }
    }
}

/// What the data plane reports of itself.
#[derive(Debug)]
pub enum Notice {
    /// An IKE message arrived on UDP 4500, its non-ESP marker removed.
    Ike {
        /// Our outer address and port.
        local: SocketAddr,
        /// The sender's.
        remote: SocketAddr,
        /// The IKE message.
        payload: Vec<u8>,
    },
    /// An outbound SA has used three quarters of its lifetime or of its sequence numbers, or its cipher's limit: replace it.
    SoftLimit {
        /// Whose.
        tunnel: TunnelId,
        /// The peer's SPI.
        spi: u32,
    },
    /// An outbound SA has used its lifetime or its last sequence number and sends nothing more.
    HardLimit {
        /// Whose.
        tunnel: TunnelId,
        /// The peer's SPI.
        spi: u32,
    },
    /// A copy of a packet, while it is asked for.
    Captured(Captured),
    /// A worker or a device failed; the tunnel carries nothing until it is added again.
    Broken {
        /// Whose; `None`: the data plane as a whole.
        tunnel: Option<TunnelId>,
        /// What failed.
        why: String,
    },
}
