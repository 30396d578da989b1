//! Why a message could not be read.

use super::iana::PayloadType;

/// A message that cannot be read. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer octets than an IKE header has.
    #[error("{0} octets are too few for an IKE header")]
    Runt(usize),
    /// The header's length is not the datagram's.
    #[error("the header says {header} octets, the datagram has {datagram}")]
    Length {
        /// What the header says.
        header: u32,
        /// What arrived.
        datagram: usize,
    },
    /// A major version other than 2 (RFC 7296 §2.5).
    #[error("major version {0} is not 2")]
    MajorVersion(u8),
    /// A payload that we do not know and must not skip (RFC 7296 §2.5).
    #[error("unknown payload {0} with the critical bit")]
    UnsupportedCritical(PayloadType),
    /// More payloads than [`super::limits::MAX_PAYLOADS`].
    #[error("more payloads than any exchange has")]
    TooManyPayloads,
    /// Octets behind the last payload.
    #[error("{0} octets behind the last payload")]
    Trailing(usize),
    /// An SK or SKF payload that is not the last, or that is inside another (RFC 7296 §3.14, RFC 7383 §2.5).
    #[error("{0} payload is not the last")]
    NotLast(PayloadType),
    /// A payload that may be there once is there twice.
    #[error("{0} payload is there twice")]
    Repeated(PayloadType),
    /// A payload that contradicts itself or its section of RFC 7296.
    #[error("{payload} payload: {flaw}")]
    Malformed {
        /// Which.
        payload: PayloadType,
        /// What is wrong with it.
        flaw: Flaw,
    },
}

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A field reaches beyond the payload, or the payload beyond the message.
    #[error("ends too early")]
    Truncated,
    /// A length field is shorter than the structure's own header.
    #[error("a length is shorter than its header")]
    LengthTooSmall,
    /// Octets behind the last structure.
    #[error("octets behind the last structure")]
    Trailing,
    /// The counts or last-structure marks do not agree with what is there.
    #[error("counts do not agree with the contents")]
    Count,
    /// No structure where at least one must be.
    #[error("is empty")]
    Empty,
    /// More structures than [`super::limits`] permits.
    #[error("holds more than any peer needs")]
    TooMany,
    /// A length that the section does not permit (SPI, nonce, address).
    #[error("a field of {0} octets")]
    FieldLength(usize),
    /// A range whose start is behind its end.
    #[error("a range starts behind its end")]
    Range,
    /// A fragment numbered 0 or above the total.
    #[error("fragment {number} of {total}")]
    Fragment {
        /// Fragment Number.
        number: u16,
        /// Total Fragments.
        total: u16,
    },
}
