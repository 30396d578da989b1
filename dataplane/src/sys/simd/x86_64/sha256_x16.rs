//! SHA-256 (FIPS 180-4) over sixteen messages at once with AVX-512: a register holds one word of each.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_mask_add_epi32, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_set4_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_srli_epi32, _mm512_ternarylogic_epi64,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::sha2_constants::SHA256;
use super::sha2_wide::{load, load_rows, sha2_rounds, store, transpose_quarters};
use crate::simd::Sha2;

/// AVX-512, for SHA-256.
#[derive(Clone, Copy, Debug)]
pub struct Sha256x16(());

impl Sha256x16 {
    /// The unit, where the CPU has it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(Self(()))
    }
}

impl Sha2<u32, LANES, 64> for Sha256x16 {
    fn update(self, states: &mut [[u32; LANES]; 8], lanes: &[&[[u8; 64]]; LANES]) {
        // SAFETY: a value of this type exists only where `detect` found the features.
        unsafe { update(states, lanes) }
    }

    fn update_words(self, states: &mut [[u32; LANES]; 8], block: &[[u32; LANES]; 16]) {
        // SAFETY: as above.
        unsafe { update_words(states, block) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn update(states: &mut [[u32; LANES]; 8], lanes: &[&[[u8; 64]]; LANES]) {
    let mut state = load_rows(states);
    let longest = lanes.iter().map(|lane| lane.len()).max().unwrap_or(0);
    for place in 0..longest {
        let mut rows = [_mm512_setzero_si512(); LANES];
        let mut active = 0_u16;
        for (lane, (row, blocks)) in rows.iter_mut().zip(lanes).enumerate() {
            if let Some(block) = blocks.get(place) {
                *row = load(block);
                active |= 1 << lane;
            }
        }
        let next = compress(state, &mut words(&rows));
        for (state, next) in state.iter_mut().zip(next) {
            *state = _mm512_mask_add_epi32(*state, active, *state, next);
        }
    }
    for (row, state) in states.iter_mut().zip(state) {
        store(row, state);
    }
}

#[target_feature(enable = "avx512f")]
fn update_words(states: &mut [[u32; LANES]; 8], block: &[[u32; LANES]; 16]) {
    let state = load_rows(states);
    let next = compress(state, &mut load_rows(block));
    for (row, (state, next)) in states.iter_mut().zip(state.into_iter().zip(next)) {
        store(row, _mm512_add_epi32(state, next));
    }
}

/// From one block of each lane to one word of each lane a register, in the CPU's order of octets.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(blocks: &[__m512i; LANES]) -> [__m512i; 16] {
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    // `quarters[j][q]`: in its quarter k word 4k + j of the lanes 4q to 4q + 3.
    let mut quarters = [[_mm512_setzero_si512(); 4]; 4];
    for (q, [a, b, c, d]) in blocks.as_chunks().0.iter().enumerate() {
        let [a, b] = [_mm512_shuffle_epi8(*a, swap), _mm512_shuffle_epi8(*b, swap)];
        let [c, d] = [_mm512_shuffle_epi8(*c, swap), _mm512_shuffle_epi8(*d, swap)];
        let (low_ab, high_ab) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (low_cd, high_cd) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        quarters[0][q] = _mm512_unpacklo_epi64(low_ab, low_cd);
        quarters[1][q] = _mm512_unpackhi_epi64(low_ab, low_cd);
        quarters[2][q] = _mm512_unpacklo_epi64(high_ab, high_cd);
        quarters[3][q] = _mm512_unpackhi_epi64(high_ab, high_cd);
    }
    let mut words = [_mm512_setzero_si512(); 16];
    for (j, quarters) in quarters.into_iter().enumerate() {
        [words[j], words[4 + j], words[8 + j], words[12 + j]] = transpose_quarters(quarters);
    }
    words
}

sha2_rounds! {
    u32, constants: SHA256, add: _mm512_add_epi32, set1: _mm512_set1_epi32, ror: _mm512_ror_epi32,
    shr: _mm512_srli_epi32,
    big_sigma: [2, 13, 22], [6, 11, 25],
    small_sigma: [7, 18, 3], [17, 19, 10],
}

const LANES: usize = 16;
