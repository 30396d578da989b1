//! Peers and IKE SAs, and every way to find one: by our SPI, by peer, by address, by the first request.

use core::hash::{Hash, Hasher};
use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::DefaultHasher;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::half_open::HalfOpenCount;
use super::parked::Parked;
use crate::Time;
use crate::config::{PeerConfig, PeerId};
use crate::exchange::auth::AuthSent;
use crate::exchange::init::{HalfOpen, InitSent};
use crate::sa::ike_sa::IkeSa;
use crate::sa::{Path, Peer};

/// An IKE SA in one of its states. All but the last are typestates: they are taken out, advanced, and put back as the
/// next.
pub(super) enum Slot {
    Starting(Arc<Peer>),
    InitSent(Box<InitSent>),
    AuthSent(Box<AuthSent>),
    Answering(Answering),
    HalfOpen(Box<HalfOpen>),
    Established(Box<IkeSa>),
}

/// A first request whose key exchange is being computed; the request is parked.
#[derive(Clone, Copy)]
pub(super) struct Answering {
    pub(super) remote: IpAddr,
    pub(super) until: Time,
}

impl Slot {
    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Starting(_) => None,
            Self::InitSent(sent) => Some(sent.deadline()),
            Self::AuthSent(sent) => Some(sent.deadline()),
            Self::Answering(answering) => Some(answering.until),
            Self::HalfOpen(half_open) => Some(half_open.deadline()),
            Self::Established(sa) => sa.deadline(),
        }
    }

    /// It has nothing more to tell the peer on its own account.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Starting(_) | Self::InitSent(_) | Self::AuthSent(_) => false,
            Self::Answering(_) | Self::HalfOpen(_) => true,
            Self::Established(sa) => sa.is_ended(),
        }
    }

    /// Whose it is; a half-open one is nobody's before it is authenticated.
    fn owner(&self) -> Option<PeerId> {
        match self {
            Self::Starting(peer) => Some(peer.id),
            Self::InitSent(sent) => Some(sent.peer.id),
            Self::AuthSent(sent) => Some(sent.peer.id),
            Self::Answering(_) | Self::HalfOpen(_) => None,
            Self::Established(sa) => Some(sa.peer.id),
        }
    }

    /// Among whose half-open SAs it counts.
    fn half_open_of(&self) -> Option<IpAddr> {
        match self {
            Self::Answering(answering) => Some(answering.remote),
            Self::HalfOpen(half_open) => Some(half_open.agreed.path.remote.ip()),
            Self::Starting(_) | Self::InitSent(_) | Self::AuthSent(_) | Self::Established(_) => None,
        }
    }
}

/// What is kept of a peer beside its SAs.
pub(super) struct PeerEntry {
    pub(super) peer: Arc<Peer>,
    /// When a failure that anybody could cause was last reported.
    pub(super) reported: Option<Time>,
}

/// The tables.
#[derive(Default)]
pub(super) struct Table {
    peers: BTreeMap<PeerId, PeerEntry>,
    by_address: BTreeMap<(IpAddr, IpAddr, PeerId), Arc<Peer>>,
    slots: BTreeMap<u64, Slot>,
    by_peer: BTreeSet<(PeerId, u64)>,
    by_first_request: BTreeMap<FirstRequest, u64>,
    first_requests: BTreeMap<u64, FirstRequest>,
    half_open: HalfOpenCount,
    /// What waits for a value that is being computed.
    pub(super) parked: Parked,
}

/// Names the first request of an initiator: who repeats it gets the same answer, who sends another gets another SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FirstRequest {
    remote: SocketAddr,
    spi_i: u64,
    digest: u64,
}

impl FirstRequest {
    /// The digest only finds: what it finds is compared octet for octet before it is answered.
    pub(super) fn new(remote: SocketAddr, spi_i: u64, datagram: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        datagram.hash(&mut hasher);
        Self { remote, spi_i, digest: hasher.finish() }
    }
}

impl Table {
    pub(super) fn add_peer(&mut self, id: PeerId, config: PeerConfig) {
        self.remove_peer(id);
        let peer = Arc::new(Peer { id, config });
        self.by_address.insert((peer.config.local, peer.config.remote, id), peer.clone());
        self.peers.insert(id, PeerEntry { peer, reported: None });
    }

    pub(super) fn remove_peer(&mut self, id: PeerId) {
        if let Some(PeerEntry { peer, .. }) = self.peers.remove(&id) {
            self.by_address.remove(&(peer.config.local, peer.config.remote, id));
        }
    }

    pub(super) fn peer(&self, id: PeerId) -> Option<&Arc<Peer>> {
        self.peers.get(&id).map(|entry| &entry.peer)
    }

    pub(super) fn peer_entry(&mut self, id: PeerId) -> Option<&mut PeerEntry> {
        self.peers.get_mut(&id)
    }

