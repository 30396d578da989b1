//! The address families that this speaker speaks (RFC 4760): IPv4 and IPv6, unicast.

use core::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// An address family, unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4,
    /// AFI 2, SAFI 1.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family of a prefix.
    pub const fn of(prefix: IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::Ipv4,
            IpNet::V6(_) => Self::Ipv6,
        }
    }

    /// The family of an address.
    pub const fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The family with these numbers; `None` for any other that IANA knows.
    pub const fn from_iana(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (AFI_IPV4, SAFI_UNICAST) => Some(Self::Ipv4),
            (AFI_IPV6, SAFI_UNICAST) => Some(Self::Ipv6),
            _ => None,
        }
    }

    /// Its address family identifier.
    pub const fn afi(self) -> u16 {
        match self {
            Self::Ipv4 => AFI_IPV4,
            Self::Ipv6 => AFI_IPV6,
        }
    }

    /// Its subsequent address family identifier.
    pub const fn safi(self) -> u8 {
        SAFI_UNICAST
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4 unicast",
            Self::Ipv6 => "IPv6 unicast",
        })
    }
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Families {
    ipv4: bool,
    ipv6: bool,
}

impl Families {
    /// None.
    pub const NONE: Self = Self { ipv4: false, ipv6: false };
    /// IPv4 alone: what a peer speaks that says nothing about families (RFC 4271).
    pub const IPV4: Self = Self { ipv4: true, ipv6: false };
    /// Both.
    pub const ALL: Self = Self { ipv4: true, ipv6: true };

    /// Adds one.
    pub const fn insert(&mut self, family: Family) {
        *self.place(family) = true;
    }

    /// Takes one out.
    pub const fn remove(&mut self, family: Family) {
        *self.place(family) = false;
    }

    /// Whether one is among them.
    pub const fn contains(self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self { ipv4: self.ipv4 && other.ipv4, ipv6: self.ipv6 && other.ipv6 }
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self { ipv4: self.ipv4 && !other.ipv4, ipv6: self.ipv6 && !other.ipv6 }
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        !self.ipv4 && !self.ipv6
    }

    /// Each of them, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contains(*family))
    }

    const fn place(&mut self, family: Family) -> &mut bool {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        families.into_iter().fold(Self::NONE, |mut set, family| {
            set.insert(family);
            set
        })
    }
}

const AFI_IPV4: u16 = 1;
const AFI_IPV6: u16 = 2;
const SAFI_UNICAST: u8 = 1;
