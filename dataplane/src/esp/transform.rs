//! The ESP transforms: names, key and octet lengths (RFC 8221). What seals and opens is [`super::cipher`].

/// A transform of RFC 8221: cipher and integrity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transform {
    /// AES-GCM with a 16-octet ICV, 128-bit key (RFC 4106).
    Aes128Gcm16,
    /// AES-GCM with a 16-octet ICV, 256-bit key (RFC 4106).
    Aes256Gcm16,
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
    /// AES-CBC (RFC 3602), 128-bit key, with a HMAC (RFC 4868).
    Aes128Cbc(Hmac),
    /// AES-CBC (RFC 3602), 256-bit key, with a HMAC (RFC 4868).
    Aes256Cbc(Hmac),
}

impl Transform {
    /// Every transform.
    pub const ALL: [Self; 9] = [
        Self::Aes128Gcm16,
        Self::Aes256Gcm16,
        Self::ChaCha20Poly1305,
        Self::Aes128Cbc(Hmac::Sha256),
        Self::Aes128Cbc(Hmac::Sha384),
        Self::Aes128Cbc(Hmac::Sha512),
        Self::Aes256Cbc(Hmac::Sha256),
        Self::Aes256Cbc(Hmac::Sha384),
        Self::Aes256Cbc(Hmac::Sha512),
    ];

    /// Octets of the cipher key, without the salt.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm16 | Self::Aes128Cbc(_) => 16,
            Self::Aes256Gcm16 | Self::ChaCha20Poly1305 | Self::Aes256Cbc(_) => 32,
        }
    }

    /// Octets of the salt behind the cipher key (RFC 4106 §8.1, RFC 7634 §2).
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 4 } else { 0 }
    }

    /// Octets of the integrity key: none for an AEAD.
    pub const fn integrity_key_len(self) -> usize {
        match self.hmac() {
            Some(hmac) => hmac.key_len(),
            None => 0,
        }
    }

    /// Octets of the IV in the packet.
    pub const fn iv_len(self) -> usize {
        if self.is_aead() { 8 } else { 16 }
    }

    /// Octets of the ICV.
    pub const fn icv_len(self) -> usize {
        match self.hmac() {
            Some(hmac) => hmac.icv_len(),
            None => 16,
        }
    }

    /// What payload and trailer are padded to a multiple of: the cipher block, at least 4 (RFC 4303 §2.4).
    pub const fn block_len(self) -> usize {
        if self.is_aead() { 4 } else { 16 }
    }

    /// Octets before the inner packet: ESP header and IV.
    pub const fn header_len(self) -> usize {
        super::header::LEN + self.iv_len()
    }

    /// Octets of padding before the trailer of an inner packet of `inner_len` octets (RFC 4303 §2.4).
    pub const fn pad_len(self, inner_len: usize) -> usize {
        let block = self.block_len();
        // Both blocks are powers of two, so that the negation modulo the block is a mask.
        inner_len.wrapping_add(super::trailer::LEN).wrapping_neg() & (block - 1)
    }

    /// Whether cipher and integrity are one.
    pub const fn is_aead(self) -> bool {
        self.hmac().is_none()
    }

    /// The HMAC, if it is not an AEAD.
    pub const fn hmac(self) -> Option<Hmac> {
        match self {
            Self::Aes128Gcm16 | Self::Aes256Gcm16 | Self::ChaCha20Poly1305 => None,
            Self::Aes128Cbc(hmac) | Self::Aes256Cbc(hmac) => Some(hmac),
        }
    }
}

/// HMAC-SHA-2 with truncated output (RFC 4868).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hmac {
    /// HMAC-SHA2-256-128.
    Sha256,
    /// HMAC-SHA2-384-192.
    Sha384,
    /// HMAC-SHA2-512-256.
    Sha512,
}

impl Hmac {
    /// Octets of the key: those of the hash (RFC 4868 §2.1.1).
    pub const fn key_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Octets of the ICV: half of the hash (RFC 4868 §2.1).
    pub const fn icv_len(self) -> usize {
        self.key_len() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_padding_and_trailer_fill_whole_blocks_with_the_least_padding() {
        for transform in Transform::ALL {
            for inner_len in 0..200 {
                let pad = transform.pad_len(inner_len);
                assert!(pad < transform.block_len());
                assert_eq!((inner_len + pad + 2) % transform.block_len(), 0);
            }
        }
    }
}
