//! AES-CBC encryption with AES-NI. CBC chains the blocks of a message, so the unit stays busy only with several messages:
//! an AES round takes four cycles, and two may start in each.

use core::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_loadu_si128, _mm_setzero_si128, _mm_storeu_si128,
    _mm_xor_si128,
};

use super::aes_keys::{MAX_ROUNDS, RoundKey, RoundKeys, load};
use crate::simd::Block;

/// AES-NI.
#[derive(Clone, Copy, Debug)]
pub struct AesNi(());

impl AesNi {
    /// The unit, where the CPU has it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("aes") && is_x86_feature_detected!("avx")).then_some(Self(()))
    }

    /// Encrypts in each of `lanes` as many blocks as the shortest has, each behind its block of `chain`: its IV, and
    /// afterwards the last block encrypted.
    pub fn cbc_encrypt<const LANES: usize>(
        self,
        keys: &RoundKeys,
        chain: &mut [Block; LANES],
        lanes: &mut [&mut [Block]; LANES],
    ) {
        // SAFETY: a value of this type exists only where `detect` found AES-NI and AVX.
        unsafe {
            match keys.rounds() {
                10 => encrypt::<10, LANES>(keys.keys(), chain, lanes),
                _ => encrypt::<MAX_ROUNDS, LANES>(keys.keys(), chain, lanes),
            }
        }
    }
}

#[target_feature(enable = "aes,avx")]
fn encrypt<const ROUNDS: usize, const LANES: usize>(
    keys: &[RoundKey; MAX_ROUNDS + 1],
    chain: &mut [Block; LANES],
    lanes: &mut [&mut [Block]; LANES],
) {
    let mut key = [_mm_setzero_si128(); MAX_ROUNDS + 1];
    for (key, octets) in key.iter_mut().zip(keys) {
        *key = load(octets);
    }
    let mut state = [_mm_setzero_si128(); LANES];
    for (state, iv) in state.iter_mut().zip(&*chain) {
        *state = load_block(iv);
    }
    let blocks = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
    for place in 0..blocks {
        for (state, lane) in state.iter_mut().zip(&*lanes) {
            *state = _mm_xor_si128(*state, _mm_xor_si128(load_block(&lane[place]), key[0]));
        }
        for key in &key[1..ROUNDS] {
            for state in &mut state {
                *state = _mm_aesenc_si128(*state, *key);
            }
        }
        for (state, lane) in state.iter_mut().zip(&mut *lanes) {
            *state = _mm_aesenclast_si128(*state, key[ROUNDS]);
            store_block(&mut lane[place], *state);
        }
    }
    for (state, chain) in state.iter().zip(chain) {
        store_block(chain, *state);
    }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn load_block(block: &Block) -> __m128i {
    // SAFETY: 16 octets are readable behind the reference, and the load needs no alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn store_block(block: &mut Block, value: __m128i) {
    // SAFETY: 16 octets are writable behind the reference, and the store needs no alignment.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) };
}
