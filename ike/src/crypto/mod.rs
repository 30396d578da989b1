//! Cryptography of IKEv2: key exchange, PRF and key material, AUTH octets, protection of messages.
//!
//! Nothing here keeps state of an exchange, and nothing asks the operating system for randomness: it comes through
//! [`Random`], so that a test can repeat a whole handshake octet by octet.

pub mod aead;
pub mod auth;
pub mod cbc;
pub mod certificate;
pub mod dh;
pub mod job;
pub mod keymat;
pub mod prf;
pub mod protect;
pub mod signature;

/// A source of randomness. The driver's must be fit for keys; a test's may be a counter.
pub trait Random: Send {
    /// Overwrites `out`.
    fn fill(&mut self, out: &mut [u8]);
}
