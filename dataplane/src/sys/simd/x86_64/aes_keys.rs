//! The AES key schedule (FIPS 197 §5.2), with the S-box of AES-NI.

use core::arch::x86_64::{
    __m128i, _mm_aesimc_si128, _mm_aeskeygenassist_si128, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_set1_epi32,
    _mm_storeu_si128,
};

use zeroize::Zeroizing;

use super::AesNi;

/// The round keys of AES-128 or AES-256, in one direction.
pub struct RoundKeys {
    keys: Zeroizing<[RoundKey; MAX_ROUNDS + 1]>,
    rounds: usize,
}

impl RoundKeys {
    /// For encryption; `None` where `key` has neither 16 nor 32 octets.
    pub fn encrypting(_unit: AesNi, key: &[u8]) -> Option<Self> {
        let rounds = match key.len() {
            16 => 10,
            32 => MAX_ROUNDS,
            _ => return None,
        };
        let mut keys = Zeroizing::new([[0; 4]; MAX_ROUNDS + 1]);
        // SAFETY: `_unit` proves that the CPU has AES-NI.
        unsafe { expand(key, rounds, &mut keys) };
        Some(Self { keys, rounds })
    }

    /// For decryption, as the equivalent inverse cipher of FIPS 197 §5.3.5 wants them; `None` as above.
    pub fn decrypting(unit: AesNi, key: &[u8]) -> Option<Self> {
        let Self { mut keys, rounds } = Self::encrypting(unit, key)?;
        keys[..=rounds].reverse();
        for key in &mut keys[1..rounds] {
            // SAFETY: `unit` proves that the CPU has AES-NI.
            unsafe { invert(key) };
        }
        Some(Self { keys, rounds })
    }

    /// The number of rounds, 10 or 14.
    pub(super) const fn rounds(&self) -> usize {
        self.rounds
    }

    /// One key more than rounds, then zeroes.
    pub(super) fn keys(&self) -> &[RoundKey; MAX_ROUNDS + 1] {
        &self.keys
    }
}

#[target_feature(enable = "aes")]
fn expand(key: &[u8], rounds: usize, keys: &mut [RoundKey; MAX_ROUNDS + 1]) {
    let words = keys.as_flattened_mut();
    let key_words = key.len() / 4;
    for (word, octets) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }
    let mut round_constant = 1_u8;
    for place in key_words..4 * (rounds + 1) {
        let mut word = words[place - 1];
        if place % key_words == 0 {
            // Words are little-endian here: FIPS 197's RotWord moves the lowest octet to the top.
            word = substitute(word).rotate_right(8) ^ u32::from(round_constant);
            round_constant = (round_constant << 1) ^ (0x1b * (round_constant >> 7));
        } else if key_words == 8 && place % key_words == 4 {
            word = substitute(word);
        }
        words[place] = words[place - key_words] ^ word;
    }
}

/// SubWord: the S-box, octet by octet, without a table whose cache lines would tell the key.
#[inline]
#[target_feature(enable = "aes")]
fn substitute(word: u32) -> u32 {
    let assisted = _mm_aeskeygenassist_si128::<0>(_mm_set1_epi32(word.cast_signed()));
    _mm_cvtsi128_si32(assisted).cast_unsigned()
}

#[target_feature(enable = "aes")]
fn invert(key: &mut RoundKey) {
    let inverted = _mm_aesimc_si128(load(key));
    // SAFETY: 16 octets are writable behind the reference, and the store needs no alignment.
    unsafe { _mm_storeu_si128(key.as_mut_ptr().cast(), inverted) };
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn load(key: &RoundKey) -> __m128i {
    // SAFETY: 16 octets are readable behind the reference, and the load needs no alignment.
    unsafe { _mm_loadu_si128(key.as_ptr().cast()) }
}

/// Four words, little-endian.
pub(super) type RoundKey = [u32; 4];

/// Rounds of AES-256.
pub(super) const MAX_ROUNDS: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;

    /// The last round keys of FIPS 197 appendices A.1 and A.3.
    #[test]
    fn keys_expand_as_in_fips_197_appendix_a() {
        let Some(unit) = AesNi::detect() else { return };
        let key: Vec<u8> = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes().into();
        let keys = RoundKeys::encrypting(unit, &key).unwrap();
        assert_eq!(keys.rounds(), 10);
        assert_eq!(big_endian(keys.keys()[10]), 0xd014_f9a8_c9ee_2589_e13f_0cc8_b663_0ca6);
        assert_eq!(big_endian(keys.keys()[11]), 0);

        let high = 0x603d_eb10_15ca_71be_2b73_aef0_857d_7781_u128;
        let low = 0x1f35_2c07_3b61_08d7_2d98_10a3_0914_dff4_u128;
        let key = [high.to_be_bytes(), low.to_be_bytes()].concat();
        let keys = RoundKeys::encrypting(unit, &key).unwrap();
        assert_eq!(keys.rounds(), 14);
        assert_eq!(big_endian(keys.keys()[14]), 0xfe48_90d1_e618_8d0b_046d_f344_706c_631e);
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let Some(unit) = AesNi::detect() else { return };
        for len in (0..64).filter(|len| ![16, 32].contains(len)) {
            assert!(RoundKeys::encrypting(unit, &vec![0; len]).is_none());
        }
    }

    fn big_endian(key: RoundKey) -> u128 {
        key.iter().fold(0, |all, word| all << 32 | u128::from(word.swap_bytes()))
    }
}
