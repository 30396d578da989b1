//! What the caller configures: the endpoint once, and each peer.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::codec::payload::id::Identity;
use crate::codec::payload::ts::TrafficSelector;
use crate::crypto::certificate::{self, Trust};
use crate::crypto::signature::Signer;
use crate::limits;
use crate::suite::{EspSuite, IkeSuite};

/// Names one configured peer, that is one tunnel. Chosen by the caller, unique in an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// Which end starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// We start; a peer that starts is answered all the same.
    Initiator,
    /// We answer.
    Responder,
}

/// How ESP crosses the outer network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// In UDP where a NAT is on the path, else as IP protocol 50.
    Auto,
    /// Always in UDP 4500 (RFC 3948): we announce a NAT, so that the peer agrees.
    Udp,
    /// Always as IP protocol 50.
    Esp,
}

/// How both ends of an IKE SA prove who they are (RFC 7296 §2.15).
#[derive(Clone)]
pub enum Auth {
    /// A pre-shared key.
    Psk(Zeroizing<Vec<u8>>),
    /// Certificates (RFC 7427).
    Certificate(Arc<Credentials>),
}

impl Auth {
    /// A pre-shared key.
    pub fn psk(key: &[u8]) -> Self {
        Self::Psk(Zeroizing::new(key.to_vec()))
    }

    /// The pre-shared key, where there is one.
    pub fn as_psk(&self) -> Option<&[u8]> {
        match self {
            Self::Psk(key) => Some(key),
            Self::Certificate(_) => None,
        }
    }

    /// The certificates, where there are any.
    pub fn as_certificate(&self) -> Option<&Credentials> {
        match self {
            Self::Psk(_) => None,
            Self::Certificate(credentials) => Some(credentials),
        }
    }
}

/// "a pre-shared key" or "a certificate".
impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk(_) => "a pre-shared key",
            Self::Certificate(_) => "a certificate",
        })
    }
}

/// What we prove with a certificate, and whom we believe.
pub struct Credentials {
    chain: Vec<Vec<u8>>,
    signer: Arc<dyn Signer>,
    trust: Arc<Trust>,
}

impl Credentials {
    /// Our certificate and those between it and an authority, in DER and ours first; its private key; the authorities
    /// that the peer's must lead to. `None`: the key is not that of the certificate.
    pub fn new(chain: Vec<Vec<u8>>, signer: Arc<dyn Signer>, trust: Arc<Trust>) -> Option<Self> {
        let own = chain.first()?;
        let scheme = *signer.schemes().first()?;
        let signature = signer.sign(scheme, PROBE)?;
        certificate::is_signed_by(own, scheme, PROBE, &signature).then_some(Self { chain, signer, trust })
    }

    /// Our certificate and those between it and an authority, in DER and ours first.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The private key.
    pub fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// The authorities that the peer's certificate must lead to.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}

/// One peer.
#[derive(Clone)]
pub struct PeerConfig {
    /// Which end starts.
    pub mode: Mode,
    /// Our outer address.
    pub local: IpAddr,
    /// The peer's outer address. As responder it chooses the peer, together with the identity.
    pub remote: IpAddr,
    /// The identity that we show (IDi as initiator).
    pub local_id: Identity,
    /// The identity that the peer must show.
    pub remote_id: Identity,
    /// How both ends prove who they are.
    pub auth: Auth,
    /// IKE suites that we accept, the preferred first.
    pub ike_suites: Vec<IkeSuite>,
    /// ESP suites that we accept, the preferred first.
    pub esp_suites: Vec<EspSuite>,
    /// What may be the inner address on our side.
    pub ts_local: Vec<TrafficSelector>,
    /// What may be the inner address on the peer's side.
    pub ts_remote: Vec<TrafficSelector>,
    /// How ESP crosses the outer network.
    pub encapsulation: Encapsulation,
    /// Inbound silence after which the peer is asked whether it lives (RFC 7296 §2.4).
    pub dpd_interval: Duration,
    /// Retransmission of our requests; when it ends without an answer the IKE SA is dead.
    pub retransmit: Retransmit,
    /// Hard lifetime of an IKE SA: rekeyed before, deleted then.
    pub ike_lifetime: Duration,
    /// Hard lifetime of a child SA: rekeyed before, deleted then.
    pub child_lifetime: Duration,
    /// How long before the end of its lifetime an SA is rekeyed (the AWS console's "rekey margin time").
    pub rekey_margin: Duration,
    /// By how many percent of itself the margin is lengthened at most, at random, so that SAs do not stay in step (the
    /// AWS console's "rekey fuzz").
    pub rekey_fuzz: u32,
    /// Longest IP datagram in octets that a protected IKE message may need; a longer message leaves in fragments where the
    /// peer takes them (RFC 7383 §2.5.1).
    pub fragment_size: u16,
    /// Our handshakes start on UDP 4500, for a path on which 500 is blocked (RFC 7296 §2.23).
    pub start_on_4500: bool,
}

impl PeerConfig {
    /// An initiator whose ends are known by their outer addresses, with no suites yet and all of IPv4 inside. Lifetimes and
    /// margin are those of AWS by default.
    pub fn new(local: IpAddr, remote: IpAddr, auth: Auth) -> Self {
        Self {
            mode: Mode::Initiator,
            local,
            remote,
            local_id: local.into(),
            remote_id: remote.into(),
            auth,
            ike_suites: Vec::new(),
            esp_suites: Vec::new(),
            ts_local: vec![TrafficSelector::any_v4()],
            ts_remote: vec![TrafficSelector::any_v4()],
            encapsulation: Encapsulation::Auto,
            dpd_interval: Duration::from_secs(10),
            retransmit: Retransmit::default(),
            ike_lifetime: Duration::from_hours(8),
            child_lifetime: Duration::from_hours(1),
            rekey_margin: Duration::from_secs(270),
            rekey_fuzz: 100,
            fragment_size: limits::FRAGMENT_SIZE,
            start_on_4500: false,
        }
    }
}

/// Back-off of a request's retransmissions (RFC 7296 §2.1, §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmit {
    /// Time to the first retransmission.
    pub initial: Duration,
    /// Longest time between two.
    pub max: Duration,
    /// Transmissions in all, the first included; after the last one's time the exchange has failed.
    pub tries: u32,
}

impl Default for Retransmit {
    /// 0.5, 1, 2, 4 s and 4 s of waiting: a peer is given up after 11.5 s.
    fn default() -> Self {
        Self { initial: Duration::from_millis(500), max: Duration::from_secs(4), tries: 5 }
    }
}

/// Signed once, to see that key and certificate belong together; no exchange has these octets.
const PROBE: &[u8] = b"gotthard: do the key and the certificate belong together?";
