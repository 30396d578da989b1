//! The wire format of IKEv2 (RFC 7296 §3, RFC 7383 §2.5): octets to meaning and back.
//!
//! Nothing here knows keys, state or policy. A parser is bounded by its payload, keeps what it does not know and
//! refuses what contradicts itself; which answer a refusal deserves is decided by the exchanges.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod error;
pub mod header;
pub mod iana;
pub mod limits;
pub mod message;
pub mod payload;
pub mod reader;
pub mod writer;

pub use error::{DecodeError, Flaw};
