//! Why there is no BGP session, or no longer, in an operator's words and with a stable code.

use std::time::Duration;

use super::codec::iana::{ErrorCode, cease, open_error};
use super::codec::{Families, Notification};

/// Why a session is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The TCP connection is refused, or there is no way to the peer.
    #[error("no TCP connection to port 179 of the peer")]
    Unreachable,
    /// Nothing comes back: so it is with a wrong password or hop count too, which the kernels at both ends drop without a word.
    #[error("port 179 of the peer does not answer")]
    Unanswered,
    /// We are passive and the peer has not connected.
    #[error("the peer, which is to open the connection, has not")]
    Awaited,
    /// The TCP connection is gone, without a word of BGP.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer took the connection and sent no OPEN.
    #[error("the peer took the connection and sent no OPEN for {0:?}")]
    Mute(Duration),
    /// Nothing was heard for the hold time (RFC 4271 §6.5).
    #[error("nothing heard of the peer for {0:?}")]
    HoldTimer(Duration),
    /// The peer is of another AS than configured (RFC 4271 §6.2).
    #[error("the peer is of AS {theirs}, configured is {configured}")]
    PeerAs {
        /// The AS number of the configuration.
        configured: u32,
        /// The AS number of its OPEN.
        theirs: u32,
    },
    /// We refuse its OPEN (RFC 4271 §6.2).
    #[error("the peer's OPEN cannot be accepted: {0}")]
    PeerOpen(Notification),
    /// No address family in common.
    #[error("no address family in common: ours are {}; theirs are {}", listed(*ours), listed(*theirs))]
    NoFamily {
        /// Those that we speak.
        ours: Families,
        /// Those of ours and others that it speaks.
        theirs: Families,
    },
    /// The peer refuses our AS number: Bad Peer AS.
    #[error("the peer refuses our AS {ours} (Bad Peer AS)")]
    OurAs {
        /// The AS number of our OPEN.
        ours: u32,
    },
    /// The peer refuses our OPEN otherwise.
    #[error("the peer refuses our OPEN: {0}")]
    OurOpen(Notification),
    /// The peer's operator has ended the session.
    #[error("the peer's operator ended the session: {0}")]
    PeerShutdown(Notification),
    /// We have told the peer more prefixes than it takes.
    #[error("the peer takes no more prefixes of ours: {0}")]
    PeerLimit(Notification),
    /// The peer has ended the session for another reason.
    #[error("the peer ended the session: {0}")]
    PeerCease(Notification),
    /// The peer sent what the protocol excludes, and we reset the session.
    #[error("the peer sent what cannot be read: {0}")]
    Malformed(Notification),
    /// The peer says the same of us.
    #[error("the peer cannot read what we sent: {0}")]
    Refused(Notification),
    /// The peer has heard nothing of us for the hold time.
    #[error("the peer heard nothing of us for the hold time")]
    Unheard,
    /// The tunnel that carried it is down.
    #[error("the tunnel is down")]
    TunnelDown,
    /// Our operator wants it down, or another configuration.
    #[error("taken down by the operator")]
    Administrative,
    /// The peer told more prefixes than it may.
    #[error("the peer told more prefixes than it may")]
    Limit,
}

impl Failure {
    /// What a NOTIFICATION of the peer means.
    pub(super) fn told(notification: &Notification, our_asn: u32) -> Self {
        let reason = notification.reason();
        match (reason.code, reason.subcode) {
            (ErrorCode::OPEN, open_error::BAD_PEER_AS) => Self::OurAs { ours: our_asn },
            (ErrorCode::OPEN, _) => Self::OurOpen(reason),
            (ErrorCode::CEASE, cease::SHUTDOWN | cease::RESET | cease::DECONFIGURED) => {
                Self::PeerShutdown(reason)
            }
            (ErrorCode::CEASE, cease::MAX_PREFIXES) => Self::PeerLimit(reason),
            (ErrorCode::CEASE, _) => Self::PeerCease(reason),
            (ErrorCode::HOLD_TIMER, _) => Self::Unheard,
            _ => Self::Refused(reason),
        }
    }

