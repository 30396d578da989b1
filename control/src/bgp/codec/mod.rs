//! The wire format of BGP-4: octets to meaning and back (RFC 4271 §4, RFC 2918, RFC 4760, RFC 5492, RFC 6793, RFC 9072).
//!
//! Pure, and without a session's state: what a parser has to know of it is a [`Session`]. An error is the NOTIFICATION
//! that the sender deserves (RFC 4271 §6); of an UPDATE only what leaves no way to know its prefixes is one, and the
//! rest costs an attribute or the routes (RFC 7606), as [`flaw`] says.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod announce;
mod as_path;
mod attributes;
pub mod capability;
pub mod family;
pub mod flaw;
pub mod header;
pub mod iana;
mod nlri;
pub mod notification;
pub mod open;
mod reader;
pub mod refresh;
#[cfg(test)]
mod tests;
pub mod update;
mod writer;

pub use self::family::{Families, Family};
pub use self::header::Frame;
pub use self::notification::Notification;
pub use self::open::Open;
pub use self::refresh::RouteRefresh;
pub use self::update::Update;

/// What the two OPENs agreed on, as far as the form of an UPDATE depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The peer's AS number.
    pub peer_asn: u32,
    /// The peer is of another AS.
    pub external: bool,
    /// AS numbers have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// Address families that both ends speak.
    pub families: Families,
}
