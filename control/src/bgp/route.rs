//! A route as BGP tells it: a prefix and its path attributes (RFC 4271 §5), in meaning and not in octets.
//!
//! Attributes that no decision here reads (extended communities, what a newer RFC defines) are not kept: we are the edge
//! of a site and hand no route on from one peer to another with the attributes it came with.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// A prefix and the path to it. The prefixes of one UPDATE share their path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads to; the bits behind its length are zero.
    pub prefix: IpNet,
    /// The attributes.
    pub path: Arc<Path>,
}

/// The path attributes that matter to a decision (RFC 4271 §5, RFC 1997, RFC 8092).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Where the route was first told to BGP.
    pub origin: Origin,
    /// The AS numbers on the way, the nearest first.
    pub as_path: AsPath,
    /// The router to send to: NEXT_HOP for IPv4, the global address of MP_REACH_NLRI for IPv6.
    pub next_hop: IpAddr,
    /// MULTI_EXIT_DISC; the lower one is preferred among paths from one AS.
    pub med: Option<u32>,
    /// LOCAL_PREF; the higher one is preferred. An external peer's is never taken over, so on receipt from one: `None`.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE: more specific paths were folded into it.
    pub atomic_aggregate: bool,
    /// AGGREGATOR: who folded them.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES, in ascending order, each once.
    pub communities: Vec<Community>,
    /// LARGE_COMMUNITY, in ascending order, each once.
    pub large_communities: Vec<LargeCommunity>,
}

impl Path {
    /// A path that begins here: AS_PATH empty, nothing optional.
    pub const fn local(next_hop: IpAddr) -> Self {
        Self {
            origin: Origin::Igp,
            as_path: AsPath(Vec::new()),
            next_hop,
            med: None,
            local_pref: None,
            atomic_aggregate: false,
            aggregator: None,
            communities: Vec::new(),
            large_communities: Vec::new(),
        }
    }
}

/// ORIGIN (RFC 4271 §5.1.1); the lesser is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Interior to the originating AS.
    Igp,
    /// Learned by EGP.
    Egp,
    /// By other means.
    Incomplete,
}

/// AS_PATH (RFC 4271 §5.1.2) in four-octet AS numbers (RFC 6793), the nearest segment first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AsPath(pub Vec<AsSegment>);

/// A segment of an AS_PATH. Those of confederations (RFC 5065) do not leave theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AsSegment {
    /// AS_SET: AS numbers in no order.
    Set(Vec<u32>),
    /// AS_SEQUENCE: AS numbers on the way, the nearest first.
    Sequence(Vec<u32>),
}

impl AsPath {
    /// How long the way is to the choice of a path: a set counts as one (RFC 4271 §9.1.2.2 a).
    pub fn hops(&self) -> usize {
        self.0.iter().map(AsSegment::hops).sum()
    }

    /// Every AS number in it.
    pub fn asns(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(AsSegment::asns).copied()
    }

    /// Whether it leads through `asn`; through our own it is a loop (RFC 4271 §9.1.2).
    pub fn contains(&self, asn: u32) -> bool {
        self.asns().any(|its| its == asn)
    }

    /// The AS that told the route: the first of a leading sequence.
    pub fn neighbor(&self) -> Option<u32> {
        match self.0.first()? {
            AsSegment::Sequence(asns) => asns.first().copied(),
            AsSegment::Set(_) => None,
        }
    }

    /// The AS that the route comes from: the last of a trailing sequence.
    pub fn origin(&self) -> Option<u32> {
        match self.0.last()? {
            AsSegment::Sequence(asns) => asns.last().copied(),
            AsSegment::Set(_) => None,
        }
    }

    /// Puts `asn` in front, as who hands a route to another AS does (RFC 4271 §5.1.2).
    pub fn prepend(&mut self, asn: u32) {
        match self.0.first_mut() {
            Some(AsSegment::Sequence(asns)) if asns.len() < MAX_SEGMENT => asns.insert(0, asn),
            Some(_) | None => self.0.insert(0, AsSegment::Sequence(vec![asn])),
        }
    }
}

impl AsSegment {
    /// Its AS numbers.
    pub fn asns(&self) -> &[u32] {
        match self {
            Self::Set(asns) | Self::Sequence(asns) => asns,
        }
    }

    const fn hops(&self) -> usize {
        match self {
            Self::Set(_) => 1,
            Self::Sequence(asns) => asns.len(),
        }
    }
}