    /// Whether it is known from TCP alone.
    pub(super) const fn is_wordless(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Unanswered | Self::Awaited | Self::Closed)
    }

    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable => "GTH-BGP-01",
            Self::Closed => "GTH-BGP-02",
            Self::HoldTimer(_) => "GTH-BGP-03",
            Self::PeerAs { .. } => "GTH-BGP-04",
            Self::PeerOpen(_) => "GTH-BGP-05",
            Self::NoFamily { .. } => "GTH-BGP-06",
            Self::OurAs { .. } => "GTH-BGP-07",
            Self::OurOpen(_) => "GTH-BGP-08",
            Self::PeerShutdown(_) => "GTH-BGP-09",
            Self::PeerLimit(_) => "GTH-BGP-10",
            Self::PeerCease(_) => "GTH-BGP-11",
            Self::Malformed(_) => "GTH-BGP-12",
            Self::Refused(_) => "GTH-BGP-13",
            Self::Unheard => "GTH-BGP-14",
            Self::TunnelDown => "GTH-BGP-15",
            Self::Administrative => "GTH-BGP-16",
            Self::Limit => "GTH-BGP-17",
            Self::Unanswered => "GTH-BGP-18",
            Self::Awaited => "GTH-BGP-19",
            Self::Mute(_) => "GTH-BGP-20",
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable => {
                "check the inside addresses of both ends, and that the peer's BGP is enabled for this tunnel"
            }
            Self::Unanswered => {
                "compare bgp_password and ttl_security with what the peer has, then the inside addresses of both ends"
            }
            Self::Awaited => {
                "see that the peer connects to our inside address, with our bgp_password and ttl_security; or take `passive` away"
            }
            Self::Closed => {
                "see the peer's log; a peer that knows no neighbour of our inside address closes at once"
            }
            Self::Mute(_) => {
                "see the peer's log; where only one end has ttl_security, the other's messages are dropped"
            }
            Self::HoldTimer(_) | Self::Unheard => "see whether the tunnel carries packets in both directions",
            Self::PeerAs { .. } => {
                "set peer_asn of the tunnel to the peer's AS, or correct the AS at the peer"
            }
            Self::PeerOpen(_) => "correct hold time, BGP identifier or AS number at the peer",
            Self::NoFamily { .. } => "enable IPv4 or IPv6 unicast for this neighbour at the peer",
            Self::OurAs { .. } => "set this AS on the customer gateway",
            Self::OurOpen(_) => "compare hold time and BGP identifier with what the peer expects",
            Self::PeerShutdown(_) => "wait, or ask the peer's operator",
            Self::PeerLimit(_) => {
                "advertise fewer prefixes: AWS takes 100 on a virtual private gateway, Azure 4,000"
            }
            Self::PeerCease(_) => "see the peer's log",
            Self::Malformed(_) | Self::Refused(_) => {
                "report it with the log and a capture of the tunnel's device"
            }
            Self::TunnelDown => "see why the tunnel is down: the links before BGP say it",
            Self::Administrative => "gotthard up brings it back",
            Self::Limit => "raise max_prefixes, or have the peer tell fewer",
        }
    }
}

fn listed(families: Families) -> String {
    let names: Vec<String> = families.iter().map(|family| family.to_string()).collect();
    if names.is_empty() { "none of IPv4 and IPv6 unicast".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_our_as_names_it_and_what_to_set() {
        let told = Notification::new(ErrorCode::OPEN, open_error::BAD_PEER_AS);
        let failure = Failure::told(&told, 65010);
        assert_eq!((failure.code(), failure.remedy()), ("GTH-BGP-07", "set this AS on the customer gateway"));
        assert_eq!(failure.to_string(), "the peer refuses our AS 65010 (Bad Peer AS)");
    }

    #[test]
    fn what_is_inside_a_hard_reset_is_the_reason() {
        let told = Notification::with_text(cease::SHUTDOWN, "a\nb").hard();
        let failure = Failure::told(&told, 65010);
        assert_eq!(
            failure.to_string(),
            "the peer's operator ended the session: Cease: Administrative Shutdown (\"a\\nb\")"
        );
        assert_eq!(Failure::told(&Notification::cease(cease::MAX_PREFIXES), 1).code(), "GTH-BGP-10");
        assert_eq!(Failure::told(&Notification::cease(cease::COLLISION), 1).code(), "GTH-BGP-11");
        let told = Notification::new(ErrorCode::OPEN, open_error::BAD_IDENTIFIER);
        assert_eq!(Failure::told(&told, 1).code(), "GTH-BGP-08");
        assert_eq!(Failure::told(&Notification::new(ErrorCode::HOLD_TIMER, 0), 1).code(), "GTH-BGP-14");
        assert_eq!(Failure::told(&Notification::new(ErrorCode::UPDATE, 1), 1).code(), "GTH-BGP-13");
    }
}
