//! What a session is to be: its terms, its policies, and where the routes that we offer lead to.

use std::net::{IpAddr, Ipv6Addr};

use crate::bgp::codec::{Families, Family};
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
    inside6: Option<Ipv6Addr>,
}

impl NextHops {
    /// Those that lead to our addresses inside the tunnel.
    pub const fn new(neighbour: &Neighbour) -> Self {
        Self { inside: neighbour.our_inside, inside6: neighbour.our_inside6 }
    }

    /// The next hop for prefixes of a family; `None`: there is none that a peer could follow.
    ///
    /// The IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is none: BIRD 2.0 takes no such next hop. For IPv4 over an
    /// IPv6 link there is RFC 8950 alone, which the clouds do not speak.
    pub const fn of(self, family: Family) -> Option<IpAddr> {
        match (self.inside, self.inside6, family) {
            (IpAddr::V4(_), _, Family::Ipv4) | (IpAddr::V6(_), _, Family::Ipv6) => Some(self.inside),
            (IpAddr::V4(_), Some(inside6), Family::Ipv6) => Some(IpAddr::V6(inside6)),
            (IpAddr::V4(_), None, Family::Ipv6) | (IpAddr::V6(_), _, Family::Ipv4) => None,
        }
    }

    /// The families that the session is to have: what the tunnel has no address of, it does not carry either.
    pub fn families(self) -> Families {
        Family::ALL.into_iter().filter(|family| self.of(*family).is_some()).collect()
    }
}
