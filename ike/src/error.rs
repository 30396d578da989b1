//! Why a tunnel failed, in an operator's words, and why nothing came of a datagram.
//!
//! A [`Failure`] says who is at fault, carries a stable code, and names what is ours, what is theirs and what to change.
//! Which Notify goes on the wire for it is decided by the exchange that met it.

use core::fmt;

use crate::codec::iana::{Group, NotifyType};
pub use crate::crypto::certificate::Flaw;

/// Why an attempt failed or an SA ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No IKE suite in common (RFC 7296 §2.7).
    #[error("no IKE (phase 1) proposal chosen: {by}; ours: {ours}; theirs: {}", said(theirs.as_deref()))]
    IkeProposal {
        /// Who refused.
        by: Side,
        /// The suites that we accept.
        ours: String,
        /// What the peer offered; `None` where it refused ours and does not say what it wants.
        theirs: Option<String>,
    },
    /// No ESP suite in common (RFC 7296 §2.7).
    #[error("no ESP (phase 2) proposal chosen: {by}; ours: {ours}; theirs: {}", said(theirs.as_deref()))]
    ChildProposal {
        /// Who refused.
        by: Side,
        /// The suites that we accept.
        ours: String,
        /// What the peer offered; `None` where it refused ours and does not say what it wants.
        theirs: Option<String>,
    },
    /// The peer keeps asking for key exchange groups that we do not offer, or changes its mind without end.
    #[error("key exchange group not agreed: we offer {ours}; the peer asks for {theirs}")]
    KeyExchange {
        /// Groups that we offer.
        ours: String,
        /// The group the peer asked for last.
        theirs: Group,
    },
    /// The peer's public value failed the checks of RFC 6989.
    #[error("the peer's key exchange value for {group} is invalid")]
    PublicValue {
        /// The group.
        group: Group,
    },
    /// We refuse the peer: its AUTH payload is not made with our pre-shared key (RFC 7296 §2.15).
    #[error(
        "authentication failed: the peer {theirs} proved knowledge of a pre-shared key that is not ours (we are {ours})"
    )]
    PeerKey {
        /// The identity that we show.
        ours: String,
        /// The identity that the peer showed.
        theirs: String,
    },
    /// We refuse the peer: it shows an identity that is not configured.
    #[error("authentication failed: the peer shows the identity {theirs}, configured is {ours}")]
    PeerIdentity {
        /// The identity that we expect of the peer.
        ours: String,
        /// The identity that the peer showed.
        theirs: String,
    },
    /// The peer uses an authentication method that is not configured.
    #[error("authentication failed: the peer uses {theirs}, configured is {ours}")]
    AuthMethod {
        /// A pre-shared key, or a certificate.
        ours: String,
        /// The peer's method.
        theirs: String,
    },
    /// We refuse the peer: its certificate, or its signature, does not prove who it is.
    #[error("authentication failed: the certificate of the peer {theirs}: {flaw}")]
    PeerCertificate {
        /// The identity that the peer showed.
        theirs: String,
        /// What is wrong.
        flaw: Flaw,
    },
    /// The peer takes no signature that our key can make (RFC 7427 §4).
    #[error(
        "authentication failed: no hash in common for our signature; our key: {ours}; the peer: {theirs}"
    )]
    SignatureHash {
        /// What our key signs with.
        ours: String,
        /// What the peer announced.
        theirs: String,
    },
    /// Our private key does not sign.
    #[error("our private key does not sign")]
    OwnKey,
    /// The peer refuses us: AUTHENTICATION_FAILED (RFC 7296 §2.21.2).
    #[error("authentication failed: the peer refuses us as {ours} when it is asked for {theirs}")]
    RefusedByPeer {
        /// The identity that we showed.
        ours: String,
        /// The identity that we expect of the peer.
        theirs: String,
    },
    /// No traffic selectors in common (RFC 7296 §2.9).
    #[error("traffic selectors unacceptable: {by}; ours: {ours}; theirs: {}", said(theirs.as_deref()))]
    TrafficSelectors {
        /// Who refused.
        by: Side,
        /// Our side === the peer's side, as configured.
        ours: String,
        /// Our side === the peer's side, as the peer proposed; `None` where it refused ours.
        theirs: Option<String>,
    },
    /// No answer to any transmission of a request (RFC 7296 §2.4).
    #[error("no answer from the peer to {exchange}{}", hinted(*hint))]
    Timeout {
        /// The exchange that is not answered.
        exchange: Stage,
        /// An unauthenticated error that arrived meanwhile: a hint, never a verdict.
        hint: Option<NotifyType>,
    },
    /// The peer sent a Delete (RFC 7296 §1.4.1).
    #[error("the peer deleted the {what}")]
    PeerDeleted {
        /// What it deleted.
        what: Sa,
    },
    /// A newer IKE SA of the same peer took its place.
    #[error("replaced by a newer IKE SA of the same peer")]
    Replaced,
    /// The hard lifetime ended and nobody had rekeyed.
    #[error("the lifetime of the {what} ended without a rekey")]
    Lifetime {
        /// What ended.
        what: Sa,
    },
    /// The peer refused a request with an error that has no case of its own.
    #[error("the peer refused {exchange}: {notify}")]
    Refused {
        /// The exchange.
        exchange: Stage,
        /// The peer's error.
        notify: NotifyType,
    },
    /// The peer sent an authenticated message that RFC 7296 does not permit.
    #[error("the peer's {exchange} message is invalid: {detail}")]
    InvalidSyntax {
        /// The exchange.
        exchange: Stage,
        /// What is wrong with it.
        detail: String,
    },
    /// The peer speaks IKEv1, which does not exist here (RFC 9395).
    #[error("the peer speaks IKEv1")]
    IkeV1,
    /// A configured suite cannot be used.
    #[error("no usable suite is configured for {what}")]
    NoSuite {
        /// IKE or child.
        what: Sa,
    },
    /// We closed it: `terminate`, `remove_peer`, or another configuration.
    #[error("closed by the operator")]
    Administrative,
}

