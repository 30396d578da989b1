//! Which transforms an SA gets (RFC 7296 §2.7, §3.3): what we offer, what we choose of an offer, and whether an answer
//! is one to our offer. What a peer offered is put into words in [`describe()`].
//!
//! We offer one proposal a suite. That keeps AEAD and non-AEAD ciphers apart (RFC 5282 §8), and a peer that combines
//! transforms as it likes, as AWS does, can only arrive at a suite that is configured.

mod describe;

use core::fmt::Display;

pub(crate) use self::describe::{describe, ours};
use crate::codec::iana::{EncryptionAlgorithm, EsnId, Group, ProtocolId, TransformType};
use crate::codec::payload::sa::{Proposal, SecurityAssociation, Transform};
use crate::suite::{Cipher, EspSuite, IkeSuite};

/// What an SA payload of ours offers.
#[derive(Clone, Debug)]
pub(crate) struct Offer<S> {
    suites: Vec<S>,
    spi: Vec<u8>,
}

/// One suite of an offer, chosen by us or by the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen<S> {
    /// The suite. Of an ESP suite the group is the one that this exchange uses, and none in IKE_AUTH.
    pub(crate) suite: S,
    /// Extended sequence numbers (RFC 4303 §2.2.1); never for an IKE SA.
    pub(crate) esn: bool,
    /// The peer's SPI: empty in IKE_SA_INIT, 8 octets in a rekey of an IKE SA, 4 for ESP.
    pub(crate) spi: Vec<u8>,
    number: u8,
    transforms: Vec<Transform>,
}

/// What becomes of the group of an ESP suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pfs {
    /// IKE_AUTH: there is no KE payload, and the group waits for the first rekey (RFC 7296 §1.2).
    Absent,
    /// CREATE_CHILD_SA: as the suites say. Who wants to answer a peer that rekeys without a KE payload, as Azure does,
    /// has a suite without a group.
    Suites,
}

impl Offer<IkeSuite> {
    /// An offer for an IKE SA. `spi` is ours: empty in IKE_SA_INIT, 8 octets in a rekey.
    pub(crate) fn ike(suites: &[IkeSuite], spi: &[u8]) -> Self {
        Self { suites: offered(suites.iter().copied()), spi: spi.to_vec() }
    }
}

impl Offer<EspSuite> {
    /// An offer for a child SA on which we receive at `spi`.
    pub(crate) fn esp(suites: &[EspSuite], spi: u32, pfs: Pfs) -> Self {
        let suites =
            suites.iter().map(|suite| if pfs == Pfs::Absent { without_group(*suite) } else { *suite });
        Self { suites: offered(suites), spi: spi.to_be_bytes().to_vec() }
    }
}

impl<S: Suite> Offer<S> {
    /// The SA payload.
    pub(crate) fn security_association(&self) -> SecurityAssociation {
        let proposal = |(number, suite): (u8, &S)| Proposal {
            number,
            protocol: S::PROTOCOL,
            spi: self.spi.clone(),
            transforms: suite.transforms().into_iter().chain(S::esn_offer()).collect(),
        };
        SecurityAssociation { proposals: (1..=u8::MAX).zip(&self.suites).map(proposal).collect() }
    }

    /// Whether a KE payload of this group may follow an INVALID_KE_PAYLOAD (RFC 7296 §1.2, §1.3).
    pub(crate) fn has_group(&self, group: Group) -> bool {
        self.suites.iter().any(|suite| suite.key_exchange() == Some(group))
    }

    /// The suite that the peer chose; `None` where its answer is none to this offer: more or fewer proposals than one,
    /// another number, a transform that was not offered, two of a type or none (RFC 7296 §3.3.6).
    pub(crate) fn accept(&self, answer: &SecurityAssociation) -> Option<Chosen<S>> {
        let [proposal] = answer.proposals.as_slice() else { return None };
        let suite = *self.suites.get(usize::from(proposal.number).checked_sub(1)?)?;
        if proposal.protocol != S::PROTOCOL || !S::is_spi(&proposal.spi, self.spi.len()) {
            return None;
        }
        let (esn, others): (Vec<_>, Vec<_>) =
            proposal.transforms.iter().partition(|transform| transform.kind == TransformType::ESN);
        let wanted = suite.transforms();
        let each_once =
            others.len() == wanted.len() && wanted.iter().all(|transform| others.contains(&transform));
        let offer = S::esn_offer();
        let esn = match (offer.is_empty(), esn.as_slice()) {
            (true, []) => false,
            (false, [one]) if offer.contains(one) => one.id == EsnId::YES.0,
            _ => return None,
        };
        each_once.then(|| Chosen {
            suite,
            esn,
            spi: proposal.spi.clone(),
            number: proposal.number,
            transforms: proposal.transforms.clone(),
        })
    }
}

