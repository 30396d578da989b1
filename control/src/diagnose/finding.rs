//! What was found: a stable code, a sentence, and what to do about it; each code has its page in `docs/failures`.

use core::fmt;

use super::routes::Refused;
use super::silence::Wire;
use crate::config::ceilings::Ceiling;

/// What was found of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Packets are sent and none comes, while the peer answers under its IKE SA.
    OneWay {
        /// Sent since the last that came.
        packets: u64,
        /// How long ago that was.
        seconds: u64,
        /// How they were sent.
        wire: Wire,
    },
    /// Packets come, and no echo is answered any more.
    Unheard {
        /// Echoes in vain.
        echoes: u64,
        /// How they were sent.
        wire: Wire,
    },
    /// The peer refuses to rekey the child SA: it ends with its lifetime.
    RekeyRefused(String),
    /// Echoes of the tunnel's MTU vanish, and smaller ones do not.
    BlackHole {
        /// The largest packet that passes.
        passes: u16,
        /// The tunnel's MTU.
        mtu: u16,
    },
    /// The peer announces nothing.
    NoPrefix,
    /// The peer announces prefixes, and none of them is taken.
    NoneTaken(Refused),
    /// The peer is told no prefix of ours.
    NothingOffered,
    /// A rate is near the cloud's ceiling.
    Ceiling {
        /// Of what.
        unit: Unit,
        /// Which way.
        direction: Direction,
        /// So much a second.
        rate: u64,
        /// Of the ceiling.
        percent: u64,
        /// The ceiling.
        ceiling: Ceiling,
    },
    /// Packets are dropped as seen before or as too old.
    Replayed {
        /// How many in the last minute.
        packets: u64,
        /// Of those that arrived.
        of: u64,
    },
    /// Packets are dropped for a wrong ICV.
    Damaged {
        /// How many in the last minute.
        packets: u64,
    },
}

/// The link that a finding breaks, in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The child SA.
    Esp,
    /// The probe.
    Probe,
    /// The routes.
    Routes,
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bits of inner packets.
    Bits,
    /// Packets.
    Packets,
}

/// The busier direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the tunnel.
    Sends,
    /// Out of it.
    Receives,
}

