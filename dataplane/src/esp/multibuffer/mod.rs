//! AES-CBC with HMAC-SHA-2 over the packets of a batch at once.
//!
//! CBC encryption and SHA-2 each wait for their last step, so that one packet leaves most of a core idle. The lanes of a
//! vector unit take several packets, which a batch has at hand: nothing waits to fill lanes, and what fills too few goes
//! the plain way, packet by packet.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod cbc;
mod hmac;
mod lane;
mod self_test;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub(super) use cbc::{DecryptLanes, EncryptLanes, LANES};
pub(super) use hmac::{HmacLanes, Tag};
pub(super) use lane::{Done, Lane, Lanes};

use crate::simd::{AesNi, Sha256Ni, Sha256x16, Sha512x8, Vaes};

/// The units in use, as `vaes+avx512+sha-ni`; `plain` where there is none.
pub fn selected() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| Units::trusted().name())
}

/// The vector units that batches are given to. What is `None` is done packet by packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Units {
    /// Encrypts nine to sixteen packets, and decrypts.
    vaes: Option<Vaes>,
    /// Encrypts up to eight packets.
    aes_ni: Option<AesNi>,
    /// Hashes sixteen packets.
    sha256_x16: Option<Sha256x16>,
    /// Hashes two packets.
    sha256_ni: Option<Sha256Ni>,
    /// Hashes eight packets.
    sha512_x8: Option<Sha512x8>,
}

impl Units {
    /// What the CPU has and what computes as the reference does, found out once.
    pub(super) fn trusted() -> Self {
        static TRUSTED: OnceLock<Units> = OnceLock::new();
        *TRUSTED.get_or_init(|| self_test::passed(Self::detect()))
    }

    /// What the CPU has.
    fn detect() -> Self {
        Self {
            vaes: Vaes::detect(),
            aes_ni: AesNi::detect(),
            sha256_x16: Sha256x16::detect(),
            sha256_ni: Sha256Ni::detect(),
            sha512_x8: Sha512x8::detect(),
        }
    }

    /// What either has.
    fn or(self, other: Self) -> Self {
        Self {
            vaes: self.vaes.or(other.vaes),
            aes_ni: self.aes_ni.or(other.aes_ni),
            sha256_x16: self.sha256_x16.or(other.sha256_x16),
            sha256_ni: self.sha256_ni.or(other.sha256_ni),
            sha512_x8: self.sha512_x8.or(other.sha512_x8),
        }
    }

    fn name(self) -> String {
        let aes = if self.vaes.is_some() { Some("vaes") } else { self.aes_ni.map(|_| "aes-ni") };
        let avx512 = (self.sha256_x16.is_some() || self.sha512_x8.is_some()).then_some("avx512");
        let sha_ni = self.sha256_ni.map(|_| "sha-ni");
        let names: Vec<_> = [aes, avx512, sha_ni].into_iter().flatten().collect();
        if names.is_empty() { "plain".into() } else { names.join("+") }
    }
}
