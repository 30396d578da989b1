//! AEAD ciphers with the nonce of RFC 4106 §4 and RFC 7634 §2: a salt from the key material, then an explicit IV.

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use zeroize::ZeroizeOnDrop;

use crate::codec::iana::EncryptionAlgorithm;
use crate::suite::Cipher;

/// A key of an AEAD cipher with its salt.
///
/// The cipher's own key schedule is built for each message: ring does not wipe it, so it should not stay on the heap.
#[derive(ZeroizeOnDrop)]
pub struct Aead {
    #[zeroize(skip)]
    algorithm: &'static Algorithm,
    key: Vec<u8>,
    salt: [u8; SALT_LEN],
}

impl Aead {
    /// From key material: the key, then the salt. `None`: not an AEAD that we have, or another length.
    pub fn new(cipher: Cipher, key_and_salt: &[u8]) -> Option<Self> {
        let algorithm = match (cipher.algorithm, cipher.key_bits) {
            (EncryptionAlgorithm::AES_GCM_16, 128) => &AES_128_GCM,
            (EncryptionAlgorithm::AES_GCM_16, 256) => &AES_256_GCM,
            (EncryptionAlgorithm::CHACHA20_POLY1305, _) => &CHACHA20_POLY1305,
            _ => return None,
        };
        let (key, salt) = key_and_salt.split_last_chunk()?;
        (key.len() == algorithm.key_len()).then(|| Self { algorithm, key: key.to_vec(), salt: *salt })
    }

    /// Encrypts `text` where it stands and returns the ICV. An IV must never come twice with one key.
    pub fn seal(&self, iv: [u8; IV_LEN], aad: &[u8], text: &mut [u8]) -> Result<[u8; ICV_LEN], CipherError> {
        let tag = self.schedule()?.seal_in_place_separate_tag(self.nonce(iv), Aad::from(aad), text);
        tag.ok().and_then(|tag| tag.as_ref().try_into().ok()).ok_or(CipherError)
    }

    /// Checks the ICV at the end of `text`, decrypts what is before it where it stands, and returns that.
    pub fn open<'t>(
        &self,
        iv: [u8; IV_LEN],
        aad: &[u8],
        text: &'t mut [u8],
    ) -> Result<&'t mut [u8], CipherError> {
        let opened = self.schedule()?.open_in_place(self.nonce(iv), Aad::from(aad), text);
        opened.map_err(|_| CipherError)
    }

    fn schedule(&self) -> Result<LessSafeKey, CipherError> {
        UnboundKey::new(self.algorithm, &self.key).map(LessSafeKey::new).map_err(|_| CipherError)
    }

    fn nonce(&self, iv: [u8; IV_LEN]) -> Nonce {
        let [s0, s1, s2, s3] = self.salt;
        let [i0, i1, i2, i3, i4, i5, i6, i7] = iv;
        Nonce::assume_unique_for_key([s0, s1, s2, s3, i0, i1, i2, i3, i4, i5, i6, i7])
    }
}

/// The ICV is wrong, or the text is longer than the cipher takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the integrity check failed")]
pub struct CipherError;

/// Octets of the explicit IV.
pub const IV_LEN: usize = 8;

/// Octets of the ICV.
pub const ICV_LEN: usize = 16;

const SALT_LEN: usize = 4;
