//! The vector units of x86-64.

mod aes_keys;
mod aes_ni;
mod sha256_ni;
mod sha256_x16;
mod sha2_constants;
mod sha2_wide;
mod sha512_x8;
mod vaes;

pub use aes_keys::RoundKeys;
pub use aes_ni::AesNi;
pub use sha256_ni::Sha256Ni;
pub use sha256_x16::Sha256x16;
pub use sha512_x8::Sha512x8;
pub use vaes::Vaes;