impl Failure {
    /// Stable across releases: scripts and the manual name a failure by it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IkeProposal { .. } => "GTH-IKE-01",
            Self::ChildProposal { .. } => "GTH-IKE-02",
            Self::KeyExchange { .. } => "GTH-IKE-03",
            Self::PeerKey { .. } => "GTH-IKE-04",
            Self::PeerIdentity { .. } => "GTH-IKE-05",
            Self::RefusedByPeer { .. } => "GTH-IKE-06",
            Self::AuthMethod { .. } => "GTH-IKE-07",
            Self::TrafficSelectors { .. } => "GTH-IKE-08",
            Self::Timeout { .. } => "GTH-IKE-09",
            Self::PeerDeleted { .. } => "GTH-IKE-10",
            Self::Replaced => "GTH-IKE-11",
            Self::Lifetime { .. } => "GTH-IKE-12",
            Self::Refused { .. } => "GTH-IKE-13",
            Self::InvalidSyntax { .. } => "GTH-IKE-14",
            Self::IkeV1 => "GTH-IKE-15",
            Self::PublicValue { .. } => "GTH-IKE-16",
            Self::NoSuite { .. } => "GTH-IKE-17",
            Self::Administrative => "GTH-IKE-18",
            Self::PeerCertificate { flaw: Flaw::Absent(_), .. } => "GTH-IKE-19",
            Self::PeerCertificate { flaw: Flaw::Chain(_), .. } => "GTH-IKE-20",
            Self::PeerCertificate { flaw: Flaw::Validity(_), .. } => "GTH-IKE-21",
            Self::PeerCertificate { flaw: Flaw::Revoked, .. } => "GTH-IKE-22",
            Self::PeerCertificate { flaw: Flaw::Status(_), .. } => "GTH-IKE-23",
            Self::PeerCertificate { flaw: Flaw::Identity(_), .. } => "GTH-IKE-24",
            Self::PeerCertificate { flaw: Flaw::Signature(_), .. } => "GTH-IKE-25",
            Self::SignatureHash { .. } => "GTH-IKE-26",
            Self::OwnKey => "GTH-IKE-27",
        }
    }

    /// Who has to act.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::IkeProposal { .. }
            | Self::ChildProposal { .. }
            | Self::KeyExchange { .. }
            | Self::PeerKey { .. }
            | Self::PeerIdentity { .. }
            | Self::AuthMethod { .. }
            | Self::PeerCertificate { .. }
            | Self::SignatureHash { .. }
            | Self::RefusedByPeer { .. }
            | Self::TrafficSelectors { .. }
            | Self::IkeV1 => Fault::Configuration,
            Self::Timeout { .. } => Fault::Network,
            Self::PublicValue { .. }
            | Self::PeerDeleted { .. }
            | Self::Lifetime { .. }
            | Self::Refused { .. }
            | Self::InvalidSyntax { .. } => Fault::Peer,
            Self::NoSuite { .. } | Self::OwnKey => Fault::Ours,
            Self::Replaced | Self::Administrative => Fault::Nobody,
        }
    }

    /// What the operator can do about it, in one sentence.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::IkeProposal { .. } => {
                "in the cloud console allow one of our suites for phase 1 (encryption, integrity, DH group), \
                 or set `suites` to what the peer has"
            }
            Self::ChildProposal { .. } => {
                "in the cloud console allow one of our suites for phase 2 (encryption, integrity, PFS group), \
                 or set `esp` to what the peer has"
            }
            Self::KeyExchange { .. } => {
                "in the cloud console allow one of our DH groups for phase 1, or add the peer's group to `suites`"
            }
            Self::PeerKey { .. } => {
                "the pre-shared keys differ: compare `psk_file` with the tunnel's pre-shared key in the cloud console"
            }
            Self::PeerIdentity { .. } => {
                "set `peer_id` to the identity that the peer shows, if it is the right peer"
            }
            Self::RefusedByPeer { .. } => {
                "compare the pre-shared key, or the certificate, with the cloud console, and the customer gateway's \
                 address there with our `local_id` (behind NAT: the public address)"
            }
            Self::AuthMethod { .. } => {
                "set the tunnel's authentication in the cloud console to ours (pre-shared key or certificate), or set \
                 `auth` to the peer's"
            }
            Self::TrafficSelectors { .. } => {
                "set the tunnel's local and remote network ranges to 0.0.0.0/0 in the cloud console (route-based VPN)"
            }
            Self::Timeout { .. } => {
                "check that UDP 500 and 4500 pass both ways, that the peer's address is right, and that the cloud \
                 side is up"
            }
            Self::PeerDeleted { .. } => {
                "the peer closed it; look at the tunnel's log in the cloud console if it happens again"
            }
            Self::Replaced => "nothing: the peer came back with a new IKE SA",
            Self::Lifetime { .. } => {
                "nothing: it is built anew; let the cloud side rekey earlier (rekey margin) if it happens again"
            }
            Self::Refused { .. } => "look at the tunnel's log in the cloud console for the reason",
            Self::InvalidSyntax { .. } | Self::PublicValue { .. } => {
                "the peer breaks the protocol: report it with a capture of the exchange"
            }
            Self::IkeV1 => "set the tunnel's IKE version to ikev2 in the cloud console",
            Self::NoSuite { .. } => "set at least one suite",
            Self::Administrative => "nothing: it was asked for",
            Self::PeerCertificate { flaw, .. } => remedy_of(flaw),
            Self::SignatureHash { .. } => {
                "use a key whose hash the peer knows (RSA with SHA2-256 is known to most), or allow SHA-2 signatures there"
            }
            Self::OwnKey => "check the private key in `key`",
        }
    }
}

