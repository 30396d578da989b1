//! The negotiated PRF, prf+ (RFC 7296 §2.13), and the HMACs of RFC 4868 below both PRF and integrity.

use hmac::{Hmac, KeyInit as _, Mac};
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::codec::iana::{IntegrityAlgorithm, PrfAlgorithm};

/// A pseudorandom function that has been negotiated and that we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prf(Hash);

impl Prf {
    /// The function of this number, if we have it.
    pub const fn new(algorithm: PrfAlgorithm) -> Option<Self> {
        match algorithm {
            PrfAlgorithm::HMAC_SHA2_256 => Some(Self(Hash::Sha256)),
            PrfAlgorithm::HMAC_SHA2_384 => Some(Self(Hash::Sha384)),
            PrfAlgorithm::HMAC_SHA2_512 => Some(Self(Hash::Sha512)),
            _ => None,
        }
    }

    /// Octets of its output, which is also its preferred key length (RFC 7296 §2.14).
    #[allow(
        clippy::len_without_is_empty,
        reason = "a length of the function, which has nothing to be empty of"
    )]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// prf(key, parts joined).
    pub fn compute(self, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        self.0.hmac(key, parts)
    }

    /// The first `n` octets of prf+(key, seed joined) (RFC 7296 §2.13).
    ///
    /// prf+ ends with its 255th block: what is asked for beyond that is left out.
    pub fn plus(self, key: &[u8], seed: &[&[u8]], n: usize) -> Zeroizing<Vec<u8>> {
        let capacity = n.next_multiple_of(self.len());
        let mut out = Zeroizing::new(Vec::with_capacity(capacity)); // never reallocated: no copy is left behind
        let mut block = Zeroizing::new(Vec::new());
        for counter in 1..=u8::MAX {
            if out.len() >= n {
                break;
            }
            let mut parts = Vec::with_capacity(seed.len().saturating_add(2));
            parts.push(block.as_slice());
            parts.extend_from_slice(seed);
            let counter = [counter];
            parts.push(&counter);
            block = self.compute(key, &parts);
            out.extend_from_slice(&block);
        }
        out.truncate(n);
        out
    }
}

/// An integrity algorithm that has been negotiated and that we have (RFC 4868).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integrity(Hash);

impl Integrity {
    /// The algorithm of this number, if we have it.
    pub const fn new(algorithm: IntegrityAlgorithm) -> Option<Self> {
        match algorithm {
            IntegrityAlgorithm::HMAC_SHA2_256_128 => Some(Self(Hash::Sha256)),
            IntegrityAlgorithm::HMAC_SHA2_384_192 => Some(Self(Hash::Sha384)),
            IntegrityAlgorithm::HMAC_SHA2_512_256 => Some(Self(Hash::Sha512)),
            _ => None,
        }
    }

    /// Octets of its key: those of the hash (RFC 4868 §2.1.1).
    pub const fn key_len(self) -> usize {
        self.0.len()
    }

    /// Octets of the truncated output: half of the hash (RFC 4868 §2.3).
    pub const fn icv_len(self) -> usize {
        self.0.len() / 2
    }

    /// The ICV over `data`.
    pub fn icv(self, key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut icv = self.0.hmac(key, &[data]);
        icv.truncate(self.icv_len());
        icv
    }

    /// Whether `icv` is that of `data`, in constant time.
    pub fn verify(self, key: &[u8], data: &[u8], icv: &[u8]) -> bool {
        self.icv(key, data).as_slice().ct_eq(icv).into()
    }
}

/// The hash below a HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha256 => hmac(Hmac::<Sha256>::new_from_slice(key), parts),
            Self::Sha384 => hmac(Hmac::<Sha384>::new_from_slice(key), parts),
            Self::Sha512 => hmac(Hmac::<Sha512>::new_from_slice(key), parts),
        }
    }
}

fn hmac<M: Mac, E: core::fmt::Debug>(keyed: Result<M, E>, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 §2)")]
    let mut mac = keyed.expect("HMAC takes any key");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().as_bytes().to_vec())
}
