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
        while let Some(shortest) = running.checked_sub(1).and_then(|last| rest.get(last)) {
            let blocks = shortest.len().min(TURN);
            let mut heads: [&mut [Block]; LANES] = core::array::from_fn(|_| Default::default());
            for (head, rest) in heads.iter_mut().zip(&mut rest).take(running) {
                let (first, behind) = core::mem::take(rest).split_at_mut_checked(blocks).unwrap_or_default();
                (*head, *rest) = (first, behind);
            }
            self.encrypt_equal(running, &mut chain, heads);
            running = rest.iter().take(running).take_while(|lane| !lane.is_empty()).count();
        }
    }

    /// Encrypts the first `running` lanes, which have as many blocks each, at most [`TURN`].
    fn encrypt_equal(&self, running: usize, chain: &mut [Block; LANES], lanes: [&mut [Block]; LANES]) {
        let mut lanes = lanes;
        match self.vaes {
            Some(vaes) if running == LANES => vaes.cbc_encrypt::<4, LANES>(&self.keys, chain, &mut lanes),
            // Two passes of AES-NI, or one of VAES that encrypts up to three lanes for nothing.
            Some(vaes) if running > WIDTH => self.encrypt_padded(vaes, running, chain, lanes),
            _ => {
                let lanes = lanes.get_mut(..running).unwrap_or_default();
                for (chain, lanes) in chain.chunks_mut(WIDTH).zip(lanes.chunks_mut(WIDTH)) {
                    self.encrypt_narrow(chain, lanes);
                }
            }
        }
    }

    /// Encrypts 9 to 16 lanes with VAES, of which the last few are idle.
    #[inline(never)]
    fn encrypt_padded(
        &self,
        vaes: Vaes,
        running: usize,
        chain: &mut [Block; LANES],
        lanes: [&mut [Block]; LANES],
    ) {
        let mut idle = [[Block::default(); TURN]; 3];
        let mut lanes = lanes;
        let blocks = lanes.first().map_or(0, |lane| lane.len());
        for (lane, idle) in lanes.iter_mut().skip(running).zip(&mut idle) {
            *lane = idle.get_mut(..blocks).unwrap_or_default();
        }
        if running > 12 {
            vaes.cbc_encrypt::<4, LANES>(&self.keys, chain, &mut lanes);
        } else if let (Some(chain), Some(lanes)) = (chain.first_chunk_mut(), lanes.first_chunk_mut()) {
            vaes.cbc_encrypt::<3, 12>(&self.keys, chain, lanes);
        }
    }

    /// Encrypts up to [`WIDTH`] lanes with AES-NI.
    fn encrypt_narrow(&self, chain: &mut [Block], lanes: &mut [&mut [Block]]) {
        match lanes.len() {
            8 => self.encrypt_some::<8>(chain, lanes),
            7 => self.encrypt_some::<7>(chain, lanes),
            6 => self.encrypt_some::<6>(chain, lanes),
            5 => self.encrypt_some::<5>(chain, lanes),
            4 => self.encrypt_some::<4>(chain, lanes),
            3 => self.encrypt_some::<3>(chain, lanes),
            2 => self.encrypt_some::<2>(chain, lanes),
            _ => self.encrypt_some::<1>(chain, lanes),
        }
    }

    fn encrypt_some<const N: usize>(&self, chain: &mut [Block], lanes: &mut [&mut [Block]]) {
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

/// Blocks of each lane that are encrypted at a time: a packet of 1500 octets, and what idle lanes need to have.
const TURN: usize = 96;

/// Packets in the registers of AES-NI: a round takes four cycles, and two may start in each.
const WIDTH: usize = 8;
