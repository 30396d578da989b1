//! Signatures of AUTH: the schemes of RFC 7427 and RFC 8420, the older methods of RFC 4754, and private keys.
//!
//! A private key is a [`Signer`], which the caller brings: randomness enters with it, and the key may be elsewhere.

use std::sync::Arc;

use ring::rand::SecureRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};
use webpki::ring as verify;

use crate::codec::iana::HashAlgorithm;

/// How a signature is made: key type, padding and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PSS with SHA2-256, for the mask too, and a salt of its length (RFC 8017 §8.1).
    RsaPssSha256,
    /// RSASSA-PSS with SHA2-384.
    RsaPssSha384,
    /// RSASSA-PSS with SHA2-512.
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA2-256 (RFC 8017 §8.2).
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA2-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA2-512.
    RsaPkcs1Sha512,
    /// ECDSA with SHA2-256; the curve is the key's.
    EcdsaSha256,
    /// ECDSA with SHA2-384; the curve is the key's.
    EcdsaSha384,
    /// Ed25519 (RFC 8420).
    Ed25519,
}

impl Scheme {
    /// All, the preferred first.
    pub const ALL: [Self; 9] = [
        Self::Ed25519,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
    ];

    /// The hash, as SIGNATURE_HASH_ALGORITHMS names it; Ed25519 hashes by itself (RFC 8420 §2).
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::RsaPssSha256 | Self::RsaPkcs1Sha256 | Self::EcdsaSha256 => HashAlgorithm::SHA2_256,
            Self::RsaPssSha384 | Self::RsaPkcs1Sha384 | Self::EcdsaSha384 => HashAlgorithm::SHA2_384,
            Self::RsaPssSha512 | Self::RsaPkcs1Sha512 => HashAlgorithm::SHA2_512,
            Self::Ed25519 => HashAlgorithm::IDENTITY,
        }
    }

    /// Authentication Data of method 14: the length of the AlgorithmIdentifier, it, the signature (RFC 7427 §3).
    pub fn emit(self, signature: &[u8]) -> Vec<u8> {
        let identifier = sequence(&self.identifier());
        let mut data = Vec::with_capacity(1 + identifier.len() + signature.len());
        data.extend(u8::try_from(identifier.len())); // 67 at most
        data.extend_from_slice(&identifier);
        data.extend_from_slice(signature);
        data
    }

    /// The scheme and the signature in the Authentication Data of method 14. `None`: malformed, or a scheme that we do
    /// not have, SHA-1 among them.
    pub fn parse(data: &[u8]) -> Option<(Self, &[u8])> {
        let (&len, rest) = data.split_first()?;
        let (identifier, signature) = rest.split_at_checked(usize::from(len))?;
        let is_named = |scheme: &Self| scheme.written().iter().any(|der| sequence(der) == identifier);
        Self::ALL.into_iter().find(is_named).map(|scheme| (scheme, signature))
    }

    /// What verifies it, one for each kind of key; that of the hash's own curve first.
    pub(super) fn verifiers(self) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
        match self {
            Self::RsaPssSha256 => vec![verify::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
            Self::RsaPssSha384 => vec![verify::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
            Self::RsaPssSha512 => vec![verify::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
            Self::RsaPkcs1Sha256 => vec![verify::RSA_PKCS1_2048_8192_SHA256],
            Self::RsaPkcs1Sha384 => vec![verify::RSA_PKCS1_2048_8192_SHA384],
            Self::RsaPkcs1Sha512 => vec![verify::RSA_PKCS1_2048_8192_SHA512],
            Self::EcdsaSha256 => vec![verify::ECDSA_P256_SHA256, verify::ECDSA_P384_SHA256],
            Self::EcdsaSha384 => vec![verify::ECDSA_P384_SHA384, verify::ECDSA_P256_SHA384],
            Self::Ed25519 => vec![verify::ED25519],
        }
    }

    /// The contents of the AlgorithmIdentifier that we write.
    const fn identifier(self) -> AlgorithmIdentifier {
        match self {
            Self::RsaPssSha256 => alg_id::RSA_PSS_SHA256,
            Self::RsaPssSha384 => alg_id::RSA_PSS_SHA384,
            Self::RsaPssSha512 => alg_id::RSA_PSS_SHA512,
            Self::RsaPkcs1Sha256 => alg_id::RSA_PKCS1_SHA256,
            Self::RsaPkcs1Sha384 => alg_id::RSA_PKCS1_SHA384,
            Self::RsaPkcs1Sha512 => alg_id::RSA_PKCS1_SHA512,
            Self::EcdsaSha256 => alg_id::ECDSA_SHA256,
            Self::EcdsaSha384 => alg_id::ECDSA_SHA384,
            Self::Ed25519 => alg_id::ED25519,
        }
    }

    /// Every way in which a peer may write it: a hash's parameters are NULL or absent (RFC 4055 §2.1).
    fn written(self) -> Vec<Vec<u8>> {
        let ours = self.identifier().to_vec();
        let other = match self {
            Self::RsaPssSha256 => Some(pss_without_nulls(1, 32)),
            Self::RsaPssSha384 => Some(pss_without_nulls(2, 48)),
            Self::RsaPssSha512 => Some(pss_without_nulls(3, 64)),
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => {
                ours.strip_suffix(NULL).map(<[u8]>::to_vec)
            }
            Self::EcdsaSha256 | Self::EcdsaSha384 | Self::Ed25519 => None,
        };
        other.into_iter().chain([ours]).collect()
    }
}

/// The hashes in a SIGNATURE_HASH_ALGORITHMS notify (RFC 7427 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashes(u8);

impl Hashes {
    /// Those that we verify with.
    pub const OURS: [HashAlgorithm; 4] =
        [HashAlgorithm::SHA2_256, HashAlgorithm::SHA2_384, HashAlgorithm::SHA2_512, HashAlgorithm::IDENTITY];

    /// Reads the notify's data. Numbers that have no use here, and an odd last octet, are skipped.
    pub fn parse(data: &[u8]) -> Self {
        let (numbers, _) = data.as_chunks::<2>();
        let known = |number: &[u8; 2]| bit(HashAlgorithm(u16::from_be_bytes(*number)));
        Self(numbers.iter().fold(0, |set, number| set | known(number)))
    }

    /// The notify's data with [`Self::OURS`].
    pub fn emit_ours() -> Vec<u8> {
        Self::OURS.iter().flat_map(|hash| hash.0.to_be_bytes()).collect()
    }

    /// Whether the peer can check signatures with it.
    pub const fn contains(self, hash: HashAlgorithm) -> bool {
        self.0 & bit(hash) != 0
    }

    /// The peer announced none: it knows only the methods of before RFC 7427.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Display for Hashes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let named = Self::OURS.into_iter().filter(|hash| self.contains(*hash));
        let names: Vec<String> = named.map(|hash| hash.to_string()).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

/// A private key, wherever it is.
pub trait Signer: Send + Sync {
    /// What it can sign with, the preferred first.
    fn schemes(&self) -> &[Scheme];

    /// The signature over `octets`, with one of [`Self::schemes`]. ECDSA in DER (RFC 3279 §2.2.3).
    fn sign(&self, scheme: Scheme, octets: &[u8]) -> Option<Vec<u8>>;
}

/// A private key in memory.
pub struct PrivateKey {
    pair: KeyPair,
    random: Arc<dyn SecureRandom + Send + Sync>,
}

enum KeyPair {
    Rsa(Box<RsaKeyPair>),
    EcdsaP256(EcdsaKeyPair),
    EcdsaP384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// A key in PKCS #8, or an RSA key in PKCS #1. `None` where it is neither, or of a kind that we cannot sign with:
    /// RSA of 2048 to 4096 bits, P-256, P-384 and Ed25519 are possible.
    pub fn from_der(der: &[u8], random: Arc<dyn SecureRandom + Send + Sync>) -> Option<Self> {
        let ecdsa = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, der, &*random).ok();
        let rsa = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok();
        let pair = rsa
            .map(|pair| KeyPair::Rsa(Box::new(pair)))
            .or_else(|| ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING).map(KeyPair::EcdsaP256))
            .or_else(|| ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING).map(KeyPair::EcdsaP384))
            .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(KeyPair::Ed25519))?;
        Some(Self { pair, random })
    }
}

