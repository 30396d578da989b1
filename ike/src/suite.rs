//! Suites: the transforms that belong together, in strongSwan's keywords (`aes256-sha256-modp2048`), which operators know.
//!
//! What RFC 8247 and RFC 8221 call weak is refused with its reason; a suite that exists is one that we can run.

use core::fmt;
use core::str::FromStr;

use crate::codec::iana::{EncryptionAlgorithm, Group, IntegrityAlgorithm, PrfAlgorithm};

/// A cipher with its key length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cipher {
    /// Transform ID.
    pub algorithm: EncryptionAlgorithm,
    /// Key length in bits, without an AEAD's salt.
    pub key_bits: u16,
}

impl Cipher {
    /// AES-CBC with a 128-bit key (RFC 3602).
    pub const AES_128_CBC: Self = Self { algorithm: EncryptionAlgorithm::AES_CBC, key_bits: 128 };
    /// AES-CBC with a 256-bit key (RFC 3602).
    pub const AES_256_CBC: Self = Self { algorithm: EncryptionAlgorithm::AES_CBC, key_bits: 256 };
    /// AES-GCM with a 16-octet ICV and a 128-bit key (RFC 4106, RFC 5282).
    pub const AES_128_GCM_16: Self = Self { algorithm: EncryptionAlgorithm::AES_GCM_16, key_bits: 128 };
    /// AES-GCM with a 16-octet ICV and a 256-bit key (RFC 4106, RFC 5282).
    pub const AES_256_GCM_16: Self = Self { algorithm: EncryptionAlgorithm::AES_GCM_16, key_bits: 256 };
    /// ChaCha20-Poly1305 (RFC 7634).
    pub const CHACHA20_POLY1305: Self =
        Self { algorithm: EncryptionAlgorithm::CHACHA20_POLY1305, key_bits: 256 };

    /// True if the cipher authenticates by itself (RFC 5282).
    pub const fn is_aead(self) -> bool {
        self.algorithm.0 != EncryptionAlgorithm::AES_CBC.0
    }

    /// Octets of the key, without the salt.
    pub const fn key_len(self) -> usize {
        self.key_bits as usize / 8
    }

    /// Octets of the salt that KEYMAT carries behind an AEAD's key.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 4 } else { 0 }
    }

    fn keyword(self) -> &'static str {
        match self {
            Self::AES_128_CBC => "aes128",
            Self::AES_256_CBC => "aes256",
            Self::AES_128_GCM_16 => "aes128gcm16",
            Self::AES_256_GCM_16 => "aes256gcm16",
            Self::CHACHA20_POLY1305 => "chacha20poly1305",
            _ => "unknown",
        }
    }
}

/// The transforms of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IkeSuite {
    /// Cipher.
    pub cipher: Cipher,
    /// Integrity; `None` with an AEAD.
    pub integrity: Option<IntegrityAlgorithm>,
    /// Pseudorandom function.
    pub prf: PrfAlgorithm,
    /// Key exchange group.
    pub group: Group,
}

/// The transforms of a child SA. Extended sequence numbers are negotiated beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EspSuite {
    /// Cipher.
    pub cipher: Cipher,
    /// Integrity; `None` with an AEAD.
    pub integrity: Option<IntegrityAlgorithm>,
    /// Group of the key exchange at a rekey (PFS); `None`: keys come from SK_d alone.
    pub group: Option<Group>,
}

/// Why a text is no suite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// A keyword nobody knows.
    #[error("{0:?} is no algorithm keyword; known are {KNOWN}")]
    Unknown(String),
    /// A keyword that is known and not accepted.
    #[error("{keyword} is refused: {why}")]
    Refused {
        /// The keyword.
        keyword: String,
        /// Why, with what to use instead.
        why: &'static str,
    },
    /// Two of one kind.
    #[error("two {0} keywords; one suite has one, write a second suite beside it")]
    Twice(&'static str),
    /// A part is missing.
    #[error("no {0}")]
    Missing(&'static str),
    /// A part that has no place here.
    #[error("{0} has no place in an ESP suite")]
    OutOfPlace(String),
}

const KNOWN: &str = "aes128, aes256, aes128gcm16, aes256gcm16, chacha20poly1305; sha256, sha384, sha512; \
     prfsha256, prfsha384, prfsha512; modp2048, modp3072, modp4096, ecp256, ecp384, curve25519";

impl FromStr for IkeSuite {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let Keywords { cipher, hash, prf, group } = Keywords::parse(text)?;
        let cipher = cipher.ok_or(SuiteError::Missing(CIPHER))?;
        let group = group.ok_or(SuiteError::Missing("key exchange group (modp2048, ecp256, …)"))?;
        let prf = prf.or(hash).ok_or(SuiteError::Missing("hash (sha256, sha384 or sha512)"))?.prf();
        let integrity = match (cipher.is_aead(), hash) {
            (true, _) => None,
            (false, Some(hash)) => Some(hash.integrity()),
            (false, None) => return Err(SuiteError::Missing("integrity (sha256, sha384 or sha512)")),
        };
        Ok(Self { cipher, integrity, prf, group })
    }
}

