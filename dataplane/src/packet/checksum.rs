//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

/// One's complement sum of `data` on top of `sum`, not folded. `data` of odd length counts as padded with a zero.
pub fn add(sum: u32, data: &[u8]) -> u32 {
    let (words, odd) = data.as_chunks::<2>();
    let words = words.iter().fold(u64::from(sum), |s, w| s.wrapping_add(u64::from(u16::from_be_bytes(*w))));
    let total = odd.first().map_or(words, |last| words.wrapping_add(u64::from(*last) << 8));
    u32::from(fold64(total))
}

/// Copies `from` to `to`, which is as long, and returns the sum of what was copied.
pub fn copy(to: &mut [u8], from: &[u8]) -> u32 {
    to.copy_from_slice(from);
    add(0, from)
}

/// The checksum of what was summed.
pub fn finish(sum: u32) -> u16 {
    !fold64(u64::from(sum))
}

/// `checksum` after one 16-bit word that it covers went from `old` to `new` (RFC 1624 §3, equation 3).
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u64::from(!checksum).wrapping_add(u64::from(!old)).wrapping_add(u64::from(new));
    !fold64(sum)
}

#[expect(clippy::cast_possible_truncation, reason = "the loop ends below 2^16")]
fn fold64(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_1071_holds() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(finish(add(0, &data)), !0xddf2);
    }

    proptest! {
        #[test]
        fn an_incremental_update_equals_a_new_sum(mut data in proptest::collection::vec(1u8.., 2..64), new: u16) {
            let before = finish(add(0, &data));
            let old = u16::from_be_bytes([data[0], data[1]]);
            data[..2].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update(before, old, new), finish(add(0, &data)));
        }
    }
}
