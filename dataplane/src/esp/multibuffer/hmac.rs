//! HMAC-SHA-2 (RFC 2104, RFC 4868) of up to sixteen packets of one SA.
//!
//! The states behind the inner and the outer pad are computed once for the SA.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use zeroize::{Zeroize, Zeroizing};

use super::Units;
use super::lane::Lane;
use crate::esp::header;
use crate::esp::transform::Hmac;
use crate::simd::{Sha2, Sha256Ni, Sha256x16, Sha512x8};

/// The first octets of an HMAC, as many as the longest ICV has.
pub(in crate::esp) type Tag = [u8; 32];

/// Computes HMACs under one key.
pub(in crate::esp) enum HmacLanes {
    /// HMAC-SHA-256.
    Sha256 { key: Key<u32>, wide: Option<Sha256x16>, pair: Option<Sha256Ni> },
    /// HMAC-SHA-384 and HMAC-SHA-512.
    Sha512 { key: Key<u64>, wide: Sha512x8 },
}

impl HmacLanes {
    /// `None` where the CPU has no unit, or where `key` is longer than a block.
    pub(in crate::esp) fn new(units: Units, hash: Hmac, key: &[u8], esn: bool) -> Option<Self> {
        let Units { sha256_x16: wide, sha256_ni: pair, sha512_x8, .. } = units;
        let sha512 = |initial, digest| {
            let wide = sha512_x8?;
            Some(Self::Sha512 { key: Key::new(wide, initial, digest, key, esn)?, wide })
        };
        match hash {
            Hmac::Sha256 => {
                let key = match (wide, pair) {
                    (Some(wide), _) => Key::new(wide, SHA256, 8, key, esn)?,
                    (None, pair) => Key::new(pair?, SHA256, 8, key, esn)?,
                };
                Some(Self::Sha256 { key, wide, pair })
            }
            Hmac::Sha384 => sha512(SHA384, 6),
            Hmac::Sha512 => sha512(SHA512, 8),
        }
    }