impl Finding {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OneWay { .. } => "GTH-ESP-03",
            Self::Unheard { .. } => "GTH-ESP-04",
            Self::RekeyRefused(_) => "GTH-ESP-05",
            Self::Replayed { .. } => "GTH-ESP-06",
            Self::Damaged { .. } => "GTH-ESP-07",
            Self::Ceiling { unit: Unit::Bits, .. } => "GTH-ESP-08",
            Self::Ceiling { unit: Unit::Packets, .. } => "GTH-ESP-09",
            Self::BlackHole { .. } => "GTH-PRB-02",
            Self::NoPrefix => "GTH-RTE-18",
            Self::NothingOffered => "GTH-RTE-19",
            Self::NoneTaken(refused) => refused.code,
        }
    }

    /// The link that it breaks; `None`: it breaks nothing.
    pub const fn breaks(&self) -> Option<Link> {
        match self {
            Self::OneWay { .. } | Self::Unheard { .. } | Self::RekeyRefused(_) => Some(Link::Esp),
            Self::BlackHole { .. } => Some(Link::Probe),
            Self::NoPrefix | Self::NoneTaken(_) => Some(Link::Routes),
            Self::NothingOffered | Self::Ceiling { .. } | Self::Replayed { .. } | Self::Damaged { .. } => {
                None
            }
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::OneWay { wire: Wire::Udp, .. } => ONE_WAY_UDP.to_owned(),
            Self::OneWay { wire: Wire::Esp, .. } => ONE_WAY_ESP.to_owned(),
            Self::Unheard { wire: Wire::Udp, .. } => UNHEARD_UDP.to_owned(),
            Self::Unheard { wire: Wire::Esp, .. } => UNHEARD_ESP.to_owned(),
            Self::RekeyRefused(_) => REKEY.to_owned(),
            Self::BlackHole { passes, .. } => {
                format!("set `mtu = {passes}` in the connection and reload, or widen the path")
            }
            Self::NoPrefix => NO_PREFIX.to_owned(),
            Self::NoneTaken(refused) => refused.remedy.to_owned(),
            Self::NothingOffered => NOTHING_OFFERED.to_owned(),
            Self::Ceiling { .. } => CEILING.to_owned(),
            Self::Replayed { .. } => REPLAYED.to_owned(),
            Self::Damaged { .. } => DAMAGED.to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneWay { packets, seconds, .. } => {
                write!(
                    f,
                    "IKE is answered and ESP is not: {packets} packets sent and none received for {seconds} s"
                )
            }
            Self::Unheard { echoes, .. } => {
                write!(
                    f,
                    "the peer's ESP arrives and ours does not: {echoes} echoes in vain, of a peer that answered them"
                )
            }
            Self::RekeyRefused(why) => {
                write!(f, "the peer refuses to rekey, and the tunnel ends with its lifetime: {why}")
            }
            Self::BlackHole { passes, mtu } => {
                write!(
                    f,
                    "packets of up to {passes} octets pass through the tunnel, those of its MTU {mtu} vanish"
                )
            }
            Self::NoPrefix => f.write_str("the session is established and the peer announces no prefix"),
            Self::NoneTaken(Refused { prefix, why, .. }) => {
                write!(f, "no prefix of the peer is taken: {prefix}: {why}")
            }
            Self::NothingOffered => f.write_str("no prefix of ours is announced: the cloud has no way back"),
            Self::Ceiling { unit, direction, rate, percent, ceiling } => {
                let does = match direction {
                    Direction::Sends => "sends",
                    Direction::Receives => "receives",
                };
                let [rate, limit] = [*rate, ceiling.limit].map(|value| Rate(*unit, value));
                write!(f, "{does} {rate}, {percent} % of the {limit} of {}", ceiling.of)
            }
            Self::Replayed { packets, of } => {
                write!(
                    f,
                    "{packets} of {of} packets of the last minute were dropped as seen before or too old"
                )
            }
            Self::Damaged { packets } => {
                write!(f, "{packets} packets of the last minute failed their integrity check")
            }
        }
    }
}

/// A rate with its unit.
struct Rate(Unit, u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Unit::Bits, bits) if *bits < GIGA => write!(f, "{} Mb/s", bits / (GIGA / 1000)),
            Self(Unit::Bits, bits) => write!(f, "{}.{:02} Gb/s", bits / GIGA, bits % GIGA / (GIGA / 100)),
            Self(Unit::Packets, packets) => write!(f, "{packets} packets/s"),
        }
    }
}

const GIGA: u64 = 1_000_000_000;

const ONE_WAY_UDP: &str = "let UDP 4500 pass both ways between the two outer addresses: something on the way lets IKE \
                           through and drops ESP in UDP (a firewall that inspects it, a filter at either end)";
const ONE_WAY_ESP: &str = "let IP protocol 50 (ESP) pass both ways between the two outer addresses, in firewalls and \
                           security groups, or set `encapsulation = \"udp\"`";
const UNHEARD_UDP: &str =
    "let UDP 4500 pass from our outer address to the peer's: what comes from there arrives";
const UNHEARD_ESP: &str = "let IP protocol 50 (ESP) pass from our outer address to the peer's, or set \
                           `encapsulation = \"udp\"`: what comes from there arrives";
const REKEY: &str = "make the PFS group of phase 2 the same at both ends: in the cloud console, or as the group at the end \
                     of each suite in `esp`";
const NO_PREFIX: &str =
    "in the cloud, attach the VPN to the network and let its routes propagate to this connection";
const NOTHING_OFFERED: &str =
    "name our prefixes as `advertise` below [gateway] or in the connection, then reload";
const CEILING: &str = "spread the flows over more tunnels (`ecmp`, further connections), or take a larger kind of tunnel; one \
                       flow uses one tunnel";
const REPLAYED: &str = "set a larger `replay_window`: the path reorders or duplicates packets";
const DAMAGED: &str =
    "see what on the way changes packets (a translator, a faulty link), or whether somebody forges them";