/// `64512 65010 {65020 65030}`.
impl fmt::Display for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            let asns: Vec<String> = segment.asns().iter().map(u32::to_string).collect();
            let gap = if index == 0 { "" } else { " " };
            match segment {
                AsSegment::Sequence(_) => write!(f, "{gap}{}", asns.join(" "))?,
                AsSegment::Set(_) => write!(f, "{gap}{{{}}}", asns.join(" "))?,
            }
        }
        Ok(())
    }
}

/// AGGREGATOR (RFC 4271 §5.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Aggregator {
    /// The AS that aggregated.
    pub asn: u32,
    /// Its router.
    pub identifier: Ipv4Addr,
}

/// A community (RFC 1997): an AS number in the upper half, a value in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// About to go away: prefer any other path (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
    /// Not beyond the AS that receives it (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// Not to any peer (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// Not beyond the member of a confederation that receives it (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xffff_ff03);

    /// The community `asn:value`.
    pub const fn new(asn: u16, value: u16) -> Self {
        let ([a, b], [c, d]) = (asn.to_be_bytes(), value.to_be_bytes());
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

/// `12076:51004`.
impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl FromStr for Community {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        let (asn, value) = text.split_once(':').ok_or(NotACommunity)?;
        Ok(Self::new(part(asn)?, part(value)?))
    }
}

/// A large community (RFC 8092).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// The AS that gives it its meaning.
    pub global: u32,
    /// First value of that AS.
    pub local1: u32,
    /// Second value of that AS.
    pub local2: u32,
}

/// `64512:1:2`.
impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}

impl FromStr for LargeCommunity {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        let (global, rest) = text.split_once(':').ok_or(NotACommunity)?;
        let (local1, local2) = rest.split_once(':').ok_or(NotACommunity)?;
        Ok(Self { global: part(global)?, local1: part(local1)?, local2: part(local2)? })
    }
}

/// A text that is no community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a community: write two numbers of 16 bits, as 64512:100, or three of 32 bits, as 64512:1:2")]
pub struct NotACommunity;

/// Digits alone: a sign, which the standard library takes, is no part of a community.
fn part<T: FromStr>(text: &str) -> Result<T, NotACommunity> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(NotACommunity)
}

/// AS numbers of one segment: its count is one octet.
pub const MAX_SEGMENT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_counts_as_one_hop_and_names_no_neighbor() {
        let mut path = AsPath(vec![AsSegment::Set(vec![1, 2, 3])]);
        assert_eq!((path.hops(), path.neighbor(), path.origin()), (1, None, None));
        path.prepend(64512);
        path.prepend(65010);
        assert_eq!(path.hops(), 3);
        assert_eq!(path.neighbor(), Some(65010));
        assert!(path.contains(2) && !path.contains(4));
        assert_eq!(path.to_string(), "65010 64512 {1 2 3}");
    }

    #[test]
    fn a_full_segment_is_followed_by_another() {
        let mut path = AsPath::default();
        for asn in 0..300 {
            path.prepend(asn);
        }
        assert_eq!(path.hops(), 300);
        assert_eq!(path.0.len(), 2);
        assert_eq!((path.neighbor(), path.origin()), (Some(299), Some(0)));
    }

    #[test]
    fn communities_are_read_as_they_are_written() {
        for text in ["12076:51004", "0:0", "65535:65281"] {
            assert_eq!(text.parse::<Community>().map(|community| community.to_string()).as_deref(), Ok(text));
        }
        for text in ["64512:1:2", "4294967295:0:4294967295"] {
            assert_eq!(text.parse::<LargeCommunity>().map(|large| large.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("65535:65281".parse(), Ok(Community::NO_EXPORT));
        for text in ["", ":", "1", "1:", ":1", "65536:1", "1:65536", "+1:1", "1:2:3", "-1:1", " 1:1"] {
            assert_eq!(text.parse::<Community>(), Err(NotACommunity), "{text:?}");
        }
        for text in ["1:2", "1:2:", "1:2:3:4", "4294967296:0:0", "1:+2:3"] {
            assert_eq!(text.parse::<LargeCommunity>(), Err(NotACommunity), "{text:?}");
        }
    }

    #[test]
    fn origins_are_in_the_order_of_preference() {
        assert!(Origin::Igp < Origin::Egp && Origin::Egp < Origin::Incomplete);
    }
}
