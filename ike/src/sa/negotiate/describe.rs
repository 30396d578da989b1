//! Offers in the keywords of the configuration, so that an operator sees both sides in one language.

use core::fmt::Display;

use crate::codec::iana::{
    EncryptionAlgorithm, Group, IntegrityAlgorithm, PrfAlgorithm, ProtocolId, TransformType,
};
use crate::codec::payload::sa::{Proposal, SecurityAssociation, Transform};

/// What a peer offered: `aes256-sha256-modp2048, 3des-sha1-modp1024`. Alternatives of one type are parted by `/`.
///
/// However much a peer offers, the text stays a line that a log can hold.
pub(crate) fn describe(theirs: &SecurityAssociation) -> String {
    let mut texts = Vec::new();
    for proposal in &theirs.proposals {
        let text = proposal_text(proposal);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    shortened(texts, MAX_PROPOSALS, ", ")
}

/// What we accept, the preferred first.
pub(crate) fn ours<S: Display>(suites: &[S]) -> String {
    suites.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn proposal_text(proposal: &Proposal) -> String {
    let prfs = texts(proposal, TransformType::PRF, |transform| Some(prf(PrfAlgorithm(transform.id))));
    let integrity =
        texts(proposal, TransformType::INTEGRITY, |transform| integrity(IntegrityAlgorithm(transform.id)));
    // As the keywords have it: the hash of the integrity is the PRF's too, and beside an AEAD a hash is the PRF.
    let hashes: Vec<String> = prfs.iter().map(|text| text.trim_start_matches("prf").to_owned()).collect();
    let prfs = match integrity.as_slice() {
        [] => hashes,
        named if named == hashes => Vec::new(),
        _ => prfs,
    };
    let parts = [
        texts(proposal, TransformType::ENCRYPTION, |transform| Some(encryption(transform))),
        integrity,
        prfs,
        texts(proposal, TransformType::KEY_EXCHANGE, |transform| Some(group(Group(transform.id)))),
        unknown_types(proposal),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|alternatives| !alternatives.is_empty())
        .map(|alternatives| shortened(alternatives, MAX_ALTERNATIVES, "/"))
        .collect();
    let text = if parts.is_empty() { "nothing".to_owned() } else { parts.join("-") };
    if matches!(proposal.protocol, ProtocolId::IKE | ProtocolId::ESP) {
        text
    } else {
        format!("{} for protocol {}", text, proposal.protocol)
    }
}

/// The alternatives of one type, each once.
fn texts(
    proposal: &Proposal,
    kind: TransformType,
    text: impl Fn(&Transform) -> Option<String>,
) -> Vec<String> {
    let mut texts = Vec::new();
    for transform in proposal.transforms.iter().filter(|transform| transform.kind == kind) {
        let Some(text) = text(transform) else { continue };
        if !texts.contains(&text) && texts.len() <= MAX_ALTERNATIVES {
            texts.push(text);
        }
    }
    texts
}

/// Transforms of types that neither an IKE SA nor a child SA of ours has.
fn unknown_types(proposal: &Proposal) -> Vec<String> {
    let known = [
        TransformType::ENCRYPTION,
        TransformType::PRF,
        TransformType::INTEGRITY,
        TransformType::KEY_EXCHANGE,
        TransformType::ESN,
    ];
    let unknown = proposal.transforms.iter().find(|transform| !known.contains(&transform.kind));
    unknown.map(|transform| format!("transform-type-{}", transform.kind.0)).into_iter().collect()
}

fn shortened(mut texts: Vec<String>, limit: usize, separator: &str) -> String {
    let more = texts.len() > limit;
    texts.truncate(limit);
    if more {
        texts.push("…".to_owned());
    }
    texts.join(separator)
}

fn encryption(transform: &Transform) -> String {
    let bits = transform.key_bits.map_or_else(String::new, |bits| bits.to_string());
    match EncryptionAlgorithm(transform.id) {
        EncryptionAlgorithm::DES => "des".to_owned(),
        EncryptionAlgorithm::TRIPLE_DES => "3des".to_owned(),
        EncryptionAlgorithm::CAST => format!("cast{bits}"),
        EncryptionAlgorithm::BLOWFISH => format!("blowfish{bits}"),
        EncryptionAlgorithm::NULL => "null".to_owned(),
        EncryptionAlgorithm::AES_CBC => format!("aes{bits}"),
        EncryptionAlgorithm::AES_CTR => format!("aes{bits}ctr"),
        EncryptionAlgorithm::AES_CCM_8 => format!("aes{bits}ccm8"),
        EncryptionAlgorithm::AES_CCM_12 => format!("aes{bits}ccm12"),
        EncryptionAlgorithm::AES_CCM_16 => format!("aes{bits}ccm16"),
        EncryptionAlgorithm::AES_GCM_8 => format!("aes{bits}gcm8"),
        EncryptionAlgorithm::AES_GCM_12 => format!("aes{bits}gcm12"),
        EncryptionAlgorithm::AES_GCM_16 => format!("aes{bits}gcm16"),
        EncryptionAlgorithm::NULL_AUTH_AES_GMAC => format!("aes{bits}gmac"),
        EncryptionAlgorithm::CAMELLIA_CBC => format!("camellia{bits}"),
        EncryptionAlgorithm::CHACHA20_POLY1305 => "chacha20poly1305".to_owned(),
        EncryptionAlgorithm(other) => format!("encr{other}"),
    }
}

/// NONE says nothing: it stands beside an AEAD.
fn integrity(algorithm: IntegrityAlgorithm) -> Option<String> {
    Some(match algorithm {
        IntegrityAlgorithm::NONE => return None,
        IntegrityAlgorithm::HMAC_MD5_96 => "md5".to_owned(),
        IntegrityAlgorithm::HMAC_SHA1_96 => "sha1".to_owned(),
        IntegrityAlgorithm::AES_XCBC_96 => "aesxcbc".to_owned(),
        IntegrityAlgorithm::AES_CMAC_96 => "aescmac".to_owned(),
        IntegrityAlgorithm::HMAC_SHA2_256_128 => "sha256".to_owned(),
        IntegrityAlgorithm::HMAC_SHA2_384_192 => "sha384".to_owned(),
        IntegrityAlgorithm::HMAC_SHA2_512_256 => "sha512".to_owned(),
        IntegrityAlgorithm(other) => format!("integ{other}"),
    })
}

fn prf(algorithm: PrfAlgorithm) -> String {
    match algorithm {
        PrfAlgorithm::HMAC_MD5 => "prfmd5".to_owned(),
        PrfAlgorithm::HMAC_SHA1 => "prfsha1".to_owned(),
        PrfAlgorithm::AES128_XCBC => "prfaesxcbc".to_owned(),
        PrfAlgorithm::HMAC_SHA2_256 => "prfsha256".to_owned(),
        PrfAlgorithm::HMAC_SHA2_384 => "prfsha384".to_owned(),
        PrfAlgorithm::HMAC_SHA2_512 => "prfsha512".to_owned(),
        PrfAlgorithm::AES128_CMAC => "prfaescmac".to_owned(),
        PrfAlgorithm(other) => format!("unknownprf{other}"),
    }
}

fn group(group: Group) -> String {
    match group {
        Group::NONE => "modpnone".to_owned(),
        Group::MODP_768 => "modp768".to_owned(),
        Group::MODP_1024 => "modp1024".to_owned(),
        Group::MODP_1536 => "modp1536".to_owned(),
        Group::MODP_2048 => "modp2048".to_owned(),
        Group::MODP_3072 => "modp3072".to_owned(),
        Group::MODP_4096 => "modp4096".to_owned(),
        Group::MODP_6144 => "modp6144".to_owned(),
        Group::MODP_8192 => "modp8192".to_owned(),
        Group::ECP_192 => "ecp192".to_owned(),
        Group::ECP_224 => "ecp224".to_owned(),
        Group::ECP_256 => "ecp256".to_owned(),
        Group::ECP_384 => "ecp384".to_owned(),
        Group::ECP_521 => "ecp521".to_owned(),
        Group::MODP_1024_160 => "modp1024s160".to_owned(),
        Group::MODP_2048_224 => "modp2048s224".to_owned(),
        Group::MODP_2048_256 => "modp2048s256".to_owned(),
        Group::CURVE25519 => "curve25519".to_owned(),
        Group::CURVE448 => "curve448".to_owned(),
        Group::ML_KEM_512 => "mlkem512".to_owned(),
        Group::ML_KEM_768 => "mlkem768".to_owned(),
        Group::ML_KEM_1024 => "mlkem1024".to_owned(),
        Group(other) => format!("group{other}"),
    }
}

/// Proposals that are shown.
const MAX_PROPOSALS: usize = 8;

/// Alternatives of one type that are shown.
const MAX_ALTERNATIVES: usize = 8;
