//! Security associations: what one is, what it may negotiate, and the windows of its messages.

mod ageing;
pub(crate) mod channel;
pub(crate) mod child_sa;
pub(crate) mod children;
pub(crate) mod compute;
pub(crate) mod handshake;
pub(crate) mod ike_sa;
pub(crate) mod lifetime;
pub(crate) mod message_id;
pub(crate) mod narrow;
pub(crate) mod natt;
pub(crate) mod negotiate;
pub(crate) mod reassembly;
pub(crate) mod retransmit;
pub(crate) mod sealed;
pub(crate) mod task;

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use self::child_sa::EspSpis;
use self::compute::{Compute, Pending};
use crate::Time;
use crate::codec::iana::Group;
use crate::config::{PeerConfig, PeerId};
use crate::crypto::Random;
use crate::crypto::dh::DhSecret;
use crate::crypto::job::Exchanged;
use crate::crypto::keymat::IkeKeys;
use crate::crypto::prf::Prf;
use crate::event::{Event, Install, Output, RevealedKeys, Transmit};
use crate::suite::IkeSuite;

/// What a step of the protocol may use: the time, randomness, and the queue of what is to be done.
pub(crate) struct Cx<'a> {
    pub(crate) now: Time,
    /// When the message came that the step is for: it may have waited for what was computed.
    pub(crate) came: Time,
    pub(crate) random: &'a mut dyn Random,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) esp_spis: &'a mut EspSpis,
    pub(crate) compute: &'a mut Compute,
    /// The keys of IKE SAs are handed out.
    pub(crate) reveals_keys: bool,
}

impl Cx<'_> {
    pub(crate) fn transmit(&mut self, path: Path, payload: Vec<u8>) {
        let Path { local, remote } = path;
        self.outputs.push_back(Output::Transmit(Transmit { local, remote, payload }));
    }

    pub(crate) fn keepalive(&mut self, path: Path) {
        let Path { local, remote } = path;
        self.outputs.push_back(Output::Keepalive { local, remote });
    }

    pub(crate) fn install(&mut self, install: Install) {
        self.outputs.push_back(Output::Install(install));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Hands out the keys of an IKE SA that is being made, where that is wanted.
    pub(crate) fn reveal(&mut self, (spi_i, spi_r): (u64, u64), suite: &IkeSuite, keys: &IkeKeys) {
        if self.reveals_keys {
            let IkeKeys { ei, er, ai, ar, .. } = keys.clone();
            let suite = *suite;
            self.outputs.push_back(Output::Keys(RevealedKeys { spi_i, spi_r, suite, ei, er, ai, ar }));
        }
    }

    /// A nonce of ours, not longer than the peer's where the PRF permits: it must have half of the PRF's key
    /// (RFC 7296 §2.10), and an answer shall not be larger than its request.
    pub(crate) fn nonce(&mut self, peer_len: usize, prf: Prf) -> Vec<u8> {
        let mut nonce = vec![0; peer_len.clamp(prf.len().div_ceil(2).max(SHORTEST_NONCE), NONCE_LEN)];
        self.random.fill(&mut nonce);
        nonce
    }

    /// The nonce of a request of ours, whatever PRF the peer chooses.
    pub(crate) fn request_nonce(&mut self) -> Vec<u8> {
        let mut nonce = vec![0; NONCE_LEN];
        self.random.fill(&mut nonce);
        nonce
    }

    /// A fresh secret of `group`. `None`: not a group that we have.
    pub(crate) fn generate(&mut self, group: Group) -> Result<Option<Arc<DhSecret>>, Pending> {
        self.compute.generate(group, self.random)
    }

    /// A fresh secret of `group`, and what it makes with the peer's value. `None`: not a group that we have.
    pub(crate) fn exchange(&mut self, group: Group, peer: &[u8]) -> Result<Option<Arc<Exchanged>>, Pending> {
        self.compute.exchange(group, peer, self.random)
    }

    /// What a secret of ours makes with the peer's value.
    pub(crate) fn agree(&mut self, secret: &Arc<DhSecret>, peer: &[u8]) -> Result<Arc<Exchanged>, Pending> {
        self.compute.agree(secret, peer)
    }

    /// A number for an IKE SPI; zero means "none" (RFC 7296 §3.1).
    pub(crate) fn ike_spi(&mut self) -> u64 {
        let mut octets = [0; 8];
        self.random.fill(&mut octets);
        u64::from_be_bytes(octets).max(1)
    }

    /// A time below `bound`, at random.
    pub(crate) fn below(&mut self, bound: Duration) -> Duration {
        let mut octets = [0; 2];
        self.random.fill(&mut octets);
        (bound / (1 << 16)).saturating_mul(u32::from(u16::from_be_bytes(octets)))
    }

    /// A free SPI for our inbound ESP. Who does not install it releases it.
    pub(crate) fn esp_spi(&mut self) -> u32 {
        let mut octets = [0; 4];
        self.random.fill(&mut octets);
        self.esp_spis.take(u32::from_be_bytes(octets))
    }

    /// Ends an inbound ESP SA.
    pub(crate) fn remove_inbound(&mut self, peer: PeerId, spi: u32) {
        self.esp_spis.release(spi);
        self.install(Install::RemoveInbound { peer, spi });
    }
}

/// A configured peer.
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) config: PeerConfig,
}

/// The outer addresses of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl Path {
    /// The same addresses with the port of UDP encapsulation at both ends (RFC 7296 §2.23).
    pub(crate) fn floated(self) -> Self {
        let Self { mut local, mut remote } = self;
        local.set_port(NATT_PORT);
        remote.set_port(NATT_PORT);
        Self { local, remote }
    }
}

/// The port of IKE (RFC 7296 §2).
pub(crate) const IKE_PORT: u16 = 500;

/// The port of IKE and ESP where there is a NAT (RFC 3948).
pub(crate) const NATT_PORT: u16 = 4500;

/// Half of the key of PRF_HMAC_SHA2_512, the longest there is.
const NONCE_LEN: usize = 32;
const SHORTEST_NONCE: usize = 16;