impl Signer for PrivateKey {
    fn schemes(&self) -> &[Scheme] {
        match &self.pair {
            KeyPair::Rsa(_) => RSA,
            KeyPair::EcdsaP256(_) => &[Scheme::EcdsaSha256],
            KeyPair::EcdsaP384(_) => &[Scheme::EcdsaSha384],
            KeyPair::Ed25519(_) => &[Scheme::Ed25519],
        }
    }

    fn sign(&self, scheme: Scheme, octets: &[u8]) -> Option<Vec<u8>> {
        if !self.schemes().contains(&scheme) {
            return None;
        }
        match &self.pair {
            KeyPair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(rsa_encoding(scheme)?, &*self.random, octets, &mut signature).ok()?;
                Some(signature)
            }
            KeyPair::EcdsaP256(pair) | KeyPair::EcdsaP384(pair) => {
                pair.sign(&*self.random, octets).ok().map(|signature| signature.as_ref().to_vec())
            }
            KeyPair::Ed25519(pair) => Some(pair.sign(octets).as_ref().to_vec()),
        }
    }
}

/// An ECDSA signature as the methods of RFC 4754 have it: r | s, each of `len` octets.
pub(crate) fn ecdsa_fixed(der: &[u8], len: usize) -> Option<Vec<u8>> {
    let integers = der.strip_prefix(&[SEQUENCE])?;
    let (&total, integers) = integers.split_first()?; // below 128 for curves up to P-384
    let (r, rest) = integer(integers)?;
    let (s, []) = integer(rest)? else { return None };
    if usize::from(total) != integers.len() || r.len() > len || s.len() > len {
        return None;
    }
    let mut fixed = vec![0; len - r.len()];
    fixed.extend_from_slice(r);
    fixed.resize(2 * len - s.len(), 0);
    fixed.extend_from_slice(s);
    Some(fixed)
}

