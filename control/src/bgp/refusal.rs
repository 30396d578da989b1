//! Why a route is not taken from a peer, or not offered to one: a code, a sentence, and what to do about it.
//!
//! All values in the sentences are numbers and prefixes that were parsed: no text of a peer gets into them.

use core::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// Why a route is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no policy for this direction (RFC 8212 §2).
    NoPolicy,
    /// The prefix list does not permit the prefix.
    NotListed,
    /// The policy refuses a community that the route has.
    Community(String),
    /// A prefix that is never routed between networks (RFC 6890).
    Martian(IpNet),
    /// A default route, or a prefix so wide that two or a few of them make one.
    DefaultRoute,
    /// It lies in a network of ours.
    OwnNetwork(IpNet),
    /// It is the outer address of a tunnel.
    OuterAddress(IpAddr),
    /// It lies in a network inside a tunnel.
    Inside(IpNet),
    /// Its AS path leads through our own AS (RFC 4271 §9.1.2).
    Loop(u32),
    /// Its AS path does not begin with the peer's AS (RFC 4271 §6.3).
    FirstAs {
        /// The AS of the peer.
        peer: u32,
        /// What the path begins with; `None`: with no AS.
        found: Option<u32>,
    },
    /// Its next hop is our own address (RFC 4271 §5.1.3).
    NextHop(IpAddr),
    /// There are as many prefixes as may be.
    TooMany(usize),
    /// Its AS path names more ASes than any way has.
    PathTooLong {
        /// How many it names.
        asns: usize,
        /// How many it may.
        most: usize,
    },
}

impl Refusal {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoPolicy => "GTH-RTE-03",
            Self::NotListed => "GTH-RTE-04",
            Self::Community(_) => "GTH-RTE-05",
            Self::Martian(_) => "GTH-RTE-06",
            Self::DefaultRoute => "GTH-RTE-07",
            Self::OwnNetwork(_) => "GTH-RTE-08",
            Self::OuterAddress(_) => "GTH-RTE-09",
            Self::Inside(_) => "GTH-RTE-10",
            Self::Loop(_) => "GTH-RTE-11",
            Self::FirstAs { .. } => "GTH-RTE-12",
            Self::NextHop(_) => "GTH-RTE-13",
            Self::TooMany(_) => "GTH-RTE-14",
            Self::PathTooLong { .. } => "GTH-RTE-17",
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NoPolicy => "say in the connection which prefixes are taken or offered",
            Self::NotListed => "add the prefix to the list if it is wanted",
            Self::Community(_) => "change the rule for the community if the route is wanted",
            Self::Martian(_) => "have the cloud's side announce routable prefixes only",
            Self::DefaultRoute => "allow the default route in the connection if it is wanted",
            Self::OwnNetwork(_) => "see who announces our own network to the cloud, or renumber one side",
            Self::OuterAddress(_) => "have the cloud's side not announce the addresses of the tunnels' ends",
            Self::Inside(_) => {
                "nothing, if the cloud announces its own end of the tunnel; else renumber `inside`"
            }
            Self::Loop(_) => {
                "nothing, if the route is ours and came back; else give each site an AS of its own"
            }
            Self::FirstAs { .. } => "write the AS of the cloud's side as peer_asn",
            Self::NextHop(_) => "see which router on the cloud's side sets our address as the next hop",
            Self::TooMany(_) => "announce aggregates, or raise the limit if so many prefixes are meant",
            Self::PathTooLong { .. } => "see who prepends AS numbers to the route without end",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPolicy => f.write_str("there is no policy for it"),
            Self::NotListed => f.write_str("the prefix list does not permit it"),
            Self::Community(rule) => write!(f, "the policy refuses routes with the community {rule}"),
            Self::Martian(net) => write!(f, "it lies in {net}, which is never routed between networks"),
            Self::DefaultRoute => f.write_str("it is a default route or nearly one, and none is allowed"),
            Self::OwnNetwork(net) => write!(f, "it lies in our own network {net}"),
            Self::OuterAddress(address) => write!(f, "it is {address}, the outer address of a tunnel"),
            Self::Inside(net) => write!(f, "it lies in {net}, the network inside a tunnel"),
            Self::Loop(asn) => write!(f, "its AS path leads through our own AS {asn}"),
            Self::FirstAs { peer, found: Some(found) } => {
                write!(f, "its AS path begins with AS {found}, not with the peer's AS {peer}")
            }
            Self::FirstAs { peer, found: None } => {
                write!(f, "its AS path begins with no AS, not with the peer's AS {peer}")
            }
            Self::NextHop(address) => write!(f, "its next hop is our own address {address}"),
            Self::TooMany(1) => f.write_str("there is 1 prefix already, as many as may be"),
            Self::TooMany(limit) => write!(f, "there are {limit} prefixes already, as many as may be"),
            Self::PathTooLong { asns, most } => {
                write!(f, "its AS path names {asns} ASes, and no way leads through more than {most}")
            }
        }
    }
}
