//! AES-CBC with VAES on 512-bit registers: four blocks in each, from four messages to encrypt, in a row to decrypt.

use core::arch::x86_64::{
    __m128i, __m512i, _mm512_aesdec_epi128, _mm512_aesdeclast_epi128, _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128, _mm512_alignr_epi64, _mm512_broadcast_i32x4, _mm512_castsi128_si512,
    _mm512_extracti32x4_epi32, _mm512_inserti32x4, _mm512_loadu_si512, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use super::aes_keys::{MAX_ROUNDS, RoundKey, RoundKeys, load};
use super::aes_ni::{AesNi, load_block, store_block};
use crate::simd::Block;

/// VAES with AVX-512.
#[derive(Clone, Copy, Debug)]
pub struct Vaes(AesNi);

impl Vaes {
    /// The unit, where the CPU has it.
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx512f");
        AesNi::detect().filter(|_| found).map(Self)
    }

    /// The narrower unit, which each CPU with this one has.
    pub const fn aes_ni(self) -> AesNi {
        self.0
    }

    /// Encrypts in each of `lanes`, four to a register, as many blocks as the shortest has, each behind its block of
    /// `chain`: its IV, and afterwards the last block encrypted.
    pub fn cbc_encrypt<const QUADS: usize, const LANES: usize>(
        self,
        keys: &RoundKeys,
        chain: &mut [Block; LANES],
        lanes: &mut [&mut [Block]; LANES],
    ) {
        const { assert!(LANES == 4 * QUADS) };
        // SAFETY: a value of this type exists only where `detect` found VAES and AVX-512.
        unsafe {
            match keys.rounds() {
                10 => encrypt::<10, QUADS, LANES>(keys.keys(), chain, lanes),
                _ => encrypt::<MAX_ROUNDS, QUADS, LANES>(keys.keys(), chain, lanes),
            }
        }
    }

    /// Decrypts one message. `keys` are for decryption.
    pub fn cbc_decrypt(self, keys: &RoundKeys, iv: &Block, blocks: &mut [Block]) {
        // SAFETY: a value of this type exists only where `detect` found VAES and AVX-512.
        unsafe {
            match keys.rounds() {
                10 => decrypt::<10>(keys.keys(), iv, blocks),
                _ => decrypt::<MAX_ROUNDS>(keys.keys(), iv, blocks),
            }
        }
    }
}

#[target_feature(enable = "aes,vaes,avx512f")]
fn encrypt<const ROUNDS: usize, const QUADS: usize, const LANES: usize>(
    keys: &[RoundKey; MAX_ROUNDS + 1],
    chain: &mut [Block; LANES],
    lanes: &mut [&mut [Block]; LANES],
) {
    let key = broadcast(keys);
    let mut state = [_mm512_setzero_si512(); QUADS];
    for (state, [a, b, c, d]) in state.iter_mut().zip(chain.as_chunks().0) {
        *state = gather([a, b, c, d]);
    }
    let blocks = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
    for place in 0..blocks {
        for (state, [a, b, c, d]) in state.iter_mut().zip(lanes.as_chunks().0) {
            let plain = gather([&a[place], &b[place], &c[place], &d[place]]);
            *state = _mm512_xor_si512(*state, _mm512_xor_si512(plain, key[0]));
        }
        for key in &key[1..ROUNDS] {
            for state in &mut state {
                *state = _mm512_aesenc_epi128(*state, *key);
            }
        }
        for (state, [a, b, c, d]) in state.iter_mut().zip(lanes.as_chunks_mut().0) {
            *state = _mm512_aesenclast_epi128(*state, key[ROUNDS]);
            scatter(*state, [&mut a[place], &mut b[place], &mut c[place], &mut d[place]]);
        }
    }
    for (state, [a, b, c, d]) in state.iter().zip(chain.as_chunks_mut().0) {
        scatter(*state, [a, b, c, d]);
    }
}

