//! Messages and their parts, written. Writing cannot fail: who writes keeps to [`super::header::MAX_MESSAGE`].

use super::header::HEADER;
use super::iana::MessageType;

/// A whole message around the body (RFC 4271 §4.1).
pub(super) fn message(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let length = HEADER.saturating_add(body.len());
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&length16(length));
    out.push(kind.0);
    out.extend_from_slice(body);
    out
}

/// Appends a block behind its 8-bit length.
pub(super) fn block8(out: &mut Vec<u8>, block: &[u8]) {
    out.push(length8(block.len()));
    out.extend_from_slice(block);
}

/// Appends a block behind its 16-bit length.
pub(super) fn block16(out: &mut Vec<u8>, block: &[u8]) {
    out.extend_from_slice(&length16(block.len()));
    out.extend_from_slice(block);
}

/// A length for an 8-bit field; what does not fit is the largest.
pub(super) fn length8(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// What every message begins with.
pub(super) const MARKER: [u8; 16] = [0xff; 16];