    /// The peers that are configured with these addresses.
    pub(super) fn peers_at(&self, path: Path) -> Vec<Arc<Peer>> {
        self.by_address.range(addresses(path)).map(|(_, peer)| peer.clone()).collect()
    }

    pub(super) fn has_peer_at(&self, path: Path) -> bool {
        self.by_address.range(addresses(path)).next().is_some()
    }

    pub(super) fn slot(&mut self, spi: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&spi)
    }

    pub(super) fn contains(&self, spi: u64) -> bool {
        self.slots.contains_key(&spi)
    }

    /// The established IKE SA with this SPI.
    pub(super) fn established(&mut self, spi: u64) -> Option<&mut IkeSa> {
        match self.slots.get_mut(&spi) {
            Some(Slot::Established(sa)) => Some(sa),
            Some(
                Slot::Starting(_)
                | Slot::InitSent(_)
                | Slot::AuthSent(_)
                | Slot::Answering(_)
                | Slot::HalfOpen(_),
            )
            | None => None,
        }
    }

    /// Our SPIs of the peer's SAs and attempts, in no meaningful order.
    pub(super) fn spis_of(&self, id: PeerId) -> Vec<u64> {
        self.by_peer.range((id, u64::MIN)..=(id, u64::MAX)).map(|(_, spi)| *spi).collect()
    }

    /// The IKE SA that carries the peer's tunnel.
    pub(super) fn current(&self, id: PeerId) -> Option<u64> {
        let up = |spi: &u64| matches!(self.slots.get(spi), Some(Slot::Established(sa)) if sa.is_up());
        self.spis_of(id).into_iter().find(up)
    }

    /// An IKE SA of the peer has a child that may carry packets, whether it carries the tunnel or was replaced.
    pub(super) fn has_child(&self, id: PeerId) -> bool {
        self.with_child(id).next().is_some()
    }

    /// An IKE SA of the peer that was replaced has a child that may carry packets.
    pub(super) fn has_replaced_child(&self, id: PeerId) -> bool {
        self.with_child(id).any(|sa| !sa.is_up())
    }

    /// Our attempt to make an IKE SA with the peer.
    pub(super) fn attempt(&self, id: PeerId) -> Option<u64> {
        let under_way = |spi: &u64| {
            matches!(self.slots.get(spi), Some(Slot::Starting(_) | Slot::InitSent(_) | Slot::AuthSent(_)))
        };
        self.spis_of(id).into_iter().find(under_way)
    }

    fn with_child(&self, id: PeerId) -> impl Iterator<Item = &IkeSa> {
        self.spis_of(id).into_iter().filter_map(|spi| match self.slots.get(&spi) {
            Some(Slot::Established(sa)) if sa.children.live().is_some() && !sa.is_leaving() => Some(&**sa),
            _ => None,
        })
    }

    pub(super) fn insert(&mut self, spi: u64, slot: Slot) {
        if let Some(owner) = slot.owner() {
            self.by_peer.insert((owner, spi));
        }
        if let Some(remote) = slot.half_open_of() {
            self.half_open.add(remote);
        }
        self.slots.insert(spi, slot);
    }

    /// Takes an SA out, to advance it or to forget it.
    pub(super) fn take(&mut self, spi: u64) -> Option<Slot> {
        let slot = self.slots.remove(&spi)?;
        if let Some(owner) = slot.owner() {
            self.by_peer.remove(&(owner, spi));
        }
        if let Some(remote) = slot.half_open_of() {
            self.half_open.remove(remote);
        }
        Some(slot)
    }

    /// Forgets an SA.
    pub(super) fn remove(&mut self, spi: u64) {
        self.take(spi);
        self.parked.forget(spi);
        if let Some(first) = self.first_requests.remove(&spi) {
            self.by_first_request.remove(&first);
        }
    }

    /// Remembers which request made a half-open SA, for as long as what became of it lives.
    pub(super) fn note_first_request(&mut self, first: FirstRequest, spi: u64) {
        self.by_first_request.insert(first, spi);
        self.first_requests.insert(spi, first);
    }

    pub(super) fn by_first_request(&self, first: &FirstRequest) -> Option<u64> {
        self.by_first_request.get(first).copied()
    }

    /// One more half-open SA of this address is within the bounds.
    pub(super) fn admits_half_open(&self, address: IpAddr) -> bool {
        self.half_open.admits(address)
    }

    /// There are so many half-open SAs, in all or of this address, that an initiator is asked for a cookie.
    pub(super) fn half_open_presses(&self, address: IpAddr) -> bool {
        self.half_open.presses(address)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// Every peer that is configured with the addresses of a path.
fn addresses(path: Path) -> RangeInclusive<(IpAddr, IpAddr, PeerId)> {
    let (local, remote) = (path.local.ip(), path.remote.ip());
    (local, remote, PeerId(u32::MIN))..=(local, remote, PeerId(u32::MAX))
}
