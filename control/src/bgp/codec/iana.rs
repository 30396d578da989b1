//! The numbers of BGP as IANA's registries have them. Open newtypes: a number without a name here is a number all the same.

use core::fmt;

/// Type of a message (RFC 4271 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// OPEN.
    pub const OPEN: Self = Self(1);
    /// UPDATE.
    pub const UPDATE: Self = Self(2);
    /// NOTIFICATION.
    pub const NOTIFICATION: Self = Self(3);
    /// KEEPALIVE.
    pub const KEEPALIVE: Self = Self(4);
    /// ROUTE-REFRESH (RFC 2918).
    pub const ROUTE_REFRESH: Self = Self(5);
}

/// Type of a path attribute (RFC 4271 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u8);

impl AttributeType {
    /// ORIGIN.
    pub const ORIGIN: Self = Self(1);
    /// AS_PATH.
    pub const AS_PATH: Self = Self(2);
    /// NEXT_HOP.
    pub const NEXT_HOP: Self = Self(3);
    /// MULTI_EXIT_DISC.
    pub const MULTI_EXIT_DISC: Self = Self(4);
    /// LOCAL_PREF.
    pub const LOCAL_PREF: Self = Self(5);
    /// ATOMIC_AGGREGATE.
    pub const ATOMIC_AGGREGATE: Self = Self(6);
    /// AGGREGATOR.
    pub const AGGREGATOR: Self = Self(7);
    /// COMMUNITIES (RFC 1997).
    pub const COMMUNITIES: Self = Self(8);
    /// ORIGINATOR_ID (RFC 4456).
    pub const ORIGINATOR_ID: Self = Self(9);
    /// CLUSTER_LIST (RFC 4456).
    pub const CLUSTER_LIST: Self = Self(10);
    /// MP_REACH_NLRI (RFC 4760).
    pub const MP_REACH_NLRI: Self = Self(14);
    /// MP_UNREACH_NLRI (RFC 4760).
    pub const MP_UNREACH_NLRI: Self = Self(15);
    /// EXTENDED COMMUNITIES (RFC 4360).
    pub const EXTENDED_COMMUNITIES: Self = Self(16);
    /// AS4_PATH (RFC 6793).
    pub const AS4_PATH: Self = Self(17);
    /// AS4_AGGREGATOR (RFC 6793).
    pub const AS4_AGGREGATOR: Self = Self(18);
    /// LARGE_COMMUNITY (RFC 8092).
    pub const LARGE_COMMUNITY: Self = Self(32);

    /// The Optional and Transitive bits that its specification gives it; `None` for one without a name here.
    pub const fn flags(self) -> Option<u8> {
        match self {
            Self::ORIGIN | Self::AS_PATH | Self::NEXT_HOP | Self::LOCAL_PREF | Self::ATOMIC_AGGREGATE => {
                Some(TRANSITIVE)
            }
            Self::MULTI_EXIT_DISC
            | Self::ORIGINATOR_ID
            | Self::CLUSTER_LIST
            | Self::MP_REACH_NLRI
            | Self::MP_UNREACH_NLRI => Some(OPTIONAL),
            Self::AGGREGATOR
            | Self::COMMUNITIES
            | Self::EXTENDED_COMMUNITIES
            | Self::AS4_PATH
            | Self::AS4_AGGREGATOR
            | Self::LARGE_COMMUNITY => Some(OPTIONAL | TRANSITIVE),
            _ => None,
        }
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::ORIGIN => "ORIGIN",
            Self::AS_PATH => "AS_PATH",
            Self::NEXT_HOP => "NEXT_HOP",
            Self::MULTI_EXIT_DISC => "MULTI_EXIT_DISC",
            Self::LOCAL_PREF => "LOCAL_PREF",
            Self::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
            Self::AGGREGATOR => "AGGREGATOR",
            Self::COMMUNITIES => "COMMUNITIES",
            Self::ORIGINATOR_ID => "ORIGINATOR_ID",
            Self::CLUSTER_LIST => "CLUSTER_LIST",
            Self::MP_REACH_NLRI => "MP_REACH_NLRI",
            Self::MP_UNREACH_NLRI => "MP_UNREACH_NLRI",
            Self::EXTENDED_COMMUNITIES => "EXTENDED COMMUNITIES",
            Self::AS4_PATH => "AS4_PATH",
            Self::AS4_AGGREGATOR => "AS4_AGGREGATOR",
            Self::LARGE_COMMUNITY => "LARGE_COMMUNITY",
            Self(number) => return write!(f, "attribute {number}"),
        };
        f.write_str(name)
    }
}

/// Attribute flag: not every speaker knows it.
pub const OPTIONAL: u8 = 0x80;
/// Attribute flag: handed on by a speaker that does not know it.
pub const TRANSITIVE: u8 = 0x40;
/// Attribute flag: the length has two octets.
pub const EXTENDED_LENGTH: u8 = 0x10;

