//! What a session is to be: its terms, its policies, and where the routes that we offer lead to.

use std::net::{IpAddr, Ipv6Addr};

use crate::bgp::codec::Family;
use crate::bgp::fsm::Config;
use crate::bgp::guard::Neighbour;
use crate::bgp::policy::{Export, Import};
use crate::bgp::quota::Excess;

/// The session of one tunnel, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is said in the OPEN, and how the session is kept.
    pub config: Config,
    /// Who the peer is.
    pub neighbour: Neighbour,
    /// What is taken.
    pub import: Import,
    /// What is offered.
    pub export: Export,
    /// How many prefixes are taken.
    pub max_prefixes: usize,
    /// What happens above.
    pub excess: Excess,
}

/// The next hops of what we offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHops {
    inside: IpAddr,
}

impl NextHops {
    /// Those that lead to our address inside the tunnel.
    pub const fn new(inside: IpAddr) -> Self {
        Self { inside }
    }

    /// The next hop for prefixes of a family; `None`: there is none that a peer could follow.
    ///
    /// A tunnel with an IPv4 link carries IPv6 all the same: its address mapped into IPv6 (RFC 4291 §2.5.5.2) is what FRR
    /// tells and takes there. BIRD 2.0 takes no mapped address; such a peer is to have an IPv6 link. For IPv4 over an IPv6 link there is RFC 8950 alone, which the clouds do not speak.
    pub const fn of(self, family: Family) -> Option<IpAddr> {
        match (self.inside, family) {
            (IpAddr::V4(_), Family::Ipv4) | (IpAddr::V6(_), Family::Ipv6) => Some(self.inside),
            (IpAddr::V4(inside), Family::Ipv6) => {
                let mapped: Ipv6Addr = inside.to_ipv6_mapped();
                Some(IpAddr::V6(mapped))
            }
            (IpAddr::V6(_), Family::Ipv4) => None,
        }
    }
}
