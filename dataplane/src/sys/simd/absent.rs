//! The units on an architecture that has none: types without a value.

use super::{Block, Sha2};

/// What has no value.
#[derive(Clone, Copy, Debug)]
enum Never {}

/// AES-NI.
#[derive(Clone, Copy, Debug)]
pub struct AesNi(Never);

impl AesNi {
    /// Never.
    pub const fn detect() -> Option<Self> {
        None
    }

    /// Cannot be called.
    pub const fn cbc_encrypt<const LANES: usize>(
        self,
        _keys: &RoundKeys,
        _chain: &mut [Block; LANES],
        _lanes: &mut [&mut [Block]; LANES],
    ) {
        match self.0 {}
    }
}

/// VAES with AVX-512.
#[derive(Clone, Copy, Debug)]
pub struct Vaes(Never);

impl Vaes {
    /// Never.
    pub const fn detect() -> Option<Self> {
        None
    }

    /// Cannot be called.
    pub const fn aes_ni(self) -> AesNi {
        match self.0 {}
    }

    /// Cannot be called.
    pub const fn cbc_encrypt<const QUADS: usize, const LANES: usize>(
        self,
        _keys: &RoundKeys,
        _chain: &mut [Block; LANES],
        _lanes: &mut [&mut [Block]; LANES],
    ) {
        match self.0 {}
    }

    /// Cannot be called.
    pub const fn cbc_decrypt(self, _keys: &RoundKeys, _iv: &Block, _blocks: &mut [Block]) {
        match self.0 {}
    }
}

/// The round keys of AES.
pub struct RoundKeys(Never);

impl RoundKeys {
    /// Cannot be called.
    pub const fn encrypting(unit: AesNi, _key: &[u8]) -> Option<Self> {
        match unit.0 {}
    }

    /// Cannot be called.
    pub const fn decrypting(unit: AesNi, _key: &[u8]) -> Option<Self> {
        match unit.0 {}
    }
}

/// Declares a unit for SHA-2 that is never found.
macro_rules! no_sha2 {
    ($unit:ident, $doc:literal, $word:ty, $lanes:literal, $block:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub struct $unit(Never);

        impl $unit {
            /// Never.
            pub const fn detect() -> Option<Self> {
                None
            }
        }

        impl Sha2<$word, $lanes, $block> for $unit {
            fn update(self, _states: &mut [[$word; $lanes]; 8], _lanes: &[&[[u8; $block]]; $lanes]) {
                match self.0 {}
            }

            fn update_words(self, _states: &mut [[$word; $lanes]; 8], _block: &[[$word; $lanes]; 16]) {
                match self.0 {}
            }
        }
    };
}

no_sha2!(Sha256Ni, "SHA-NI.", u32, 2, 64);
no_sha2!(Sha256x16, "AVX-512, for SHA-256.", u32, 16, 64);
no_sha2!(Sha512x8, "AVX-512, for SHA-384 and SHA-512.", u64, 8, 128);
