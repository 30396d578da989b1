//! What the speaker tells its driver: what to do with TCP connections, and what an operator should read.

use core::fmt;
use core::time::Duration;

use ipnet::IpNet;

use crate::bgp::codec::Family;
use crate::bgp::codec::flaw::Flaw;
use crate::bgp::failure::Failure;
use crate::bgp::fsm::ConnectionId;
use crate::bgp::refusal::Refusal;

/// What the driver is to do, or to know, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a TCP connection to the peer, and tell of it by this name.
    Connect(ConnectionId),
    /// Send these octets.
    Send(ConnectionId, Vec<u8>),
    /// Close it when what was to be sent is sent, or end the attempt; tell nothing of it any more.
    Close(ConnectionId),
    /// Something that an operator should read.
    Notice(Notice),
}

/// What an operator should read. A peer that goes on and on is told of a few times a minute, with what was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The session is established.
    Up {
        /// Silence after which the peer is lost; `None`: never.
        hold_time: Option<Duration>,
    },
    /// It is no longer.
    Down {
        /// Why.
        failure: Failure,
        /// The peer's routes stay while it restarts.
        kept: bool,
    },
    /// It does not come up, for another reason than before.
    Failed(Failure),
    /// The peer's route is not taken.
    Refused {
        /// Where it leads to.
        prefix: IpNet,
        /// Why.
        refusal: Refusal,
        /// As many before it were not told.
        untold: u64,
    },
    /// An UPDATE of the peer had an error that costs no session.
    Flawed {
        /// The first error.
        flaw: Flaw,
        /// As many UPDATEs before it were not told.
        untold: u64,
    },
    /// A prefix of ours is not offered.
    NotOffered {
        /// Which.
        prefix: IpNet,
        /// Why.
        why: NotOffered,
        /// As many before it were not told.
        untold: u64,
    },
}

/// Why a prefix of ours is not offered to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOffered {
    /// The policy does not permit it.
    Refused(Refusal),
    /// The peer does not speak its address family.
    Family,
    /// The tunnel's link has no address that could be its next hop.
    NextHop(Family),
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Family => f.write_str("the peer does not speak its address family"),
            Self::NextHop(Family::Ipv6) => {
                f.write_str("the tunnel has no IPv6 address of ours to be its next hop: write inside6")
            }
            Self::NextHop(Family::Ipv4) => f.write_str("an IPv6 link carries no IPv4 next hop"),
        }
    }
}