const fn remedy_of(flaw: &Flaw) -> &'static str {
    match flaw {
        Flaw::Absent(_) => "let the peer send its certificate with the exchange, not its URL",
        Flaw::Chain(_) => {
            "put the CA of the peer's certificate (for AWS: the private CA's own certificate) into the file `ca`, and let \
             the peer send the intermediate certificates"
        }
        Flaw::Validity(_) => "renew the peer's certificate, or set our clock right (NTP)",
        Flaw::Revoked => {
            "give the peer a new certificate, or fetch a new revocation list into `crl` if it should be good"
        }
        Flaw::Status(_) => {
            "fetch new revocation lists, one of each CA in the chain, into the file `crl`; or remove `crl` to check none"
        }
        Flaw::Identity(_) => {
            "let the peer show an identity that is in its certificate, and set `peer_id` to it; or issue a certificate \
             that has it as a subject alternative name"
        }
        Flaw::Signature(_) => {
            "the peer's private key is not that of its certificate, or its signature is of a kind that we refuse \
             (SHA-1, P-521): renew key and certificate there"
        }
    }
}

/// Who has to act on a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The two ends are configured differently; either may be changed.
    Configuration,
    /// Our own configuration is unusable.
    Ours,
    /// The peer.
    Peer,
    /// The path between, or a peer that is down.
    Network,
    /// Nobody: it was meant.
    Nobody,
}

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We refused what the peer offered.
    Ours,
    /// The peer refused what we offered.
    Peer,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "we refused the peer's",
            Self::Peer => "the peer refused ours",
        })
    }
}

