//! The endpoint: every peer and every IKE SA of a gateway behind one drive loop.
//!
//! The caller makes one call that changes something and then drains [`Endpoint::poll_output`] until
//! [`Output::Timeout`]. Time is an argument, randomness is given once, and nothing here blocks.

mod counters;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

pub use self::counters::Counters;
use crate::Time;
use crate::config::{PeerConfig, PeerId};
use crate::crypto::Random;
use crate::event::Output;
use crate::timer::Timers;

/// All peers and their IKE SAs.
pub struct Endpoint {
    random: Box<dyn Random>,
    peers: BTreeMap<PeerId, PeerConfig>,
    timers: Timers<u64>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Endpoint {
    /// An endpoint without peers. All nonces, SPIs and secrets come from `random`.
    pub fn new(random: Box<dyn Random>) -> Self {
        Self {
            random,
            peers: BTreeMap::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Adds a peer, or replaces its configuration. The SAs it has live on; what is negotiated from here on follows
    /// the new configuration, so who wants it at once calls [`Self::terminate`] and [`Self::initiate`].
    pub fn add_peer(&mut self, id: PeerId, config: PeerConfig) {
        self.peers.insert(id, config);
    }

    /// Forgets a peer: its SAs are deleted, with a Delete to the peer.
    pub fn remove_peer(&mut self, now: Time, id: PeerId) {
        self.terminate(now, id);
        self.peers.remove(&id);
    }

    /// Makes one attempt to bring up the peer's tunnel; nothing where an IKE SA is up or being made.
    ///
    /// The result comes as [`Event::IkeUp`](crate::Event::IkeUp) and [`Event::ChildUp`](crate::Event::ChildUp), or
    /// as [`Event::Failed`](crate::Event::Failed).
    pub fn initiate(&mut self, now: Time, id: PeerId) {
        let _ = (now, id);
    }

    /// Deletes the peer's SAs, with a Delete to the peer; ends an attempt under way.
    pub fn terminate(&mut self, now: Time, id: PeerId) {
        let _ = (now, id);
    }

    /// Authentic ESP of the peer was seen: no liveness check is needed for a while (RFC 7296 §2.4).
    pub fn traffic_seen(&mut self, now: Time, id: PeerId) {
        let _ = (now, id);
    }

    /// Takes a datagram from UDP port 500, or from 4500 without its non-ESP marker (RFC 3948 §2.2).
    pub fn handle_datagram(&mut self, now: Time, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        let _ = (now, local, remote, datagram);
    }

    /// Does what is due. To be called at the time of [`Output::Timeout`]; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        let _ = now;
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Timeout { at: self.timers.next() })
    }

    /// True when no IKE SA is left, not even one whose Delete awaits its answer: a gateway that ends may exit.
    pub fn is_idle(&self) -> bool {
        true
    }

    /// Datagrams dropped without an answer, by reason.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}
