//! What is wrong with a path attribute, and what it costs (RFC 7606).

use core::fmt;

use super::iana::{AttributeType, update_error};

/// What an error in an UPDATE costs, the least first (RFC 7606 §2). Where there are several, the dearest is paid (§3 h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handling {
    /// The attribute; the routes come without it.
    AttributeDiscard,
    /// The routes: they count as withdrawn.
    TreatAsWithdraw,
    /// The session: it is not certain which routes the UPDATE was about.
    SessionReset,
}

/// An error in a path attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Which attribute.
    pub attribute: AttributeType,
    /// What is wrong with it.
    pub what: What,
    /// What that costs.
    pub handling: Handling,
}

/// What can be wrong with a path attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// It ends behind the attributes' end, or begins too close to it (RFC 7606 §4).
    Overrun,
    /// It has come before in the same UPDATE (RFC 7606 §3 g).
    Repeated,
    /// The routes need it, and it is not there (RFC 7606 §3 d).
    Missing,
    /// It is marked well-known, and nobody knows it (RFC 4271 §6.3).
    Unrecognized,
    /// Its Optional or Transitive bit is not that of its specification (RFC 7606 §3 c).
    Flags,
    /// Its length is none that it can have.
    Length,
    /// Its value is none that it can have.
    Value,
    /// The prefixes or the next hop within do not fill it (RFC 7606 §5.3, §7.11).
    Network,
    /// The path does not begin with the peer's AS number (RFC 4271 §6.3).
    NotThePeer,
    /// It has no place in a session of this kind (RFC 7606 §7.5, RFC 6793 §4.1).
    Misplaced,
    /// It is about an address family that was not agreed on.
    Family,
}

impl What {
    /// The subcode of a NOTIFICATION that tells of it.
    pub(super) const fn subcode(self, attribute: AttributeType) -> u8 {
        match self {
            Self::Overrun | Self::Repeated | Self::Misplaced => update_error::ATTRIBUTE_LIST,
            Self::Missing => update_error::MISSING,
            Self::Unrecognized => update_error::UNRECOGNIZED,
            Self::Flags => update_error::FLAGS,
            Self::Length | Self::Value | Self::Network | Self::NotThePeer | Self::Family => match attribute {
                AttributeType::AS_PATH => update_error::AS_PATH,
                AttributeType::ORIGIN if matches!(self, Self::Value) => update_error::ORIGIN,
                AttributeType::NEXT_HOP if matches!(self, Self::Value) => update_error::NEXT_HOP,
                AttributeType::ORIGIN
                | AttributeType::NEXT_HOP
                | AttributeType::MULTI_EXIT_DISC
                | AttributeType::LOCAL_PREF => update_error::LENGTH,
                _ => update_error::OPTIONAL,
            },
        }
    }
}

/// `AS_PATH: a value that it cannot have; the routes count as withdrawn`.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.attribute, self.what, self.handling)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overrun => "longer than the attributes are",
            Self::Repeated => "more than once",
            Self::Missing => "missing",
            Self::Unrecognized => "well-known to nobody",
            Self::Flags => "flags that are not its own",
            Self::Length => "a length that it cannot have",
            Self::Value => "a value that it cannot have",
            Self::Network => "prefixes or a next hop that do not fill it",
            Self::NotThePeer => "not begun with the peer's AS number",
            Self::Misplaced => "out of place in this session",
            Self::Family => "an address family that was not agreed on",
        })
    }
}

impl fmt::Display for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttributeDiscard => "the attribute is discarded",
            Self::TreatAsWithdraw => "the routes count as withdrawn",
            Self::SessionReset => "the session is reset",
        })
    }
}