/// Which SA is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sa {
    /// The IKE SA (phase 1).
    Ike,
    /// A child SA (phase 2).
    Child,
}

impl fmt::Display for Sa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ike => "IKE SA (phase 1)",
            Self::Child => "child SA (phase 2)",
        })
    }
}

/// Which exchange is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// IKE_SA_INIT: the first message.
    Init,
    /// IKE_AUTH.
    Auth,
    /// CREATE_CHILD_SA.
    CreateChild,
    /// INFORMATIONAL: liveness or Delete.
    Informational,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "IKE_SA_INIT",
            Self::Auth => "IKE_AUTH",
            Self::CreateChild => "CREATE_CHILD_SA",
            Self::Informational => "INFORMATIONAL (DPD)",
        })
    }
}

/// Why nothing came of a datagram. Each has its counter ([`crate::Counters`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Refusal {
    /// Not an IKEv2 message: header or payloads contradict themselves.
    Malformed,
    /// A major version other than 2, IKEv1 for example (RFC 9395).
    Version,
    /// No SA of ours has its SPI.
    UnknownSpi,
    /// IKE_SA_INIT from an address that is not configured.
    UnknownPeer,
    /// A half-open bound is reached: in all, of one address or of one prefix.
    HalfOpenFull,
    /// An exchange that is not permitted in the SA's state, or flags that contradict it.
    Unexpected,
    /// A message id outside the window, or an answer to nothing.
    MessageId,
    /// The ICV is wrong, or what must be protected is not.
    Integrity,
    /// A fragment that fits no reassembly (RFC 7383 §2.6).
    Fragment,
    /// An answer from another address than the request went to.
    Source,
    /// A COOKIE or INVALID_KE_PAYLOAD beyond the bounded rounds, or for a group not offered.
    Rounds,
    /// A clear-text error for an SA that is authenticated or may yet succeed: a hint (RFC 7296 §2.21).
    Hint,
    /// A retransmitted request whose answer is sent already and not kept.
    Duplicate,
    /// More computations wait than are permitted: the peer is to send again.
    Busy,
    /// IKE_SA_INIT that was asked for a cookie, and nothing else was done about it (RFC 7296 §2.6).
    CookieAsked,
    /// IKE_SA_INIT that would be refused in the clear, when that has been done too often.
    TooManyRefused,
}

impl Refusal {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Version,
        Self::UnknownSpi,
        Self::UnknownPeer,
        Self::HalfOpenFull,
        Self::Unexpected,
        Self::MessageId,
        Self::Integrity,
        Self::Fragment,
        Self::Source,
        Self::Rounds,
        Self::Hint,
        Self::Duplicate,
        Self::Busy,
        Self::CookieAsked,
        Self::TooManyRefused,
    ];

    /// Stable name, as metrics have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::UnknownSpi => "unknown_spi",
            Self::UnknownPeer => "unknown_peer",
            Self::HalfOpenFull => "half_open_full",
            Self::Unexpected => "unexpected",
            Self::MessageId => "message_id",
            Self::Integrity => "integrity",
            Self::Fragment => "fragment",
            Self::Source => "source",
            Self::Rounds => "rounds",
            Self::Hint => "hint",
            Self::Duplicate => "duplicate",
            Self::Busy => "busy",
            Self::CookieAsked => "cookie_asked",
            Self::TooManyRefused => "too_many_refused",
        }
    }
}

fn said(theirs: Option<&str>) -> &str {
    theirs.unwrap_or("not said by the peer")
}

fn hinted(hint: Option<NotifyType>) -> String {
    hint.map_or_else(String::new, |notify| {
        format!(" (it, or somebody in its name, sent {notify} in the clear)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_proposal_names_ours_and_theirs() {
        let failure = Failure::IkeProposal {
            by: Side::Ours,
            ours: "aes256-sha256-modp2048".into(),
            theirs: Some("3des-sha1-modp1024".into()),
        };
        assert_eq!(failure.code(), "GTH-IKE-01");
        assert_eq!(
            failure.to_string(),
            "no IKE (phase 1) proposal chosen: we refused the peer's; ours: aes256-sha256-modp2048; \
             theirs: 3des-sha1-modp1024"
        );
        assert!(failure.remedy().contains("cloud console"));
    }

    #[test]
    fn every_refusal_has_its_place_among_the_counters() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index);
        }
    }
}