/// Code of a capability (RFC 5492).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapabilityCode(pub u8);

impl CapabilityCode {
    /// Multiprotocol extensions (RFC 4760).
    pub const MULTIPROTOCOL: Self = Self(1);
    /// Route refresh (RFC 2918).
    pub const ROUTE_REFRESH: Self = Self(2);
    /// Graceful restart (RFC 4724).
    pub const GRACEFUL_RESTART: Self = Self(64);
    /// Four-octet AS numbers (RFC 6793).
    pub const FOUR_OCTET_AS: Self = Self(65);
}

/// Error code of a NOTIFICATION (RFC 4271 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u8);

impl ErrorCode {
    /// Message Header Error.
    pub const HEADER: Self = Self(1);
    /// OPEN Message Error.
    pub const OPEN: Self = Self(2);
    /// UPDATE Message Error.
    pub const UPDATE: Self = Self(3);
    /// Hold Timer Expired.
    pub const HOLD_TIMER: Self = Self(4);
    /// Finite State Machine Error (subcodes: RFC 6608).
    pub const STATE_MACHINE: Self = Self(5);
    /// Cease (subcodes: RFC 4486).
    pub const CEASE: Self = Self(6);
}

/// Subcodes of [`ErrorCode::HEADER`].
pub mod header_error {
    /// Connection Not Synchronized.
    pub const NOT_SYNCHRONIZED: u8 = 1;
    /// Bad Message Length.
    pub const BAD_LENGTH: u8 = 2;
    /// Bad Message Type.
    pub const BAD_TYPE: u8 = 3;
}

/// Subcodes of [`ErrorCode::OPEN`].
pub mod open_error {
    /// Unspecific.
    pub const UNSPECIFIC: u8 = 0;
    /// Unsupported Version Number.
    pub const VERSION: u8 = 1;
    /// Bad Peer AS.
    pub const BAD_PEER_AS: u8 = 2;
    /// Bad BGP Identifier.
    pub const BAD_IDENTIFIER: u8 = 3;
    /// Unsupported Optional Parameter.
    pub const PARAMETER: u8 = 4;
    /// Unacceptable Hold Time.
    pub const HOLD_TIME: u8 = 6;
    /// Unsupported Capability (RFC 5492 §5).
    pub const CAPABILITY: u8 = 7;
}

/// Subcodes of [`ErrorCode::UPDATE`].
pub mod update_error {
    /// Malformed Attribute List.
    pub const ATTRIBUTE_LIST: u8 = 1;
    /// Unrecognized Well-known Attribute.
    pub const UNRECOGNIZED: u8 = 2;
    /// Missing Well-known Attribute.
    pub const MISSING: u8 = 3;
    /// Attribute Flags Error.
    pub const FLAGS: u8 = 4;
    /// Attribute Length Error.
    pub const LENGTH: u8 = 5;
    /// Invalid ORIGIN Attribute.
    pub const ORIGIN: u8 = 6;
    /// Invalid NEXT_HOP Attribute.
    pub const NEXT_HOP: u8 = 8;
    /// Optional Attribute Error.
    pub const OPTIONAL: u8 = 9;
    /// Invalid Network Field.
    pub const NETWORK: u8 = 10;
    /// Malformed AS_PATH.
    pub const AS_PATH: u8 = 11;
}

/// Subcodes of [`ErrorCode::STATE_MACHINE`] (RFC 6608).
pub mod state_error {
    /// Receive Unexpected Message in OpenSent State.
    pub const OPEN_SENT: u8 = 1;
    /// Receive Unexpected Message in OpenConfirm State.
    pub const OPEN_CONFIRM: u8 = 2;
    /// Receive Unexpected Message in Established State.
    pub const ESTABLISHED: u8 = 3;
}

/// Subcodes of [`ErrorCode::CEASE`] (RFC 4486, RFC 8538).
pub mod cease {
    /// Maximum Number of Prefixes Reached.
    pub const MAX_PREFIXES: u8 = 1;
    /// Administrative Shutdown.
    pub const SHUTDOWN: u8 = 2;
    /// Peer De-configured.
    pub const DECONFIGURED: u8 = 3;
    /// Administrative Reset.
    pub const RESET: u8 = 4;
    /// Connection Rejected.
    pub const REJECTED: u8 = 5;
    /// Other Configuration Change.
    pub const CONFIGURATION: u8 = 6;
    /// Connection Collision Resolution.
    pub const COLLISION: u8 = 7;
    /// Out of Resources.
    pub const RESOURCES: u8 = 8;
    /// Hard Reset (RFC 8538).
    pub const HARD_RESET: u8 = 9;
}

/// What stands for a four-octet AS number where only two fit (RFC 6793 §9).
pub const AS_TRANS: u16 = 23_456;
