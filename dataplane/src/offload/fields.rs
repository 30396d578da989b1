//! Where the fields of IP (RFC 791, RFC 8200), TCP (RFC 9293) and UDP (RFC 768) headers are, and reading and writing them.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use core::ops::Range;

/// The big-endian word at `place`.
#[inline]
pub(super) fn word(octets: &[u8], place: usize) -> Option<u16> {
    octets.get(place..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// Writes `value` at `place`.
#[inline]
pub(super) fn put<const N: usize>(octets: &mut [u8], place: usize, value: [u8; N]) -> Option<()> {
    *octets.get_mut(place..)?.first_chunk_mut()? = value;
    Some(())
}

// Octets of the headers without options.
pub(super) const V4_HEADER: usize = 20;
pub(super) const TCP_HEADER: usize = 20;
pub(super) const UDP_HEADER: usize = 8;

// Places in the IPv4 header.
pub(super) const V4_LEN: usize = 2;
pub(super) const V4_ID: usize = 4;
pub(super) const V4_SUM: usize = 10;
/// Both addresses.
pub(super) const V4_ADDRESSES: Range<usize> = 12..20;

// Places in the IPv6 header.
pub(super) const V6_LEN: usize = 4;
/// Both addresses.
pub(super) const V6_ADDRESSES: Range<usize> = 8..40;

// Places in the TCP header.
pub(super) const TCP_SEQ: usize = 4;
pub(super) const TCP_OFFSET: usize = 12;
pub(super) const TCP_FLAGS: usize = 13;
pub(super) const TCP_SUM: usize = 16;

// Places in the UDP header.
pub(super) const UDP_LEN: usize = 4;
pub(super) const UDP_SUM: usize = 6;

// Flags of TCP.
pub(super) const FIN: u8 = 0x01;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const ECE: u8 = 0x40;
/// Congestion window reduced (RFC 3168 §6.1.2).
pub(super) const CWR: u8 = 0x80;