impl FromStr for EspSuite {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let Keywords { cipher, hash, prf, group } = Keywords::parse(text)?;
        let cipher = cipher.ok_or(SuiteError::Missing(CIPHER))?;
        if prf.is_some() {
            return Err(SuiteError::OutOfPlace("a PRF".into()));
        }
        let integrity = match (cipher.is_aead(), hash) {
            (true, None) => None,
            (true, Some(_)) => {
                let why = format!("integrity beside {}, which authenticates by itself,", cipher.keyword());
                return Err(SuiteError::OutOfPlace(why));
            }
            (false, Some(hash)) => Some(hash.integrity()),
            (false, None) => return Err(SuiteError::Missing("integrity (sha256, sha384 or sha512)")),
        };
        Ok(Self { cipher, integrity, group })
    }
}

impl fmt::Display for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cipher.keyword())?;
        let prf = Hash::of_prf(self.prf);
        let integrity = self.integrity.and_then(Hash::of_integrity);
        match integrity {
            Some(hash) if Some(hash) == prf => write!(f, "-{}", hash.keyword())?,
            Some(hash) => write!(f, "-{}-prf{}", hash.keyword(), prf.map_or("?", Hash::keyword))?,
            None => write!(f, "-{}", prf.map_or("?", Hash::keyword))?,
        }
        write!(f, "-{}", group_keyword(self.group))
    }
}

impl fmt::Display for EspSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cipher.keyword())?;
        if let Some(hash) = self.integrity.and_then(Hash::of_integrity) {
            write!(f, "-{}", hash.keyword())?;
        }
        match self.group {
            Some(group) => write!(f, "-{}", group_keyword(group)),
            None => Ok(()),
        }
    }
}

/// SHA-2, as it serves for integrity and for the PRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn keyword(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn integrity(self) -> IntegrityAlgorithm {
        match self {
            Self::Sha256 => IntegrityAlgorithm::HMAC_SHA2_256_128,
            Self::Sha384 => IntegrityAlgorithm::HMAC_SHA2_384_192,
            Self::Sha512 => IntegrityAlgorithm::HMAC_SHA2_512_256,
        }
    }

    fn prf(self) -> PrfAlgorithm {
        match self {
            Self::Sha256 => PrfAlgorithm::HMAC_SHA2_256,
            Self::Sha384 => PrfAlgorithm::HMAC_SHA2_384,
            Self::Sha512 => PrfAlgorithm::HMAC_SHA2_512,
        }
    }

    fn of_integrity(integrity: IntegrityAlgorithm) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.integrity() == integrity)
    }

    fn of_prf(prf: PrfAlgorithm) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.prf() == prf)
    }
}

/// The parts of a suite's text, each at most once.
#[derive(Default)]
struct Keywords {
    cipher: Option<Cipher>,
    hash: Option<Hash>,
    prf: Option<Hash>,
    group: Option<Group>,
}

impl Keywords {
    fn parse(text: &str) -> Result<Self, SuiteError> {
        let mut parts = Self::default();
        for word in text.split('-') {
            parts.add(word.trim())?;
        }
        Ok(parts)
    }

