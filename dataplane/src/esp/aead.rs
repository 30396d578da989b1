//! AES-GCM (RFC 4106) and ChaCha20-Poly1305 (RFC 7634): one nonce, AAD and packet layout for both.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use ring::aead::{self, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use super::transform::Transform;
use crate::drop_reason::DropReason;
use crate::sa::SpecError;
use crate::sa::spec::Keys;

/// Cipher key and salt.
pub struct AeadKey {
    key: LessSafeKey,
    /// The first four octets of each nonce.
    salt: [u8; 4],
    esn: bool,
}

impl AeadKey {
    pub(super) fn new(transform: Transform, keys: &Keys, esn: bool) -> Result<Self, SpecError> {
        let algorithm = match transform {
            Transform::Aes128Gcm16 => &aead::AES_128_GCM,
            Transform::Aes256Gcm16 => &aead::AES_256_GCM,
            Transform::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
            Transform::Aes128Cbc(_) | Transform::Aes256Cbc(_) => return Err(SpecError::Transform),
        };
        let wrong_length = SpecError::EncryptionKeyLength(keys.encryption.len());
        let (key, salt) = keys.encryption.split_last_chunk().ok_or(wrong_length)?;
        let key = UnboundKey::new(algorithm, key).map_err(|_| wrong_length)?;
        Ok(Self { key: LessSafeKey::new(key), salt: *salt, esn })
    }

    /// The IV is the sequence number: as that is never used twice, no nonce is (RFC 4106 §3.1).
    #[inline]
    pub(super) fn write_iv(seq: u64, iv: &mut [u8]) {
        if let Some(iv) = iv.first_chunk_mut() {
            *iv = seq.to_be_bytes();
        }
    }

    #[inline]
    pub(super) fn seal(&self, seq: u64, packet: &mut [u8]) -> Result<(), DropReason> {
        let Parts { spi, iv, body, icv } = Parts::of(packet).ok_or(DropReason::Seal)?;
        if NO_CRYPTO {
            return Ok(());
        }
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(iv), Aad::from(self.aad(spi, seq)), body)
            .map_err(|_| DropReason::Seal)?;
        icv.copy_from_slice(tag.as_ref());
        Ok(())
    }

    #[inline]
    pub(super) fn open(&self, seq: u64, packet: &mut [u8]) -> Result<(), DropReason> {
        let Parts { spi, iv, body, icv } = Parts::of(packet).ok_or(DropReason::Runt)?;
        if NO_CRYPTO {
            return Ok(());
        }
        self.key
            .open_in_place_separate_tag(
                self.nonce(iv),
                Aad::from(self.aad(spi, seq)),
                Tag::from(*icv),
                body,
                0..,
            )
            .map(|_| ())
            .map_err(|_| DropReason::Icv)
    }

    /// Salt and IV (RFC 4106 §4, RFC 7634 §2).
    #[inline]
    fn nonce(&self, iv: [u8; IV_LEN]) -> Nonce {
        let [s0, s1, s2, s3] = self.salt;
        let [i0, i1, i2, i3, i4, i5, i6, i7] = iv;
        Nonce::assume_unique_for_key([s0, s1, s2, s3, i0, i1, i2, i3, i4, i5, i6, i7])
    }

    /// SPI and sequence number, all 64 bits of it with ESN (RFC 4106 §5, RFC 7634 §2.1).
    #[inline]
    fn aad(&self, spi: [u8; 4], seq: u64) -> AssociatedData {
        let [s0, s1, s2, s3] = spi;
        let [n0, n1, n2, n3, n4, n5, n6, n7] = seq.to_be_bytes();
        if self.esn {
            AssociatedData::Esn([s0, s1, s2, s3, n0, n1, n2, n3, n4, n5, n6, n7])
        } else {
            AssociatedData::Plain([s0, s1, s2, s3, n4, n5, n6, n7])
        }
    }
}

enum AssociatedData {
    Plain([u8; 8]),
    Esn([u8; 12]),
}

impl AsRef<[u8]> for AssociatedData {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Plain(octets) => octets,
            Self::Esn(octets) => octets,
        }
    }
}

/// A packet's parts: SPI, (sequence number), IV, what is encrypted, ICV.
struct Parts<'p> {
    spi: [u8; 4],
    iv: [u8; IV_LEN],
    body: &'p mut [u8],
    icv: &'p mut [u8; ICV_LEN],
}

impl<'p> Parts<'p> {
    #[inline]
    fn of(packet: &'p mut [u8]) -> Option<Self> {
        let (spi, rest) = packet.split_first_chunk_mut()?;
        let (_seq, rest) = rest.split_first_chunk_mut::<4>()?;
        let (iv, rest) = rest.split_first_chunk_mut()?;
        let (body, icv) = rest.split_last_chunk_mut()?;
        Some(Self { spi: *spi, iv: *iv, body, icv })
    }
}

/// True in a build that `gotthard-benches peers` makes, to measure the packet path without its cipher; the daemon refuses to
/// be built so.
const NO_CRYPTO: bool = cfg!(gotthard_no_crypto);
const IV_LEN: usize = 8;
const ICV_LEN: usize = 16;
