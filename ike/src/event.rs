//! What an endpoint hands back: datagrams to send, changes of the SAs in the data plane, events for the operator.

use core::time::Duration;
use std::net::SocketAddr;

use crate::Time;
use crate::codec::payload::ts::TrafficSelector;
use crate::config::{Encapsulation, PeerId};
use crate::error::{Failure, Sa};
use crate::suite::{EspSuite, IkeSuite};

pub use crate::crypto::job::{Done, Job};
pub use crate::crypto::keymat::{EspKeys, SkAi, SkAr, SkEi, SkEr};

/// The next thing to do, in order. The caller drains them until [`Output::Timeout`].
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit(Transmit),
    /// Send a NAT keepalive, so that the translator before us keeps our mapping (RFC 3948 §4). No answer comes.
    Keepalive {
        /// Our outer address and port.
        local: SocketAddr,
        /// The peer's outer address and port.
        remote: SocketAddr,
    },
    /// Change an SA of the data plane, before anything that follows is done.
    Install(Install),
    /// Something an operator or a supervisor wants to know.
    Event(Event),
    /// The keys of an IKE SA that is being made; only where `Endpoint::reveal_keys` asks for them.
    Keys(RevealedKeys),
    /// Run this, anywhere and at any time, and hand the result to `Endpoint::handle_computed`. Only where
    /// `Endpoint::hand_out_jobs` asked for it.
    Compute(Job),
    /// Nothing more to do until `at`, or until a datagram arrives. `None`: no timer runs.
    Timeout {
        /// When `Endpoint::handle_timeout` is due.
        at: Option<Time>,
    },
}

/// An IKE datagram to send.
///
/// The payload starts at the IKE header: who sends it from port 4500 puts the non-ESP marker before it (RFC 3948 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Our outer address and port (500 or 4500).
    pub local: SocketAddr,
    /// The peer's outer address and port.
    pub remote: SocketAddr,
    /// The IKE message.
    pub payload: Vec<u8>,
}

/// A change of the SAs in the data plane.
#[derive(Debug)]
pub enum Install {
    /// Accept ESP with this SPI.
    Inbound(ChildSa),
    /// Send with this SA from here on; it takes the place of the tunnel's outbound SA.
    Outbound(ChildSa),
    /// No longer accept this SPI.
    RemoveInbound {
        /// Whose.
        peer: PeerId,
        /// Our SPI.
        spi: u32,
    },
    /// No longer send with this SPI; nothing happens when another outbound SA has taken its place.
    RemoveOutbound {
        /// Whose.
        peer: PeerId,
        /// The peer's SPI.
        spi: u32,
    },
    /// The peer's outer address changed (NAT rebinding, RFC 7296 §2.23).
    Path {
        /// Whose.
        peer: PeerId,
        /// Our outer address and port.
        local: SocketAddr,
        /// The peer's outer address and port.
        remote: SocketAddr,
    },
}

/// One direction of a child SA, whole: all that the data plane needs.
#[derive(Debug)]
pub struct ChildSa {
    /// Whose.
    pub peer: PeerId,
    /// The SPI on the wire: ours for inbound, the peer's for outbound.
    pub spi: u32,
    /// Transforms.
    pub suite: EspSuite,
    /// Keys of this direction.
    pub keys: EspKeys,
    /// Extended sequence numbers negotiated (RFC 4303 §2.2.1).
    pub esn: bool,
    /// What may be the inner address on our side.
    pub ts_local: Vec<TrafficSelector>,
    /// What may be the inner address on the peer's side.
    pub ts_remote: Vec<TrafficSelector>,
    /// In UDP or as IP protocol 50; never `Auto`.
    pub encapsulation: Encapsulation,
    /// Our outer address and port (4500 where in UDP).
    pub local: SocketAddr,
    /// The peer's outer address and port.
    pub remote: SocketAddr,
}

/// What a tool needs to decrypt the messages of an IKE SA in a capture. The keys of child SAs are in [`Install`].
#[derive(Clone, Debug)]
pub struct RevealedKeys {
    /// Initiator's SPI.
    pub spi_i: u64,
    /// Responder's SPI.
    pub spi_r: u64,
    /// Negotiated transforms.
    pub suite: IkeSuite,
    /// SK_ei.
    pub ei: SkEi,
    /// SK_er.
    pub er: SkEr,
    /// SK_ai.
    pub ai: SkAi,
    /// SK_ar.
    pub ar: SkAr,
}

/// What happened to a peer's SAs.
#[derive(Clone, Debug)]
pub enum Event {
    /// An IKE SA is authenticated. A second one for the same peer replaces the first.
    IkeUp {
        /// Whose.
        peer: PeerId,
        /// Negotiated transforms.
        suite: IkeSuite,
        /// Initiator's SPI.
        spi_i: u64,
        /// Responder's SPI.
        spi_r: u64,
        /// Where a NAT was seen.
        nat: Nat,
    },
    /// The IKE SA was rekeyed; its children live on (RFC 7296 §2.18).
    IkeRekeyed {
        /// Whose.
        peer: PeerId,
        /// Transforms of the new SA.
        suite: IkeSuite,
        /// Initiator's SPI.
        spi_i: u64,
        /// Responder's SPI.
        spi_r: u64,
        /// From our first request, or from when the peer's came, to the new SA.
        took: Duration,
    },
    /// A rekey of ours failed, and the SA lives on: it is tried again, and another IKE SA is made before the end.
    RekeyFailed {
        /// Whose.
        peer: PeerId,
        /// What was to be rekeyed.
        what: Sa,
        /// Why.
        reason: Failure,
    },
    /// The IKE SA is gone, and its children with it.
    IkeDown {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: Failure,
    },
    /// A child SA is up: both directions are installed.
    ChildUp {
        /// Whose.
        peer: PeerId,
        /// Negotiated transforms.
        suite: EspSuite,
        /// Our SPI.
        spi_in: u32,
        /// The peer's SPI.
        spi_out: u32,
        /// Extended sequence numbers.
        esn: bool,
        /// In UDP or as IP protocol 50; never `Auto`.
        encapsulation: Encapsulation,
        /// Where it replaces a child SA (rekey): how long that took, from our first request, or from when the peer's came,
        /// until we send with the new one.
        rekey: Option<Duration>,
    },
    /// The last child SA of the peer is gone; the IKE SA may live on.
    ChildDown {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: Failure,
    },
    /// The peer answered a request under its IKE SA, since `Endpoint::check_liveness` asked whether it lives.
    Alive {
        /// Whose.
        peer: PeerId,
    },
    /// An attempt to bring up the IKE SA or its child failed. Who wants the tunnel tries again.
    Failed {
        /// Whose.
        peer: PeerId,
        /// Why, with what to change.
        reason: Failure,
    },
}

/// Where NAT detection saw a translator (RFC 7296 §2.23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// Our address is translated.
    pub local: bool,
    /// The peer's address is translated.
    pub remote: bool,
}
