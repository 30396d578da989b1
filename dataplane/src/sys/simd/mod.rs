//! AES-CBC and SHA-2 over several messages at once, with the vector instructions of x86-64. Knows octets and blocks, not
//! ESP.
//!
//! Each unit is a value that only its `detect` makes, and only where the CPU has the unit's instructions: who holds
//! one may use them. On other architectures no unit is ever found.

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(not(target_arch = "x86_64"))]
pub use absent::{AesNi, RoundKeys, Sha256Ni, Sha256x16, Sha512x8, Vaes};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{AesNi, RoundKeys, Sha256Ni, Sha256x16, Sha512x8, Vaes};

/// A block of AES.
pub type Block = [u8; 16];

/// The compression function of SHA-2 with words of `W`, over `LANES` messages at once.
pub trait Sha2<W, const LANES: usize, const BLOCK: usize>: Copy {
    /// Hashes the blocks of each lane into its column of `states`. The lanes may have different lengths, but cost what the
    /// longest costs.
    fn update(self, states: &mut [[W; LANES]; 8], lanes: &[&[[u8; BLOCK]]; LANES]);

    /// Hashes one block of each lane: `block` has its words in columns.
    fn update_words(self, states: &mut [[W; LANES]; 8], block: &[[W; LANES]; 16]);
}
