//! Key material: SKEYSEED, the keys of an IKE SA (RFC 7296 §2.14, §2.18) and those of a child SA (§2.17).

use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::dh::SharedSecret;
use super::prf::{Integrity, Prf};
use crate::suite::{Cipher, EspSuite, IkeSuite};

/// SKEYSEED, from which the keys of one IKE SA come.
#[derive(ZeroizeOnDrop)]
pub struct SkeySeed(Vec<u8>);

impl SkeySeed {
    /// That of the initial exchange: prf(Ni | Nr, g^ir) (RFC 7296 §2.14).
    pub fn initial(prf: Prf, nonce_i: &[u8], nonce_r: &[u8], shared: &SharedSecret) -> Self {
        let key = Zeroizing::new([nonce_i, nonce_r].concat());
        Self::take(prf.compute(&key, &[shared.as_bytes()]))
    }

    /// That of an IKE SA which replaces another: prf(SK_d (old), g^ir (new) | Ni | Nr) (RFC 7296 §2.18).
    ///
    /// `prf` is the old SA's; the keys of the new one are derived with its own.
    pub fn rekey(prf: Prf, sk_d: &SkD, nonce_i: &[u8], nonce_r: &[u8], shared: &SharedSecret) -> Self {
        Self::take(prf.compute(sk_d.as_bytes(), &[shared.as_bytes(), nonce_i, nonce_r]))
    }

    fn take(mut seed: Zeroizing<Vec<u8>>) -> Self {
        Self(core::mem::take(&mut *seed))
    }
}

/// Defines one type a key, so that none is taken for another.
macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, ZeroizeOnDrop)]
        pub struct $name(Vec<u8>);

        impl $name {
            /// The key's octets.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}

keys! {
    /// SK_d: the keys of children, and of the IKE SA that replaces this one, come from it.
    SkD,
    /// SK_ai: integrity of what the original initiator sends; empty where the cipher is an AEAD.
    SkAi,
    /// SK_ar: integrity of what the original responder sends; empty where the cipher is an AEAD.
    SkAr,
    /// SK_ei: cipher of what the original initiator sends, with the AEAD's salt behind the key (RFC 5282 §7.1).
    SkEi,
    /// SK_er: cipher of what the original responder sends, with the AEAD's salt behind the key.
    SkEr,
    /// SK_pi: AUTH of the original initiator.
    SkPi,
    /// SK_pr: AUTH of the original responder.
    SkPr,
}

/// The keys of an IKE SA, in the order in which prf+ gives them.
#[derive(Clone, Debug)]
pub struct IkeKeys {
    /// SK_d.
    pub d: SkD,
    /// SK_ai.
    pub ai: SkAi,
    /// SK_ar.
    pub ar: SkAr,
    /// SK_ei.
    pub ei: SkEi,
    /// SK_er.
    pub er: SkEr,
    /// SK_pi.
    pub pi: SkPi,
    /// SK_pr.
    pub pr: SkPr,
}

impl IkeKeys {
    /// Cuts prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) into keys (RFC 7296 §2.14). `None`: an algorithm that we do not have.
    pub fn derive(
        suite: &IkeSuite,
        skeyseed: &SkeySeed,
        nonce_i: &[u8],
        nonce_r: &[u8],
        spi_i: u64,
        spi_r: u64,
    ) -> Option<Self> {
        let prf = Prf::new(suite.prf)?;
        let encryption = cipher_key_len(suite.cipher);
        let integrity = match suite.integrity {
            Some(algorithm) => Integrity::new(algorithm)?.key_len(),
            None => 0,
        };
        let lengths = [prf.len(), integrity, integrity, encryption, encryption, prf.len(), prf.len()];
        let seed = [nonce_i, nonce_r, &spi_i.to_be_bytes(), &spi_r.to_be_bytes()];
        let keymat = prf.plus(&skeyseed.0, &seed, lengths.iter().sum());
        let [d, ai, ar, ei, er, pi, pr] = cut(&keymat, lengths);
        Some(Self {
            d: SkD(d),
            ai: SkAi(ai),
            ar: SkAr(ar),
            ei: SkEi(ei),
            er: SkEr(er),
            pi: SkPi(pi),
            pr: SkPr(pr),
        })
    }
}

/// Key material of one direction of a child SA (RFC 7296 §2.17), in the order of KEYMAT.
#[derive(Clone, ZeroizeOnDrop)]
pub struct EspKeys {
    /// Cipher key, with the 4-octet salt behind it where the cipher is an AEAD (RFC 4106 §8.1, RFC 7634 §4).
    pub encryption: Vec<u8>,
    /// Integrity key; empty where the cipher is an AEAD.
    pub integrity: Vec<u8>,
}

impl core::fmt::Debug for EspKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EspKeys(..)")
    }
}

/// The keys of a child SA: what the exchange's initiator sends with, and what its responder sends with.
///
/// KEYMAT = prf+(SK_d, [g^ir (new)] | Ni | Nr) (RFC 7296 §2.17). Initiator and nonces are those of the exchange that
/// makes the child. An integrity algorithm that we do not have gets no key; nothing can be protected with it either.
pub fn child_keymat(
    prf: Prf,
    sk_d: &SkD,
    shared: Option<&SharedSecret>,
    nonce_i: &[u8],
    nonce_r: &[u8],
    suite: &EspSuite,
) -> (EspKeys, EspKeys) {
    let encryption = cipher_key_len(suite.cipher);
    let integrity = suite.integrity.and_then(Integrity::new).map_or(0, Integrity::key_len);
    let lengths = [encryption, integrity, encryption, integrity];
    let shared = shared.map_or(&[][..], SharedSecret::as_bytes);
    let keymat = prf.plus(sk_d.as_bytes(), &[shared, nonce_i, nonce_r], lengths.iter().sum());
    let [encryption_i, integrity_i, encryption_r, integrity_r] = cut(&keymat, lengths);
    let initiator = EspKeys { encryption: encryption_i, integrity: integrity_i };
    let responder = EspKeys { encryption: encryption_r, integrity: integrity_r };
    (initiator, responder)
}

const fn cipher_key_len(cipher: Cipher) -> usize {
    cipher.key_len().saturating_add(cipher.salt_len())
}

/// Cuts consecutive keys off the front. What is missing at the end would be a shorter key, which no cipher takes.
fn cut<const N: usize>(mut octets: &[u8], lengths: [usize; N]) -> [Vec<u8>; N] {
    lengths.map(|length| {
        let (key, rest) = octets.split_at(length.min(octets.len()));
        octets = rest;
        key.to_vec()
    })
}