/// The DER of an ECDSA signature r | s, whose halves are equally long.
pub(super) fn ecdsa_der(fixed: &[u8]) -> Option<Vec<u8>> {
    if !fixed.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = fixed.split_at_checked(fixed.len() / 2)?;
    let mut integers = Vec::with_capacity(fixed.len() + 6);
    for number in [r, s] {
        let zeros = number.iter().take_while(|octet| **octet == 0).count();
        let digits = number.get(zeros..).unwrap_or_default();
        // An integer has a sign; zero has one digit.
        let padded = digits.first().is_none_or(|first| first & 0x80 != 0);
        integers.extend([INTEGER, u8::try_from(digits.len() + usize::from(padded)).ok()?]);
        integers.extend(padded.then_some(0));
        integers.extend_from_slice(digits);
    }
    (integers.len() < LONG_FORM).then(|| sequence(&integers))
}

/// The digits of a positive INTEGER, and what is behind it.
fn integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = der.strip_prefix(&[INTEGER])?.split_first()?;
    let (digits, rest) = rest.split_at_checked(usize::from(len))?;
    Some((digits.strip_prefix(&[0]).unwrap_or(digits), rest))
}

/// A SEQUENCE of contents shorter than 128 octets.
fn sequence(contents: &[u8]) -> Vec<u8> {
    let len = u8::try_from(contents.len()).unwrap_or(u8::MAX);
    [&[SEQUENCE, len], contents].concat()
}

/// id-RSASSA-PSS with a hash of the SHA-2 family (the last number of its OID) whose parameters are absent.
fn pss_without_nulls(hash: u8, salt_len: u8) -> Vec<u8> {
    let hash = sequence(&[SHA2, &[hash]].concat());
    let mask = sequence(&[MGF1, &hash].concat());
    let explicit = |tag: u8, value: &[u8]| {
        let len = u8::try_from(value.len()).unwrap_or(u8::MAX);
        [&[tag, len], value].concat()
    };
    let salt = [INTEGER, 1, salt_len];
    let parameters = [explicit(0xa0, &hash), explicit(0xa1, &mask), explicit(0xa2, &salt)].concat();
    [RSASSA_PSS, &sequence(&parameters)].concat()
}