#[target_feature(enable = "aes,vaes,avx512f")]
fn decrypt<const ROUNDS: usize>(keys: &[RoundKey; MAX_ROUNDS + 1], iv: &Block, blocks: &mut [Block]) {
    let key = broadcast(keys);
    let mut before = _mm512_broadcast_i32x4(load_block(iv));
    let (strides, rest) = blocks.as_chunks_mut::<STRIDE>();
    for stride in strides {
        before = decrypt_some::<ROUNDS, QUADS, STRIDE>(&key, before, stride);
    }
    let (quads, rest) = rest.as_chunks_mut::<4>();
    for quad in quads {
        before = decrypt_some::<ROUNDS, 1, 4>(&key, before, quad);
    }
    if !rest.is_empty() {
        let mut last = [[0; 16]; 4];
        last[..rest.len()].copy_from_slice(rest);
        decrypt_some::<ROUNDS, 1, 4>(&key, before, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Decrypts some blocks behind the last block of `before`; returns their last four as ciphertext.
#[inline]
#[target_feature(enable = "aes,vaes,avx512f")]
fn decrypt_some<const ROUNDS: usize, const QUADS: usize, const BLOCKS: usize>(
    key: &[__m512i; MAX_ROUNDS + 1],
    before: __m512i,
    blocks: &mut [Block; BLOCKS],
) -> __m512i {
    let mut before = before;
    let mut state = [_mm512_setzero_si512(); QUADS];
    let mut chain = [_mm512_setzero_si512(); QUADS];
    for ((state, chain), quad) in state.iter_mut().zip(&mut chain).zip(blocks.as_chunks().0) {
        let cipher = load_quad(quad);
        *chain = _mm512_alignr_epi64::<6>(cipher, before);
        *state = _mm512_xor_si512(cipher, key[0]);
        before = cipher;
    }
    for key in &key[1..ROUNDS] {
        for state in &mut state {
            *state = _mm512_aesdec_epi128(*state, *key);
        }
    }
    for ((state, chain), quad) in state.iter().zip(&chain).zip(blocks.as_chunks_mut().0) {
        // The last round adds its key last: with the chain added to the key, it adds both.
        let last = _mm512_xor_si512(key[ROUNDS], *chain);
        store_quad(quad, _mm512_aesdeclast_epi128(*state, last));
    }
    before
}

/// Each round key in every quarter of a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(keys: &[RoundKey; MAX_ROUNDS + 1]) -> [__m512i; MAX_ROUNDS + 1] {
    let mut broadcast = [_mm512_setzero_si512(); MAX_ROUNDS + 1];
    for (key, octets) in broadcast.iter_mut().zip(keys) {
        *key = _mm512_broadcast_i32x4(load(octets));
    }
    broadcast
}

#[inline]
#[target_feature(enable = "avx512f")]
fn gather(blocks: [&Block; 4]) -> __m512i {
    let [a, b, c, d]: [__m128i; 4] =
        [load_block(blocks[0]), load_block(blocks[1]), load_block(blocks[2]), load_block(blocks[3])];
    let two = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
    _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(two, c), d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn scatter(quad: __m512i, blocks: [&mut Block; 4]) {
    let [a, b, c, d] = blocks;
    store_block(a, _mm512_extracti32x4_epi32::<0>(quad));
    store_block(b, _mm512_extracti32x4_epi32::<1>(quad));
    store_block(c, _mm512_extracti32x4_epi32::<2>(quad));
    store_block(d, _mm512_extracti32x4_epi32::<3>(quad));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_quad(quad: &[Block; 4]) -> __m512i {
    // SAFETY: 64 octets are readable behind the reference, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(quad.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_quad(quad: &mut [Block; 4], value: __m512i) {
    // SAFETY: 64 octets are writable behind the reference, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(quad.as_mut_ptr().cast(), value) };
}

/// Registers in flight to decrypt: a round takes four cycles, and one may start in each.
const QUADS: usize = 4;

/// Blocks in flight.
const STRIDE: usize = 4 * QUADS;
