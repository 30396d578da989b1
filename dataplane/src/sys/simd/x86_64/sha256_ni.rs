//! SHA-256 (FIPS 180-4) over two messages at once with SHA-NI, whose round instruction takes four cycles and can start
//! every second.
//!
//! Its instructions have no VEX form. Where the upper halves of registers are dirty, each of them waits for those too, and some CPUs
//! (Sapphire Rapids) take fifty times as long: what surrounds them here is compiled without AVX, which would move octets through
//! whole registers, and the halves are cleared before.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_loadu_si128, _mm_set_epi64x, _mm_setzero_si128,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_storeu_si128, _mm256_zeroupper,
};

use super::sha2_constants::SHA256;
use crate::simd::Sha2;

/// SHA-NI.
#[derive(Clone, Copy, Debug)]
pub struct Sha256Ni(());

impl Sha256Ni {
    /// The unit, where the CPU has it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("avx"))
        .then_some(Self(()))
    }
}

impl Sha2<u32, LANES, 64> for Sha256Ni {
    fn update(self, states: &mut [[u32; LANES]; 8], lanes: &[&[[u8; 64]]; LANES]) {
        // SAFETY: a value of this type exists only where `detect` found the features.
        unsafe {
            clear_upper_halves();
            update(states, *lanes);
        }
    }

    fn update_words(self, states: &mut [[u32; LANES]; 8], block: &[[u32; LANES]; 16]) {
        let mut blocks = [[[0; 64]; 1]; LANES];
        for (lane, [octets]) in blocks.iter_mut().enumerate() {
            for (octets, row) in octets.as_chunks_mut().0.iter_mut().zip(block) {
                *octets = row[lane].to_be_bytes();
            }
        }
        let [first, second] = &blocks;
        self.update(states, &[first, second]);
    }
}

/// Of all vector registers.
#[target_feature(enable = "avx")]
fn clear_upper_halves() {
    _mm256_zeroupper();
}

// Not to become part of a function that has AVX.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1")]
fn update(states: &mut [[u32; LANES]; 8], [first, second]: [&[[u8; 64]]; LANES]) {
    let mut state = [load_state(states, 0), load_state(states, 1)];
    let mut pairs = first.iter().zip(second);
    for (first, second) in &mut pairs {
        state = compress(state, [first, second]);
    }
    let done = first.len().min(second.len());
    for block in &first[done..] {
        [state[0]] = compress([state[0]], [block]);
    }
    for block in &second[done..] {
        [state[1]] = compress([state[1]], [block]);
    }
    store_state(states, 0, state[0]);
    store_state(states, 1, state[1]);
}

/// One block of each of `N` messages.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn compress<const N: usize>(state: [State; N], blocks: [&[u8; 64]; N]) -> [State; N] {
    let mut next = state;
    let mut w = [[_mm_setzero_si128(); 4]; N];
    for (w, block) in w.iter_mut().zip(blocks) {
        for (w, octets) in w.iter_mut().zip(block.as_chunks().0) {
            *w = load_words(octets);
        }
    }
    let (fours, _) = SHA256.as_chunks::<4>();
    let (extending, last) = fours.split_at(12);
    for constants in extending.as_chunks::<4>().0 {
        for t in 0..4 {
            four_rounds(&mut next, &w, t, &constants[t]);
            for w in &mut w {
                w[t] = extended(w, t);
            }
        }
    }
    for (t, constants) in last.iter().enumerate() {
        four_rounds(&mut next, &w, t, constants);
    }
    for (next, old) in next.iter_mut().zip(state) {
        *next = State { abef: _mm_add_epi32(next.abef, old.abef), cdgh: _mm_add_epi32(next.cdgh, old.cdgh) };
    }
    next
}

/// The rounds of the words `t` of each message.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn four_rounds<const N: usize>(
    state: &mut [State; N],
    w: &[[__m128i; 4]; N],
    t: usize,
    constants: &[u32; 4],
) {
    let mut keyed = [_mm_setzero_si128(); N];
    for ((keyed, w), state) in keyed.iter_mut().zip(w).zip(&mut *state) {
        *keyed = _mm_add_epi32(w[t], load_constants(constants));
        state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, *keyed);
    }
    for (keyed, state) in keyed.iter().zip(state) {
        state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32::<0x0e>(*keyed));
    }
}

/// The four words sixteen on from the words `t`.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn extended(w: &[__m128i; 4], t: usize) -> __m128i {
    let [w_0, w_4, w_8, w_12] = [w[t], w[(t + 1) % 4], w[(t + 2) % 4], w[(t + 3) % 4]];
    let w_9 = _mm_alignr_epi8::<4>(w_12, w_8);
    _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w_0, w_4), w_9), w_12)
}

/// A state in the order that the instructions want.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn load_state(states: &[[u32; LANES]; 8], lane: usize) -> State {
    let words = ORDER.map(|places| places.map(|place| i64::from(states[place][lane])));
    let [abef, cdgh] = words.map(|[w3, w2, w1, w0]| _mm_set_epi64x(w3 << 32 | w2, w1 << 32 | w0));
    State { abef, cdgh }
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn store_state(states: &mut [[u32; LANES]; 8], lane: usize, state: State) {
    for (places, register) in ORDER.iter().zip([state.abef, state.cdgh]) {
        let mut words = [0; 4];
        // SAFETY: 16 octets are writable behind the reference, and the store needs no alignment.
        unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), register) };
        for (place, word) in places.iter().rev().zip(words) {
            states[*place][lane] = word;
        }
    }
}

/// The words in the registers of [`State`], the highest first.
const ORDER: [[usize; 4]; 2] = [[0, 1, 4, 5], [2, 3, 6, 7]];

/// Four words in the CPU's order of octets.
#[inline]
#[target_feature(enable = "sse4.1")]
fn load_words(octets: &[u8; 16]) -> __m128i {
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    // SAFETY: 16 octets are readable behind the reference, and the load needs no alignment.
    let words = unsafe { _mm_loadu_si128(octets.as_ptr().cast()) };
    _mm_shuffle_epi8(words, swap)
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn load_constants(constants: &[u32; 4]) -> __m128i {
    // SAFETY: 16 octets are readable behind the reference, and the load needs no alignment.
    unsafe { _mm_loadu_si128(constants.as_ptr().cast()) }
}

const LANES: usize = 2;