fn rsa_encoding(scheme: Scheme) -> Option<&'static dyn RsaEncoding> {
    Some(match scheme {
        Scheme::RsaPssSha256 => &RSA_PSS_SHA256,
        Scheme::RsaPssSha384 => &RSA_PSS_SHA384,
        Scheme::RsaPssSha512 => &RSA_PSS_SHA512,
        Scheme::RsaPkcs1Sha256 => &RSA_PKCS1_SHA256,
        Scheme::RsaPkcs1Sha384 => &RSA_PKCS1_SHA384,
        Scheme::RsaPkcs1Sha512 => &RSA_PKCS1_SHA512,
        Scheme::EcdsaSha256 | Scheme::EcdsaSha384 | Scheme::Ed25519 => return None,
    })
}

const fn bit(hash: HashAlgorithm) -> u8 {
    match hash {
        HashAlgorithm::SHA2_256 => 1,
        HashAlgorithm::SHA2_384 => 2,
        HashAlgorithm::SHA2_512 => 4,
        HashAlgorithm::IDENTITY => 8,
        _ => 0,
    }
}

/// PSS first: RFC 8247 §3 asks for it, and a peer of RFC 7427 verifies it whatever it signs with.
const RSA: &[Scheme] = &[
    Scheme::RsaPssSha256,
    Scheme::RsaPssSha384,
    Scheme::RsaPssSha512,
    Scheme::RsaPkcs1Sha256,
    Scheme::RsaPkcs1Sha384,
    Scheme::RsaPkcs1Sha512,
];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const NULL: &[u8] = &[0x05, 0x00];
/// The first length of DER that has octets of its own.
const LONG_FORM: usize = 0x80;
/// 1.2.840.113549.1.1.10.
const RSASSA_PSS: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// 1.2.840.113549.1.1.8.
const MGF1: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// 2.16.840.1.101.3.4.2, with the length of what is one number longer.
const SHA2: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_is_read_as_it_is_written() {
        for scheme in Scheme::ALL {
            let data = scheme.emit(b"signature");
            assert_eq!(Scheme::parse(&data), Some((scheme, b"signature".as_slice())), "{scheme:?}");
            for len in 0..data.len() - b"signature".len() {
                assert_eq!(Scheme::parse(&data[..len]), None, "{scheme:?} cut to {len}");
            }
            for der in scheme.written() {
                let identifier = sequence(&der);
                let data = [&[u8::try_from(identifier.len()).unwrap()], identifier.as_slice()].concat();
                assert_eq!(Scheme::parse(&data), Some((scheme, [].as_slice())));
            }
        }
    }

    /// RFC 7427 Appendix A.1.1 and A.4.3.
    #[test]
    fn sha1_is_not_among_the_schemes_and_sha256_is_as_published() {
        let sha1 = [15, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 5, 5, 0];
        assert_eq!(Scheme::parse(&sha1), None);
        let pss = "3041 0609 2a86 4886 f70d 0101 0a30 34a0 0f30 0d06 0960 8648 0165 0304 0201 0500 a11c 301a 0609 \
                   2a86 4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0201 0500 a203 0201 20";
        let digits: Vec<u8> = pss.bytes().filter(u8::is_ascii_hexdigit).collect();
        let octets: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(Scheme::RsaPssSha256.emit(&[]), [[67].as_slice(), &octets].concat());
    }

    #[test]
    fn ecdsa_numbers_keep_their_value_and_their_length() {
        for (r, s) in [(0x80_u8, 1_u8), (0, 0), (0x7f, 0xff)] {
            let mut fixed = vec![0; 64];
            fixed[31] = r;
            fixed[32] = s;
            let der = ecdsa_der(&fixed).unwrap();
            assert_eq!(ecdsa_fixed(&der, 32).unwrap(), fixed, "{r} {s}");
        }
        assert_eq!(ecdsa_der(&[0; 64]).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        assert_eq!(ecdsa_der(&[0; 63]), None);
        assert_eq!(ecdsa_der(&[1; 600]), None);
    }

    #[test]
    fn hashes_without_use_are_skipped() {
        let hashes = Hashes::parse(&[0, 1, 0, 2, 0xff, 0xff, 0, 5, 9]);
        assert!(hashes.contains(HashAlgorithm::SHA2_256) && hashes.contains(HashAlgorithm::IDENTITY));
        assert!(!hashes.contains(HashAlgorithm::SHA1) && !hashes.contains(HashAlgorithm::SHA2_384));
        assert!(Hashes::parse(&[0, 1]).is_empty());
        assert_eq!(hashes.to_string(), "SHA2-256, Identity");
    }
}
