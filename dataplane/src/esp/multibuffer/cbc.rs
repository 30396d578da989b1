//! AES-CBC of up to sixteen packets of one SA.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::Units;
use super::lane::Lane;
use crate::simd::{AesNi, Block, RoundKeys, Vaes};

/// Packets that are encrypted at once.
pub(in crate::esp) const LANES: usize = 16;

/// Encrypts under one key.
pub(in crate::esp) struct EncryptLanes {
    keys: RoundKeys,
    aes_ni: AesNi,
    vaes: Option<Vaes>,
}

impl EncryptLanes {
    /// `None` where the CPU has no unit, or where `key` is none of AES-128 or AES-256.
    pub(in crate::esp) fn new(units: Units, key: &[u8]) -> Option<Self> {
        let aes_ni = units.aes_ni?;
        Some(Self { keys: RoundKeys::encrypting(aes_ni, key)?, aes_ni, vaes: units.vaes })
    }

    /// Encrypts the blocks of each of `lanes`, at most [`LANES`], the longest first.
    pub(in crate::esp) fn encrypt(&self, lanes: &mut [Lane<'_>]) {
        let mut running = lanes.len().min(LANES);
        let mut chain = [[0; 16]; LANES];
        let mut rest: [&mut [Block]; LANES] = core::array::from_fn(|_| Default::default());
        for ((lane, chain), rest) in lanes.iter_mut().zip(&mut chain).zip(&mut rest) {
            (*chain, *rest) = lane.blocks();
        }
        // In each turn all lanes advance to where the shortest ends, which then leaves.
        while let Some(blocks) = running.checked_sub(1).and_then(|last| rest.get(last)).map(|lane| lane.len())
        {
            let mut heads: [&mut [Block]; LANES] = core::array::from_fn(|_| Default::default());
            for (head, rest) in heads.iter_mut().zip(&mut rest).take(running) {
                let (first, behind) = core::mem::take(rest).split_at_mut_checked(blocks).unwrap_or_default();
                (*head, *rest) = (first, behind);
            }
            self.encrypt_equal(running, &mut chain, &mut heads);
            running = rest.iter().take(running).take_while(|lane| !lane.is_empty()).count();
        }
    }

    /// Encrypts the first `running` lanes, which have as many blocks each.
    fn encrypt_equal(&self, running: usize, chain: &mut [Block; LANES], lanes: &mut [&mut [Block]; LANES]) {
        let (chain, lanes) = (chain.as_mut_slice(), lanes.get_mut(..running).unwrap_or_default());
        let (chain, lanes) = match (self.vaes, running) {
            (Some(vaes), 16..) => self.encrypt_wide::<4, 16>(vaes, chain, lanes),
            (Some(vaes), 12..16) => self.encrypt_wide::<3, 12>(vaes, chain, lanes),
            _ => (chain, lanes),
        };
        for (chain, lanes) in chain.chunks_mut(WIDTH).zip(lanes.chunks_mut(WIDTH)) {
            match lanes.len() {
                8 => self.encrypt_narrow::<8>(chain, lanes),
                7 => self.encrypt_narrow::<7>(chain, lanes),
                6 => self.encrypt_narrow::<6>(chain, lanes),
                5 => self.encrypt_narrow::<5>(chain, lanes),
                4 => self.encrypt_narrow::<4>(chain, lanes),
                3 => self.encrypt_narrow::<3>(chain, lanes),
                2 => self.encrypt_narrow::<2>(chain, lanes),
                _ => self.encrypt_narrow::<1>(chain, lanes),
            }
        }
    }

    /// Encrypts the first `N` lanes with VAES; returns the others.
    fn encrypt_wide<'l, 'p, const QUADS: usize, const N: usize>(
        &self,
        vaes: Vaes,
        chain: &'l mut [Block],
        lanes: &'l mut [&'p mut [Block]],
    ) -> (&'l mut [Block], &'l mut [&'p mut [Block]]) {
        let (Some((chain, chain_rest)), Some((lanes, lanes_rest))) =
            (chain.split_first_chunk_mut::<N>(), lanes.split_first_chunk_mut())
        else {
            return Default::default();
        };
        vaes.cbc_encrypt::<QUADS, N>(&self.keys, chain, lanes);
        (chain_rest, lanes_rest)
    }

    /// Encrypts `N` lanes with AES-NI.
    fn encrypt_narrow<const N: usize>(&self, chain: &mut [Block], lanes: &mut [&mut [Block]]) {
        if let (Some(chain), Some(lanes)) = (chain.first_chunk_mut::<N>(), lanes.first_chunk_mut()) {
            self.aes_ni.cbc_encrypt(&self.keys, chain, lanes);
        }
    }
}

/// Decrypts under one key.
pub(in crate::esp) struct DecryptLanes {
    keys: RoundKeys,
    vaes: Vaes,
}

impl DecryptLanes {
    /// `None` where the CPU has no unit that is faster than the plain way, or where `key` is none of AES-128 or AES-256.
    pub(in crate::esp) fn new(units: Units, key: &[u8]) -> Option<Self> {
        let vaes = units.vaes?;
        Some(Self { keys: RoundKeys::decrypting(vaes.aes_ni(), key)?, vaes })
    }

    /// Decrypts the blocks of a packet.
    pub(in crate::esp) fn decrypt(&self, iv: Block, blocks: &mut [Block]) {
        self.vaes.cbc_decrypt(&self.keys, &iv, blocks);
    }
}

/// Packets in the registers of AES-NI: a round takes four cycles, and two may start in each.
const WIDTH: usize = 8;