    /// Writes the HMAC of each of `lanes`, the longest first, into `tags`; returns for how many, from the first on. What
    /// is left is faster the plain way.
    pub(in crate::esp) fn tags(&self, lanes: &[Lane<'_>], tags: &mut [Tag]) -> usize {
        match self {
            Self::Sha256 { key, wide: Some(wide), pair: Some(_) } if fills(lanes, SIXTEEN_BEAT_PAIRS) => {
                key.tags(*wide, lanes, tags)
            }
            Self::Sha256 { key, wide: Some(wide), pair: None } if fills(lanes, SIXTEEN_BEAT_PLAIN) => {
                key.tags(*wide, lanes, tags)
            }
            Self::Sha256 { key, pair: Some(pair), .. } => lanes
                .chunks(2)
                .zip(tags.chunks_mut(2))
                .map(|(lanes, tags)| key.tags(*pair, lanes, tags))
                .sum(),
            Self::Sha256 { .. } => 0,
            Self::Sha512 { key, wide } => lanes
                .chunks(8)
                .zip(tags.chunks_mut(8))
                .take_while(|(lanes, _)| fills(lanes, EIGHT_BEAT_PLAIN))
                .map(|(lanes, tags)| key.tags(*wide, lanes, tags))
                .sum(),
        }
    }
}

/// Whether lanes that cost what the longest costs have as much to do as `enough` of that length.
fn fills(lanes: &[Lane<'_>], enough: usize) -> bool {
    let longest = lanes.first().map_or(0, |lane| lane.covered.len());
    let all: usize = lanes.iter().map(|lane| lane.covered.len()).sum();
    all >= longest.saturating_mul(enough)
}

/// One key's states.
pub(in crate::esp) struct Key<W: Zeroize> {
    inner: Zeroizing<[W; 8]>,
    outer: Zeroizing<[W; 8]>,
    /// Words of the digest.
    digest: usize,
    /// Whether the high half of the sequence number follows the packet (RFC 4303 §2.2.1).
    esn: bool,
}

impl<W: Word> Key<W> {
    fn new<U: Sha2<W, LANES, BLOCK>, const LANES: usize, const BLOCK: usize>(
        unit: U,
        initial: [W; 8],
        digest: usize,
        key: &[u8],
        esn: bool,
    ) -> Option<Self> {
        let after = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            for (octet, key) in block.iter_mut().zip(key) {
                *octet ^= key;
            }
            let mut states = Zeroizing::new(initial.map(|word| [word; LANES]));
            unit.update(&mut states, &[core::slice::from_ref(&*block); LANES]);
            Zeroizing::new(states.map(|row| row.first().copied().unwrap_or(W::ZERO)))
        };
        (key.len() <= BLOCK).then(|| Self { inner: after(INNER_PAD), outer: after(OUTER_PAD), digest, esn })
    }

    /// The HMACs of the first `LANES` of `lanes`; returns how many there are.
    fn tags<U: Sha2<W, LANES, BLOCK>, const LANES: usize, const BLOCK: usize>(
        &self,
        unit: U,
        lanes: &[Lane<'_>],
        tags: &mut [Tag],
    ) -> usize {
        let mut tails = [[[0; BLOCK]; 2]; LANES];
        let mut bodies: [&[[u8; BLOCK]]; LANES] = [&[]; LANES];
        let mut ends: [&[[u8; BLOCK]]; LANES] = [&[]; LANES];
        for (((lane, tail), body), end) in lanes.iter().zip(&mut tails).zip(&mut bodies).zip(&mut ends) {
            let rest;
            (*body, rest) = lane.covered.as_chunks();
            let suffix = header::high_half(lane.seq).to_be_bytes();
            let suffix = if self.esn { suffix.as_slice() } else { &[] };
            *end = pad(tail, lane.covered.len(), rest, suffix);
        }
        let mut states = self.inner.map(|word| [word; LANES]);
        unit.update(&mut states, &bodies);
        unit.update(&mut states, &ends);
        let states = self.outer_hash(unit, &states);
        for (lane, tag) in (0..lanes.len().min(LANES)).zip(tags) {
            for (octets, row) in tag.chunks_exact_mut(size_of::<W>()).zip(&states) {
                if let Some(word) = row.get(lane) {
                    word.write(octets);
                }
            }
        }
        lanes.len().min(LANES)
    }

    /// Hashes the digests of the inner hash, which are words already.
    fn outer_hash<U: Sha2<W, LANES, BLOCK>, const LANES: usize, const BLOCK: usize>(
        &self,
        unit: U,
        inner: &[[W; LANES]; 8],
    ) -> [[W; LANES]; 8] {
        let mut block = [[W::ZERO; LANES]; 16];
        for (row, digest) in block.iter_mut().zip(inner).take(self.digest) {
            *row = *digest;
        }
        if let Some(row) = block.get_mut(self.digest) {
            *row = [W::END; LANES];
        }
        if let Some(row) = block.last_mut() {
            let octets = BLOCK.saturating_add(self.digest.saturating_mul(size_of::<W>()));
            *row = [W::bits(octets); LANES];
        }
        let mut states = self.outer.map(|word| [word; LANES]);
        unit.update_words(&mut states, &block);
        states
    }
}

/// Ends a message of `len` octets behind the block of the inner pad with its last octets `rest` and `suffix`, the padding
/// and the length (FIPS 180-4 §5.1). `blocks` are zero.
fn pad<'b, const BLOCK: usize>(
    blocks: &'b mut [[u8; BLOCK]; 2],
    len: usize,
    rest: &[u8],
    suffix: &[u8],
) -> &'b [[u8; BLOCK]] {
    if let Some((start, behind)) = blocks.as_flattened_mut().split_at_mut_checked(rest.len()) {
        start.copy_from_slice(rest);
        for (octet, value) in behind.iter_mut().zip(suffix.iter().chain(&[0x80])) {
            *octet = *value;
        }
    }
    // The length is an eighth of a block, of which the last eight octets count here.
    let used = rest.len().saturating_add(suffix.len()).saturating_add(1).saturating_add(BLOCK / 8);
    let count = if used <= BLOCK { 1 } else { 2 };
    let bits = (len as u64).wrapping_add(suffix.len() as u64).wrapping_add(BLOCK as u64).wrapping_mul(8);
    let blocks = blocks.get_mut(..count).unwrap_or_default();
    if let Some(end) = blocks.as_flattened_mut().last_chunk_mut() {
        *end = bits.to_be_bytes();
    }
    blocks
}

/// A word of SHA-2.
pub(in crate::esp) trait Word: Copy + Zeroize {
    const ZERO: Self;
    /// The bit that ends a message.
    const END: Self;
    /// The length of a message of `octets` octets.
    fn bits(octets: usize) -> Self;
    /// Big-endian.
    fn write(self, into: &mut [u8]);
}

impl Word for u32 {
    const ZERO: Self = 0;
    const END: Self = 1 << 31;

    fn bits(octets: usize) -> Self {
        u32::try_from(octets).unwrap_or(0).wrapping_mul(8)
    }

    fn write(self, into: &mut [u8]) {
        if let Some(into) = into.first_chunk_mut() {
            *into = self.to_be_bytes();
        }
    }
}

impl Word for u64 {
    const ZERO: Self = 0;
    const END: Self = 1 << 63;

    fn bits(octets: usize) -> Self {
        (octets as u64).wrapping_mul(8)
    }

    fn write(self, into: &mut [u8]) {
        if let Some(into) = into.first_chunk_mut() {
            *into = self.to_be_bytes();
        }
    }
}

/// From how many packets on sixteen lanes of SHA-256 are faster than pairs with SHA-NI: 12 packets of 1400 octets took 480
/// ns each in pairs and 520 in lanes, 14 packets 480 and 450 (Zen 4).
const SIXTEEN_BEAT_PAIRS: usize = 14;
/// The same without SHA-NI, beside one packet after the other.
const SIXTEEN_BEAT_PLAIN: usize = 4;
/// From how many packets on eight lanes of SHA-512 are faster than one after the other, which no unit helps.
const EIGHT_BEAT_PLAIN: usize = 2;

const INNER_PAD: u8 = 0x36;
const OUTER_PAD: u8 = 0x5c;

/// The initial hash values (FIPS 180-4 §5.3).
const SHA256: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const SHA384: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];
const SHA512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];