impl<S: Suite> Chosen<S> {
    /// The SA payload of the answer: the peer's proposal with one transform of each type. `spi` is ours.
    pub(crate) fn reply(&self, spi: &[u8]) -> SecurityAssociation {
        let transforms = self.transforms.clone();
        let proposal = Proposal { number: self.number, protocol: S::PROTOCOL, spi: spi.to_vec(), transforms };
        SecurityAssociation { proposals: vec![proposal] }
    }
}

impl Chosen<EspSuite> {
    /// The peer's SPI as a number.
    pub(crate) fn spi_out(&self) -> u32 {
        self.spi.first_chunk().map_or(0, |spi| u32::from_be_bytes(*spi))
    }
}

/// Chooses the first of our suites that the peer offers for an IKE SA; `spi_len` is 0 in IKE_SA_INIT and 8 in a rekey.
pub(crate) fn choose_ike(
    ours: &[IkeSuite],
    theirs: &SecurityAssociation,
    spi_len: usize,
) -> Option<Chosen<IkeSuite>> {
    ours.iter().find_map(|suite| choose(*suite, theirs, spi_len, &[]))
}

/// Chooses the first of our suites that the peer offers for a child SA.
pub(crate) fn choose_esp(
    ours: &[EspSuite],
    theirs: &SecurityAssociation,
    pfs: Pfs,
) -> Option<Chosen<EspSuite>> {
    ours.iter().find_map(|suite| match pfs {
        Pfs::Absent => choose(without_group(*suite), theirs, ESP_SPI_LEN, &[TransformType::KEY_EXCHANGE]),
        Pfs::Suites => choose(*suite, theirs, ESP_SPI_LEN, &[]),
    })
}

/// A suite as transforms.
pub(crate) trait Suite: Copy + Eq + Display {
    /// What it protects.
    const PROTOCOL: ProtocolId;

    /// One transform of each type, ESN aside.
    fn transforms(&self) -> Vec<Transform>;

    /// Its key exchange group.
    fn key_exchange(&self) -> Option<Group>;

    /// The ESN transforms of an offer, the preferred first.
    fn esn_offer() -> Vec<Transform>;

    /// Whether a peer may have this SPI where ours has `len` octets.
    fn is_spi(spi: &[u8], len: usize) -> bool;
}

impl Suite for IkeSuite {
    const PROTOCOL: ProtocolId = ProtocolId::IKE;

    fn transforms(&self) -> Vec<Transform> {
        let mut transforms = vec![encryption(self.cipher), Transform::new(TransformType::PRF, self.prf.0)];
        transforms
            .extend(self.integrity.map(|algorithm| Transform::new(TransformType::INTEGRITY, algorithm.0)));
        transforms.push(Transform::new(TransformType::KEY_EXCHANGE, self.group.0));
        transforms
    }

    fn key_exchange(&self) -> Option<Group> {
        Some(self.group)
    }

    fn esn_offer() -> Vec<Transform> {
        Vec::new()
    }

    fn is_spi(spi: &[u8], len: usize) -> bool {
        spi.len() == len && (len == 0 || spi.iter().any(|octet| *octet != 0))
    }
}

impl Suite for EspSuite {
    const PROTOCOL: ProtocolId = ProtocolId::ESP;

    fn transforms(&self) -> Vec<Transform> {
        let mut transforms = vec![encryption(self.cipher)];
        transforms
            .extend(self.integrity.map(|algorithm| Transform::new(TransformType::INTEGRITY, algorithm.0)));
        transforms.extend(self.group.map(|group| Transform::new(TransformType::KEY_EXCHANGE, group.0)));
        transforms
    }

