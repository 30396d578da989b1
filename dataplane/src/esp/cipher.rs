//! The keyed transform of one SA: seals and opens a whole ESP packet in place.
//!
//! A packet here is header, IV, ciphertext and ICV, one behind the other. Nothing allocates or locks.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::aead::AeadKey;
use super::cbc_hmac::{CbcOpener, CbcSealer};
use super::multibuffer::Units;
use super::transform::Transform;
use crate::drop_reason::DropReason;
use crate::sa::SpecError;
use crate::sa::spec::Keys;

/// Most packets that are sealed or opened together.
pub const BATCH: usize = 64;

/// A whole ESP packet before a [`Sealer`] or an [`Opener`].
#[derive(Debug)]
pub struct Numbered<'p> {
    /// The whole sequence number, whose low half the header holds.
    pub seq: u64,
    /// Header, IV, ciphertext and ICV.
    pub octets: &'p mut [u8],
    /// What became of it.
    pub result: Result<(), DropReason>,
}

impl<'p> Numbered<'p> {
    /// The packet `seq`, to be sealed or opened; a failure until that is done.
    #[inline]
    pub fn new(seq: u64, octets: &'p mut [u8]) -> Self {
        Self { seq, octets, result: Err(DropReason::Seal) }
    }
}

impl Default for Numbered<'_> {
    fn default() -> Self {
        Self::new(0, &mut [])
    }
}

/// Seals packets; shared by the workers of an outbound SA.
pub enum Sealer {
    /// AES-GCM or ChaCha20-Poly1305.
    Aead(Box<AeadKey>),
    /// AES-CBC with a HMAC.
    Cbc(Box<CbcSealer>),
}

impl Sealer {
    /// Keys `transform`; refuses keys of a wrong length.
    pub fn new(transform: Transform, keys: &Keys, esn: bool) -> Result<Self, SpecError> {
        check_lengths(transform, keys)?;
        if transform.is_aead() {
            return AeadKey::new(transform, keys, esn).map(Box::new).map(Self::Aead);
        }
        CbcSealer::new(transform, keys, esn, Units::trusted()).map(Box::new).map(Self::Cbc)
    }

    /// Writes the IV of the packet `seq` into `iv`, which has the transform's length.
    #[inline]
    pub fn write_iv(&self, seq: u64, iv: &mut [u8]) {
        match self {
            Self::Aead(_) => AeadKey::write_iv(seq, iv),
            Self::Cbc(cbc) => cbc.write_iv(seq, iv),
        }
    }

    /// Encrypts between IV and ICV and writes the ICV. `seq` is the whole number, the header holds its low half.
    #[inline]
    pub fn seal(&self, seq: u64, packet: &mut [u8]) -> Result<(), DropReason> {
        match self {
            Self::Aead(aead) => aead.seal(seq, packet),
            Self::Cbc(cbc) => cbc.seal(seq, packet),
        }
    }

    /// [`Self::seal`] for each of `packets`, [`BATCH`] of them together.
    #[inline]
    pub fn seal_batch(&self, packets: &mut [Numbered<'_>]) {
        match self {
            Self::Aead(aead) => {
                for packet in packets {
                    packet.result = aead.seal(packet.seq, packet.octets);
                }
            }
            Self::Cbc(cbc) => cbc.seal_batch(packets),
        }
    }
}

/// Opens packets; shared by the workers of an inbound SA.
pub enum Opener {
    /// AES-GCM or ChaCha20-Poly1305.
    Aead(Box<AeadKey>),
    /// AES-CBC with a HMAC.
    Cbc(Box<CbcOpener>),
}

impl Opener {
    /// Keys `transform`; refuses keys of a wrong length.
    pub fn new(transform: Transform, keys: &Keys, esn: bool) -> Result<Self, SpecError> {
        check_lengths(transform, keys)?;
        if transform.is_aead() {
            return AeadKey::new(transform, keys, esn).map(Box::new).map(Self::Aead);
        }
        CbcOpener::new(transform, keys, esn, Units::trusted()).map(Box::new).map(Self::Cbc)
    }

    /// Verifies the ICV and decrypts between IV and ICV. After an error the packet's content is undefined.
    #[inline]
    pub fn open(&self, seq: u64, packet: &mut [u8]) -> Result<(), DropReason> {
        match self {
            Self::Aead(aead) => aead.open(seq, packet),
            Self::Cbc(cbc) => cbc.open(seq, packet),
        }
    }

    /// [`Self::open`] for each of `packets`, [`BATCH`] of them together. One that fails says nothing of the others.
    #[inline]
    pub fn open_batch(&self, packets: &mut [Numbered<'_>]) {
        match self {
            Self::Aead(aead) => {
                for packet in packets {
                    packet.result = aead.open(packet.seq, packet.octets);
                }
            }
            Self::Cbc(cbc) => cbc.open_batch(packets),
        }
    }
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl core::fmt::Debug for Opener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Opener(..)")
    }
}

fn check_lengths(transform: Transform, keys: &Keys) -> Result<(), SpecError> {
    if keys.encryption.len() != transform.key_len().saturating_add(transform.salt_len()) {
        return Err(SpecError::EncryptionKeyLength(keys.encryption.len()));
    }
    if keys.integrity.len() != transform.integrity_key_len() {
        return Err(SpecError::IntegrityKeyLength(keys.integrity.len()));
    }
    Ok(())
}
