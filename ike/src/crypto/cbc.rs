//! AES-CBC (RFC 3602) over whole blocks. Padding is that of the payload, not of the cipher.

use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit as _};
use aes::{Aes128, Aes256};
use zeroize::Zeroizing;

/// A key of AES-CBC.
pub struct Cbc(Key);

enum Key {
    Aes128(Zeroizing<[u8; 16]>),
    Aes256(Zeroizing<[u8; 32]>),
}

impl Cbc {
    /// From a key of 16 or 32 octets. `None`: another length.
    pub fn new(key: &[u8]) -> Option<Self> {
        let aes128 = || key.try_into().ok().map(|key| Key::Aes128(Zeroizing::new(key)));
        let aes256 = || key.try_into().ok().map(|key| Key::Aes256(Zeroizing::new(key)));
        aes128().or_else(aes256).map(Self)
    }

    /// Encrypts whole blocks where they stand; octets behind the last whole block are left as they are.
    pub fn encrypt(&self, iv: &[u8; BLOCK_LEN], text: &mut [u8]) {
        match &self.0 {
            Key::Aes128(key) => encrypt(cbc::Encryptor::<Aes128>::new((&**key).into(), iv.into()), text),
            Key::Aes256(key) => encrypt(cbc::Encryptor::<Aes256>::new((&**key).into(), iv.into()), text),
        }
    }

    /// Decrypts whole blocks where they stand; octets behind the last whole block are left as they are.
    pub fn decrypt(&self, iv: &[u8; BLOCK_LEN], text: &mut [u8]) {
        match &self.0 {
            Key::Aes128(key) => decrypt(cbc::Decryptor::<Aes128>::new((&**key).into(), iv.into()), text),
            Key::Aes256(key) => decrypt(cbc::Decryptor::<Aes256>::new((&**key).into(), iv.into()), text),
        }
    }
}

fn encrypt<C: BlockModeEncrypt>(mut mode: C, text: &mut [u8]) {
    mode.encrypt_blocks(Block::<C>::slice_as_chunks_mut(text).0);
}

fn decrypt<C: BlockModeDecrypt>(mut mode: C, text: &mut [u8]) {
    mode.decrypt_blocks(Block::<C>::slice_as_chunks_mut(text).0);
}

/// Octets of a block, and of the IV.
pub const BLOCK_LEN: usize = 16;
