//! SHA-512 and SHA-384 (FIPS 180-4) over eight messages at once with AVX-512: a register holds one word of each.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_mask_add_epi64, _mm512_ror_epi64, _mm512_set1_epi64, _mm512_set4_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_srli_epi64, _mm512_ternarylogic_epi64,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use super::sha2_constants::SHA512;
use super::sha2_wide::{load, load_rows, sha2_rounds, store, transpose_quarters};
use crate::simd::Sha2;

/// AVX-512, for SHA-384 and SHA-512.
#[derive(Clone, Copy, Debug)]
pub struct Sha512x8(());

impl Sha512x8 {
    /// The unit, where the CPU has it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(Self(()))
    }
}

impl Sha2<u64, LANES, 128> for Sha512x8 {
    fn update(self, states: &mut [[u64; LANES]; 8], lanes: &[&[[u8; 128]]; LANES]) {
        // SAFETY: a value of this type exists only where `detect` found the features.
        unsafe { update(states, lanes) }
    }

    fn update_words(self, states: &mut [[u64; LANES]; 8], block: &[[u64; LANES]; 16]) {
        // SAFETY: as above.
        unsafe { update_words(states, block) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn update(states: &mut [[u64; LANES]; 8], lanes: &[&[[u8; 128]]; LANES]) {
    let mut state = load_rows(states);
    let longest = lanes.iter().map(|lane| lane.len()).max().unwrap_or(0);
    for place in 0..longest {
        let mut halves = [[_mm512_setzero_si512(); LANES]; 2];
        let mut active = 0_u8;
        for (lane, blocks) in lanes.iter().enumerate() {
            if let Some(block) = blocks.get(place)
                && let [first, second] = block.as_chunks::<64>().0
            {
                halves[0][lane] = load(first);
                halves[1][lane] = load(second);
                active |= 1 << lane;
            }
        }
        let next = compress(state, &mut words(&halves));
        for (state, next) in state.iter_mut().zip(next) {
            *state = _mm512_mask_add_epi64(*state, active, *state, next);
        }
    }
    for (row, state) in states.iter_mut().zip(state) {
        store(row, state);
    }
}

#[target_feature(enable = "avx512f")]
fn update_words(states: &mut [[u64; LANES]; 8], block: &[[u64; LANES]; 16]) {
    let state = load_rows(states);
    let next = compress(state, &mut load_rows(block));
    for (row, (state, next)) in states.iter_mut().zip(state.into_iter().zip(next)) {
        store(row, _mm512_add_epi64(state, next));
    }
}

/// From the halves of one block of each lane to one word of each lane a register, in the CPU's order of octets.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(halves: &[[__m512i; LANES]; 2]) -> [__m512i; 16] {
    let swap = _mm512_set4_epi32(0x0809_0a0b, 0x0c0d_0e0f, 0x0001_0203, 0x0405_0607);
    let mut words = [_mm512_setzero_si512(); 16];
    for (words, half) in words.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
        // In the quarter k of `even[p]` word 2k of the lanes 2p and 2p + 1, in that of `odd[p]` word 2k + 1.
        let mut even = [_mm512_setzero_si512(); 4];
        let mut odd = [_mm512_setzero_si512(); 4];
        for (p, [a, b]) in half.as_chunks().0.iter().enumerate() {
            let [a, b] = [_mm512_shuffle_epi8(*a, swap), _mm512_shuffle_epi8(*b, swap)];
            even[p] = _mm512_unpacklo_epi64(a, b);
            odd[p] = _mm512_unpackhi_epi64(a, b);
        }
        [words[0], words[2], words[4], words[6]] = transpose_quarters(even);
        [words[1], words[3], words[5], words[7]] = transpose_quarters(odd);
    }
    words
}

sha2_rounds! {
    u64, constants: SHA512, add: _mm512_add_epi64, set1: _mm512_set1_epi64, ror: _mm512_ror_epi64,
    shr: _mm512_srli_epi64,
    big_sigma: [28, 34, 39], [14, 18, 41],
    small_sigma: [1, 8, 7], [19, 61, 6],
}

const LANES: usize = 8;