    fn key_exchange(&self) -> Option<Group> {
        self.group
    }

    fn esn_offer() -> Vec<Transform> {
        [EsnId::YES, EsnId::NO].map(|esn| Transform::new(TransformType::ESN, esn.0)).to_vec()
    }

    /// The first 256 SPIs are reserved (RFC 4303 §2.1).
    fn is_spi(spi: &[u8], len: usize) -> bool {
        spi.len() == len && spi.first_chunk().is_some_and(|spi| u32::from_be_bytes(*spi) >= FIRST_ESP_SPI)
    }
}

fn choose<S: Suite>(
    suite: S,
    theirs: &SecurityAssociation,
    spi_len: usize,
    ignored: &[TransformType],
) -> Option<Chosen<S>> {
    let wanted = suite.transforms();
    theirs.proposals.iter().find_map(|proposal| {
        if proposal.protocol != S::PROTOCOL || !S::is_spi(&proposal.spi, spi_len) {
            return None;
        }
        let transforms = select(&wanted, &S::esn_offer(), &proposal.transforms, ignored)?;
        Some(Chosen {
            suite,
            esn: transforms.iter().any(|t| t.kind == TransformType::ESN && t.id == EsnId::YES.0),
            spi: proposal.spi.clone(),
            number: proposal.number,
            transforms,
        })
    })
}

/// One transform of each type that is offered: `wanted`, the first of `esn` that is offered, and NONE where we want
/// nothing of a type. A type of which nothing fits makes the proposal unacceptable, also one that we do not know
/// (RFC 7296 §3.3.6); a transform with an unknown attribute equals none of ours and so is passed over.
///
/// An ESP proposal without an ESN transform, which RFC 7296 §3.3.3 does not permit, is taken as one without ESN.
fn select(
    wanted: &[Transform],
    esn: &[Transform],
    offered: &[Transform],
    ignored: &[TransformType],
) -> Option<Vec<Transform>> {
    let mut selected: Vec<Transform> = Vec::new();
    for kind in offered.iter().map(|transform| transform.kind) {
        if ignored.contains(&kind) || selected.iter().any(|transform| transform.kind == kind) {
            continue;
        }
        let ours = |list: &[Transform]| {
            list.iter().filter(|t| t.kind == kind).find(|t| offered.contains(t)).cloned()
        };
        let wants = wanted.iter().chain(esn).any(|transform| transform.kind == kind);
        let fitting = if wants {
            ours(wanted).or_else(|| ours(esn))
        } else {
            none_of(kind).filter(|t| offered.contains(t))
        };
        selected.push(fitting?);
    }
    wanted.iter().all(|transform| selected.contains(transform)).then_some(selected)
}

/// The transform that says "none" of a type that may be left out (RFC 7296 §3.3.2, RFC 9370).
fn none_of(kind: TransformType) -> Option<Transform> {
    let optional = matches!(kind, TransformType::INTEGRITY | TransformType::KEY_EXCHANGE);
    (optional || kind.is_additional_key_exchange()).then(|| Transform::new(kind, NONE))
}

fn encryption(cipher: Cipher) -> Transform {
    let transform = Transform::new(TransformType::ENCRYPTION, cipher.algorithm.0);
    // Its key has one length, and the attribute must not be there (RFC 7634 §4).
    let fixed = cipher.algorithm == EncryptionAlgorithm::CHACHA20_POLY1305;
    if fixed { transform } else { transform.with_key_bits(cipher.key_bits) }
}

const fn without_group(suite: EspSuite) -> EspSuite {
    EspSuite { group: None, ..suite }
}

/// Each suite once, as many as can be numbered.
fn offered<S: Suite>(suites: impl Iterator<Item = S>) -> Vec<S> {
    let mut once = Vec::new();
    for suite in suites {
        if !once.contains(&suite) && once.len() < usize::from(u8::MAX) {
            once.push(suite);
        }
    }
    once
}

/// Transform ID of NONE.
const NONE: u16 = 0;

const ESP_SPI_LEN: usize = 4;
const FIRST_ESP_SPI: u32 = 256;

#[cfg(test)]
mod tests;
