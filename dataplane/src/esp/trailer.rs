//! The ESP trailer: padding, pad length and next header (RFC 4303 §2.4-2.6).

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::drop_reason::DropReason;
use crate::packet::ip::IpVersion;

/// Octets of pad length and next header.
pub const LEN: usize = 2;

/// Next header of an inner IPv4 packet.
pub const IPV4: u8 = 4;
/// Next header of an inner IPv6 packet.
pub const IPV6: u8 = 41;
/// Next header of a dummy packet, to be discarded (RFC 4303 §2.6).
pub const NONE: u8 = 59;

/// The next header of an inner packet of `version`.
pub const fn next_header(version: IpVersion) -> u8 {
    match version {
        IpVersion::V4 => IPV4,
        IpVersion::V6 => IPV6,
    }
}

/// Writes padding and trailer over all of `into`, which has the room for at most 255 octets of padding.
#[inline]
pub fn emit(into: &mut [u8], next_header: u8) {
    let Some((padding, trailer)) = into.split_last_chunk_mut::<LEN>() else { return };
    let mut count = 0u8;
    for octet in padding {
        count = count.wrapping_add(1);
        *octet = count;
    }
    *trailer = [count, next_header];
}

/// Checks padding and trailer at the end of `plaintext`; returns the octets of payload before them, and the next header.
#[inline]
pub fn strip(plaintext: &[u8]) -> Result<(usize, u8), DropReason> {
    let (rest, [pad_len, next_header]) = plaintext.split_last_chunk::<LEN>().ok_or(DropReason::Runt)?;
    let payload_len = rest.len().checked_sub(usize::from(*pad_len)).ok_or(DropReason::Padding)?;
    let padding = rest.get(payload_len..).ok_or(DropReason::Padding)?;
    if padding.iter().zip(1u8..=255).any(|(octet, expected)| *octet != expected) {
        return Err(DropReason::Padding);
    }
    Ok((payload_len, *next_header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_counts_from_one_and_is_checked() {
        let mut plaintext = *b"inner.......";
        emit(&mut plaintext[5..], IPV4);
        assert_eq!(plaintext, *b"inner\x01\x02\x03\x04\x05\x05\x04");
        assert_eq!(strip(&plaintext), Ok((5, IPV4)));
        plaintext[6] = 9;
        assert_eq!(strip(&plaintext), Err(DropReason::Padding));
        assert_eq!(strip(&[1, 2, 3, 4]), Err(DropReason::Padding));
        assert_eq!(strip(&[1]), Err(DropReason::Runt));
        assert_eq!(strip(&[0, NONE]), Ok((0, NONE)));
    }

    #[test]
    fn the_longest_padding_is_255_octets() {
        let mut plaintext = [0; 257];
        emit(&mut plaintext, IPV6);
        assert_eq!(strip(&plaintext), Ok((0, IPV6)));
    }
}