    fn add(&mut self, word: &str) -> Result<(), SuiteError> {
        if let Some(cipher) = cipher(word) {
            once(&mut self.cipher, cipher, CIPHER)
        } else if let Some(hash) = hash(word) {
            once(&mut self.hash, hash, "integrity")
        } else if let Some(prf) = word.strip_prefix("prf").and_then(hash) {
            once(&mut self.prf, prf, "PRF")
        } else if let Some(group) = group(word) {
            once(&mut self.group, group, "group")
        } else {
            Err(refusal(word))
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T, kind: &'static str) -> Result<(), SuiteError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SuiteError::Twice(kind)),
    }
}

fn cipher(word: &str) -> Option<Cipher> {
    Some(match word {
        "aes128" | "aes" => Cipher::AES_128_CBC,
        "aes256" => Cipher::AES_256_CBC,
        "aes128gcm16" | "aes128gcm128" | "aes128gcm" => Cipher::AES_128_GCM_16,
        "aes256gcm16" | "aes256gcm128" | "aes256gcm" => Cipher::AES_256_GCM_16,
        "chacha20poly1305" => Cipher::CHACHA20_POLY1305,
        _ => return None,
    })
}

fn hash(word: &str) -> Option<Hash> {
    Some(match word {
        "sha256" | "sha2_256" => Hash::Sha256,
        "sha384" | "sha2_384" => Hash::Sha384,
        "sha512" | "sha2_512" => Hash::Sha512,
        _ => return None,
    })
}

fn group(word: &str) -> Option<Group> {
    GROUPS.into_iter().find(|(keyword, _)| *keyword == word).map(|(_, group)| group)
}

fn group_keyword(group: Group) -> &'static str {
    GROUPS.into_iter().find(|(_, known)| *known == group).map_or("unknown", |(keyword, _)| keyword)
}

/// The first keyword of a group is the one that is shown.
const GROUPS: [(&str, Group); 7] = [
    ("modp2048", Group::MODP_2048),
    ("modp3072", Group::MODP_3072),
    ("modp4096", Group::MODP_4096),
    ("ecp256", Group::ECP_256),
    ("ecp384", Group::ECP_384),
    ("curve25519", Group::CURVE25519),
    ("x25519", Group::CURVE25519),
];

fn refusal(word: &str) -> SuiteError {
    let why = match word {
        "3des" | "des" | "null" | "blowfish" | "cast128" => {
            "the cipher is obsolete (RFC 8221 §5); use aes256gcm16 or aes256"
        }
        "sha1" | "sha" | "md5" | "prfsha1" | "prfmd5" | "aesxcbc" => {
            "the hash is obsolete (RFC 8247 §2); use sha256 or better"
        }
        "modp768" | "modp1024" | "modp1536" | "modp1024s160" => {
            "the group is too small (RFC 8247 §2.4); use modp2048 (group 14) or better"
        }
        "modp2048s224" | "modp2048s256" => {
            "its small subgroups need checks that peers skip (RFC 8247 §2.4); use modp2048 (group 14)"
        }
        "modp6144" | "modp8192" | "ecp521" | "curve448" | "x448" => {
            "the group is not implemented; use modp4096, ecp384 or curve25519"
        }
        "aes192" | "aes192gcm16" | "aes128gcm8" | "aes256gcm8" | "aes128gcm12" | "aes256gcm12" => {
            "this variant is not implemented; use aes256gcm16 or aes256"
        }
        "esn" | "noesn" => "extended sequence numbers are negotiated by themselves; leave it out",
        _ => return SuiteError::Unknown(word.to_owned()),
    };
    SuiteError::Refused { keyword: word.to_owned(), why }
}

const CIPHER: &str = "cipher";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ike_suites_read_and_show_as_strongswan_writes_them() {
        for text in [
            "aes256-sha256-modp2048",
            "aes256gcm16-sha256-ecp256",
            "aes128-sha512-prfsha256-modp4096",
            "chacha20poly1305-sha384-curve25519",
        ] {
            assert_eq!(text.parse::<IkeSuite>().unwrap().to_string(), text);
        }
        let short: IkeSuite = "aes256gcm16-prfsha384-x25519".parse().unwrap();
        assert_eq!(short.to_string(), "aes256gcm16-sha384-curve25519");
    }

    #[test]
    fn esp_suites_read_and_show_as_strongswan_writes_them() {
        for text in ["aes256gcm16-modp2048", "aes256gcm16", "aes256-sha256-modp2048", "aes128-sha512"] {
            assert_eq!(text.parse::<EspSuite>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_weak_missing_or_unknown_is_refused_with_its_reason() {
        let error = |text: &str| text.parse::<IkeSuite>().unwrap_err().to_string();
        assert!(error("aes256-sha1-modp2048").starts_with("sha1 is refused"));
        assert!(error("aes256-sha256-modp1024").contains("group 14"));
        assert!(error("aes256-sha256").starts_with("no key exchange group"));
        assert!(error("aes256-aes128-sha256-modp2048").starts_with("two cipher"));
        assert!(error("aes257-sha256-modp2048").contains("\"aes257\" is no algorithm keyword"));
        assert!("aes256gcm16-sha256".parse::<EspSuite>().is_err());
        assert!("aes256".parse::<EspSuite>().is_err());
        assert!("aes256-sha256-prfsha256".parse::<EspSuite>().is_err());
    }
}
