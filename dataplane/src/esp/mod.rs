//! ESP in tunnel mode (RFC 4303): the transforms, and the two straight lines that packets walk.

mod aead;
mod cbc_hmac;
pub mod cipher;
pub mod decapsulate;
pub mod ecn;
pub mod encapsulate;
pub mod header;
pub mod multibuffer;
pub mod trailer;
pub mod transform;

#[cfg(test)]
mod vectors;
