//! AES-CBC (RFC 3602) with HMAC-SHA-2 (RFC 4868): encrypt, then authenticate header, IV and ciphertext.
//!
//! The IV must be unpredictable (RFC 3602 §3). It is the sequence number encrypted under a key drawn at random for
//! each SA: never repeated, not to be foreseen without that key, and without a call to the kernel per packet.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use aes::cipher::array::Array;
use aes::cipher::{BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes::{Aes128Dec, Aes128Enc, Aes256Dec, Aes256Enc};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cipher::{BATCH, Numbered};
use super::header;
use super::multibuffer::{self, DecryptLanes, Done, EncryptLanes, HmacLanes, Lane, Lanes, Tag, Units};
use super::transform::{Hmac, Transform};
use crate::drop_reason::DropReason;
use crate::sa::SpecError;
use crate::sa::spec::Keys;
use crate::simd::Block;

/// Encrypts and authenticates.
pub struct CbcSealer {
    cipher: Encrypt,
    /// Makes the IVs.
    iv_cipher: Aes128Enc,
    icv: Icv,
    lanes: Option<EncryptLanes>,
}

impl CbcSealer {
    pub(super) fn new(transform: Transform, keys: &Keys, esn: bool, units: Units) -> Result<Self, SpecError> {
        let wrong_length = SpecError::EncryptionKeyLength(keys.encryption.len());
        let cipher = match keys.encryption.len() {
            16 => Aes128Enc::new_from_slice(&keys.encryption).map(Encrypt::Aes128),
            _ => Aes256Enc::new_from_slice(&keys.encryption).map(Encrypt::Aes256),
        };
        let mut iv_key = Zeroizing::new([0; 16]);
        SystemRandom::new().fill(iv_key.as_mut_slice()).map_err(|_| SpecError::Randomness)?;
        Ok(Self {
            cipher: cipher.map_err(|_| wrong_length)?,
            iv_cipher: Aes128Enc::new(&Array::from(*iv_key)),
            icv: Icv::new(transform, keys, esn, units)?,
            lanes: EncryptLanes::new(units, &keys.encryption),
        })
    }

    /// The IV of the packet `seq`.
    #[inline]
    pub(super) fn write_iv(&self, seq: u64, iv: &mut [u8]) {
        let mut block = Array::from(u128::from(seq).to_be_bytes());
        self.iv_cipher.encrypt_block(&mut block);
        if let Some(iv) = iv.first_chunk_mut::<IV_LEN>() {
            *iv = block.into();
        }
    }

    /// Octets of the ICV.
    pub(super) const fn icv_len(&self) -> usize {
        self.icv.len
    }

    /// The IVs of a batch, as [`Self::write_iv`] writes them.
    pub(super) fn ivs(&self, sequences: impl Iterator<Item = u64>) -> [Block; BATCH] {
        let mut ivs = [Block::default(); BATCH];
        let mut count = 0_usize;
        for (iv, seq) in ivs.iter_mut().zip(sequences) {
            *iv = u128::from(seq).to_be_bytes();
            count = count.saturating_add(1);
        }
        let used = ivs.get_mut(..count).unwrap_or_default();
        self.iv_cipher.encrypt_blocks(Array::cast_slice_from_core_mut(used));
        ivs
    }

    #[inline]
    pub(super) fn seal(&self, seq: u64, packet: &mut [u8]) -> Result<(), DropReason> {
        let (covered, icv) = self.icv.split(packet).ok_or(DropReason::Seal)?;
        let (iv, blocks) = iv_and_blocks(covered).ok_or(DropReason::Seal)?;
        self.cipher.encrypt(iv, blocks);
        let tag = self.icv.compute(seq, covered);
        icv.copy_from_slice(tag.as_ref().get(..icv.len()).ok_or(DropReason::Seal)?);
        Ok(())
    }

    /// [`Self::seal`] for each of `packets`.
    pub(super) fn seal_batch(&self, packets: &mut [Numbered<'_>]) {
        for packets in packets.chunks_mut(BATCH) {
            self.seal_together(packets);
        }
    }

    /// Seals at most [`BATCH`] packets, group by group: what was encrypted is hashed while it is in the cache.
    fn seal_together(&self, packets: &mut [Numbered<'_>]) {
        let plain = |packet: &mut Numbered<'_>| packet.result = self.seal(packet.seq, packet.octets);
        if packets.len() < 2 {
            return packets.iter_mut().for_each(plain);
        }
        let mut done = Done::default();
        let mut lanes = Lanes::new(packets, self.icv.len, DropReason::Seal, plain);
        for group in lanes.as_mut_slice().chunks_mut(multibuffer::LANES) {
            match &self.lanes {
                Some(lanes) => lanes.encrypt(group),
                None => group
                    .iter_mut()
                    .map(Lane::blocks)
                    .for_each(|(iv, blocks)| self.cipher.encrypt(iv, blocks)),
            }
            let tags = self.icv.compute_group(group);
            for (lane, tag) in group.iter_mut().zip(&tags) {
                for (octet, value) in lane.icv.iter_mut().zip(tag) {
                    *octet = *value;
                }
                done.add(lane);
            }
        }
        done.settle(packets);
    }
}

enum Encrypt {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl Encrypt {
    #[inline]
    fn encrypt(&self, iv: Block, blocks: &mut [Block]) {
        let blocks = Array::cast_slice_from_core_mut(blocks);
        match self {
            Self::Aes128(aes) => cbc::Encryptor::inner_iv_init(aes, &iv.into()).encrypt_blocks(blocks),
            Self::Aes256(aes) => cbc::Encryptor::inner_iv_init(aes, &iv.into()).encrypt_blocks(blocks),
        }
    }
}

/// Verifies and decrypts.
pub struct CbcOpener {
    cipher: Decrypt,
    icv: Icv,
    lanes: Option<DecryptLanes>,
}

impl CbcOpener {
    pub(super) fn new(transform: Transform, keys: &Keys, esn: bool, units: Units) -> Result<Self, SpecError> {
        let wrong_length = SpecError::EncryptionKeyLength(keys.encryption.len());
        let cipher = match keys.encryption.len() {
            16 => Aes128Dec::new_from_slice(&keys.encryption).map(Decrypt::Aes128),
            _ => Aes256Dec::new_from_slice(&keys.encryption).map(Decrypt::Aes256),
        };
        Ok(Self {
            cipher: cipher.map_err(|_| wrong_length)?,
            icv: Icv::new(transform, keys, esn, units)?,
            lanes: DecryptLanes::new(units, &keys.encryption),
        })
    }

    #[inline]
    pub(super) fn open(&self, seq: u64, packet: &mut [u8]) -> Result<(), DropReason> {
        let (covered, icv) = self.icv.split(packet).ok_or(DropReason::Runt)?;
        let tag = self.icv.compute(seq, covered);
        let expected = tag.as_ref().get(..icv.len()).ok_or(DropReason::Icv)?;
        if !bool::from(expected.ct_eq(icv)) {
            return Err(DropReason::Icv);
        }
        let (iv, blocks) = iv_and_blocks(covered).ok_or(DropReason::Misaligned)?;
        self.cipher.decrypt(iv, blocks);
        Ok(())
    }

    /// [`Self::open`] for each of `packets`.
    pub(super) fn open_batch(&self, packets: &mut [Numbered<'_>]) {
        for packets in packets.chunks_mut(BATCH) {
            self.open_together(packets);
        }
    }

    /// Opens at most [`BATCH`] packets, group by group: what was hashed is decrypted while it is in the cache.
    fn open_together(&self, packets: &mut [Numbered<'_>]) {
        let plain = |packet: &mut Numbered<'_>| packet.result = self.open(packet.seq, packet.octets);
        if packets.len() < 2 {
            return packets.iter_mut().for_each(plain);
        }
        let mut done = Done::default();
        let mut lanes = Lanes::new(packets, self.icv.len, DropReason::Icv, plain);
        for group in lanes.as_mut_slice().chunks_mut(multibuffer::LANES) {
            let tags = self.icv.compute_group(group);
            for (lane, tag) in group.iter_mut().zip(&tags) {
                let genuine =
                    tag.get(..lane.icv.len()).is_some_and(|expected| expected.ct_eq(lane.icv).into());
                if genuine {
                    self.decrypt(lane);
                    done.add(lane);
                }
            }
        }
        done.settle(packets);
    }

    #[inline]
    fn decrypt(&self, lane: &mut Lane<'_>) {
        let (iv, blocks) = lane.blocks();
        match &self.lanes {
            Some(lanes) => lanes.decrypt(iv, blocks),
            None => self.cipher.decrypt(iv, blocks),
        }
    }
}

enum Decrypt {
    Aes128(Aes128Dec),
    Aes256(Aes256Dec),
}

impl Decrypt {
    #[inline]
    fn decrypt(&self, iv: Block, blocks: &mut [Block]) {
        let blocks = Array::cast_slice_from_core_mut(blocks);
        match self {
            Self::Aes128(aes) => cbc::Decryptor::inner_iv_init(aes, &iv.into()).decrypt_blocks(blocks),
            Self::Aes256(aes) => cbc::Decryptor::inner_iv_init(aes, &iv.into()).decrypt_blocks(blocks),
        }
    }
}

/// The integrity half. `hmac::Key` holds the states after the inner and the outer pad, so a packet pays for its own
/// octets only.
struct Icv {
    key: hmac::Key,
    lanes: Option<HmacLanes>,
    len: usize,
    esn: bool,
}

impl Icv {
    fn new(transform: Transform, keys: &Keys, esn: bool, units: Units) -> Result<Self, SpecError> {
        let kind = transform.hmac().ok_or(SpecError::Transform)?;
        let algorithm = match kind {
            Hmac::Sha256 => hmac::HMAC_SHA256,
            Hmac::Sha384 => hmac::HMAC_SHA384,
            Hmac::Sha512 => hmac::HMAC_SHA512,
        };
        let key = hmac::Key::new(algorithm, &keys.integrity);
        let lanes = HmacLanes::new(units, kind, &keys.integrity, esn);
        Ok(Self { key, lanes, len: kind.icv_len(), esn })
    }

    /// The first octets of the HMACs of a group, as many as the ICV has at least.
    #[inline]
    fn compute_group(&self, group: &[Lane<'_>]) -> [Tag; multibuffer::LANES] {
        let mut tags = [Tag::default(); multibuffer::LANES];
        let done = self.lanes.as_ref().map_or(0, |lanes| lanes.tags(group, &mut tags));
        for (lane, tag) in group.iter().zip(&mut tags).skip(done) {
            let whole = self.compute(lane.seq, lane.covered);
            *tag = whole.as_ref().first_chunk().copied().unwrap_or_default();
        }
        tags
    }

    /// What the ICV covers, and the ICV.
    #[inline]
    fn split<'p>(&self, packet: &'p mut [u8]) -> Option<(&'p mut [u8], &'p mut [u8])> {
        let covered = packet.len().checked_sub(self.len)?;
        packet.split_at_mut_checked(covered)
    }

    /// The untruncated HMAC; with ESN the high half follows what is sent (RFC 4303 §2.2.1).
    #[inline]
    fn compute(&self, seq: u64, covered: &[u8]) -> hmac::Tag {
        if !self.esn {
            return hmac::sign(&self.key, covered);
        }
        let mut context = hmac::Context::with_key(&self.key);
        context.update(covered);
        context.update(&header::high_half(seq).to_be_bytes());
        context.sign()
    }
}

/// The IV and the blocks behind it; `None` where they are not whole.
#[inline]
fn iv_and_blocks(covered: &mut [u8]) -> Option<(Block, &mut [Block])> {
    let (_header, rest) = covered.split_at_mut_checked(header::LEN)?;
    let (iv, ciphertext) = rest.split_first_chunk_mut()?;
    let (blocks, []) = ciphertext.as_chunks_mut() else { return None };
    Some((*iv, blocks))
}

/// Also the cipher's block.
const IV_LEN: usize = 16;
