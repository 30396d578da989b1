//! Protection of messages: the body of SK (RFC 7296 §3.14, RFC 5282 for AEAD ciphers) and of SKF (RFC 7383 §2.5).

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::Random;
use super::aead::{Aead, ICV_LEN, IV_LEN};
use super::cbc::{BLOCK_LEN, Cbc};
use super::prf::Integrity;
use crate::codec::header::Header;
use crate::codec::iana::PayloadType;
use crate::codec::message::{emit_sk_prefix, emit_skf_prefix};
use crate::codec::payload::{Payload, emit_chain};
use crate::suite::IkeSuite;

/// The protection of one direction of an IKE SA.
pub struct SkCipher(Mode);

enum Mode {
    Aead { aead: Aead, next_iv: u64 },
    CbcHmac { cbc: Cbc, integrity: Integrity, key: IntegrityKey },
}

#[derive(ZeroizeOnDrop)]
struct IntegrityKey(Vec<u8>);

impl SkCipher {
    /// From SK_e and SK_a of the direction. `None`: an algorithm that we do not have, or keys of other lengths.
    pub fn new(suite: &IkeSuite, sk_e: &[u8], sk_a: &[u8]) -> Option<Self> {
        if let Some(aead) = Aead::new(suite.cipher, sk_e) {
            return suite.integrity.is_none().then_some(Self(Mode::Aead { aead, next_iv: 0 }));
        }
        let integrity = Integrity::new(suite.integrity?)?;
        let fits = !suite.cipher.is_aead()
            && sk_e.len() == suite.cipher.key_len()
            && sk_a.len() == integrity.key_len();
        let key = IntegrityKey(sk_a.to_vec());
        fits.then(|| Cbc::new(sk_e)).flatten().map(|cbc| Self(Mode::CbcHmac { cbc, integrity, key }))
    }

    /// Octets that protection adds to a chain of payloads at most: IV, padding with its length, ICV.
    pub const fn overhead(&self) -> usize {
        match &self.0 {
            Mode::Aead { .. } => IV_LEN.saturating_add(ICV_LEN).saturating_add(1),
            Mode::CbcHmac { integrity, .. } => {
                BLOCK_LEN.saturating_mul(2).saturating_add(integrity.icv_len())
            }
        }
    }

    /// Checks and decrypts the body of the SK or SKF payload that starts at `offset` of a datagram and ends with it.
    /// Returns the chain of payloads, or its part in this fragment, without the padding.
    ///
    /// What is before the body is authenticated with it. Nothing is decrypted before the ICV is right.
    pub fn open(&self, datagram: &[u8], offset: usize) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (prefix, body) = datagram.split_at_checked(offset).ok_or(OpenError::Truncated)?;
        let mut text = match &self.0 {
            Mode::Aead { aead, .. } => open_aead(aead, prefix, body)?,
            Mode::CbcHmac { cbc, integrity, key } => open_cbc(cbc, *integrity, &key.0, datagram, body)?,
        };
        strip_padding(&mut text)?;
        Ok(text)
    }

    /// Octets of the body for a chain, or a part of one, of `inner_len` octets.
    const fn body_len(&self, inner_len: usize) -> usize {
        let text_len = inner_len.saturating_add(1);
        match &self.0 {
            Mode::Aead { .. } => text_len.saturating_add(IV_LEN).saturating_add(ICV_LEN),
            Mode::CbcHmac { integrity, .. } => {
                let padded = text_len.div_ceil(BLOCK_LEN).saturating_mul(BLOCK_LEN);
                padded.saturating_add(BLOCK_LEN).saturating_add(integrity.icv_len())
            }
        }
    }

    /// Octets of a chain for which the body has at most `body_len` octets.
    const fn capacity(&self, body_len: usize) -> usize {
        let text_len = match &self.0 {
            Mode::Aead { .. } => body_len.saturating_sub(IV_LEN).saturating_sub(ICV_LEN),
            Mode::CbcHmac { integrity, .. } => {
                let blocks =
                    body_len.saturating_sub(BLOCK_LEN).saturating_sub(integrity.icv_len()) / BLOCK_LEN;
                blocks.saturating_mul(BLOCK_LEN)
            }
        };
        text_len.saturating_sub(1)
    }

    /// Appends the protected body to `message`, which holds all that stands before it with its lengths right.
    fn seal(&mut self, mut message: Vec<u8>, inner: &[u8], random: &mut dyn Random) -> Vec<u8> {
        let body_start = message.len();
        message.reserve_exact(self.body_len(inner.len())); // the plaintext is not copied about by growth
        match &mut self.0 {
            Mode::Aead { aead, next_iv } => {
                let iv = next_iv.to_be_bytes();
                // 2^64 messages: a message a nanosecond would take 584 years.
                *next_iv = next_iv.saturating_add(1);
                seal_aead(aead, iv, &mut message, inner);
            }
            Mode::CbcHmac { cbc, integrity, key } => {
                let mut iv = [0; BLOCK_LEN];
                random.fill(&mut iv); // unpredictable, as RFC 3602 §2.1 asks
                message.extend_from_slice(&iv);
                let text_start = message.len();
                message.extend_from_slice(inner);
                pad(&mut message, inner.len());
                cbc.encrypt(&iv, message.get_mut(text_start..).unwrap_or_default());
                let icv = integrity.icv(&key.0, &message);
                message.extend_from_slice(&icv);
            }
        }
        debug_assert_eq!(message.len(), body_start.saturating_add(self.body_len(inner.len())));
        message
    }
}

/// A message whose payloads are all inside SK. The header's next payload and length are set.
pub fn seal_message(
    header: Header,
    payloads: &[Payload<'_>],
    cipher: &mut SkCipher,
    random: &mut dyn Random,
) -> Vec<u8> {
    Chain::new(payloads).seal_whole(header, cipher, random)
}

/// As [`seal_message`]; a message of more than `max_len` octets is cut into fragments of no more (RFC 7383 §2.5).
///
/// Fragments share header and Message ID; they are sent and retransmitted together. A `max_len` below what a fragment
/// needs for itself is taken as the least that carries one block.
pub fn seal_fragments(
    header: Header,
    payloads: &[Payload<'_>],
    cipher: &mut SkCipher,
    random: &mut dyn Random,
    max_len: usize,
) -> Vec<Vec<u8>> {
    Chain::new(payloads).seal(header, cipher, random, max_len)
}

/// A chain of payloads as it is to stand inside SK: in the clear, and wiped.
pub(crate) struct Chain {
    first: PayloadType,
    octets: Zeroizing<Vec<u8>>,
}

impl Chain {
    pub(crate) fn new(payloads: &[Payload<'_>]) -> Self {
        let mut octets = Zeroizing::new(Vec::new());
        let first = emit_chain(payloads, &mut octets);
        Self { first, octets }
    }

    /// See [`seal_fragments`].
    pub(crate) fn seal(
        &self,
        header: Header,
        cipher: &mut SkCipher,
        random: &mut dyn Random,
        max_len: usize,
    ) -> Vec<Vec<u8>> {
        let whole = cipher.body_len(self.octets.len()).saturating_add(SK_PREFIX_LEN);
        if whole <= max_len {
            return vec![self.seal_whole(header, cipher, random)];
        }
        let part_len = cipher.capacity(max_len.saturating_sub(SKF_PREFIX_LEN)).max(BLOCK_LEN);
        let total = u16::try_from(self.octets.len().div_ceil(part_len)).unwrap_or(u16::MAX);
        (1..=total)
            .zip(self.octets.chunks(part_len))
            .map(|(number, part)| {
                let prefix = emit_skf_prefix(header, self.first, number, total, cipher.body_len(part.len()));
                cipher.seal(prefix, part, random)
            })
            .collect()
    }

    fn seal_whole(&self, header: Header, cipher: &mut SkCipher, random: &mut dyn Random) -> Vec<u8> {
        let prefix = emit_sk_prefix(header, self.first, cipher.body_len(self.octets.len()));
        cipher.seal(prefix, &self.octets, random)
    }
}

/// Appends IV, ciphertext and ICV; what `message` holds before is authenticated with them (RFC 5282 §5.1).
fn seal_aead(aead: &Aead, iv: [u8; IV_LEN], message: &mut Vec<u8>, inner: &[u8]) {
    let mut text = Zeroizing::new(Vec::with_capacity(inner.len().saturating_add(1)));
    text.extend_from_slice(inner);
    text.push(0); // Pad Length: an AEAD needs no padding
    // ring refuses a text of 2^36 octets and more; a message with a wrong ICV is what the peer would see then.
    let icv = aead.seal(iv, message, &mut text).unwrap_or_else(|_| {
        text.zeroize();
        [0; ICV_LEN]
    });
    message.extend_from_slice(&iv);
    message.extend_from_slice(&text);
    message.extend_from_slice(&icv);
}

fn open_aead(aead: &Aead, prefix: &[u8], body: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (iv, sealed) = body.split_first_chunk::<IV_LEN>().ok_or(OpenError::Truncated)?;
    if sealed.len() <= ICV_LEN {
        return Err(OpenError::Truncated);
    }
    let mut text = Zeroizing::new(sealed.to_vec());
    let len = aead.open(*iv, prefix, &mut text).map_err(|_| OpenError::Integrity)?.len();
    text.truncate(len);
    Ok(text)
}

fn open_cbc(
    cbc: &Cbc,
    integrity: Integrity,
    key: &[u8],
    datagram: &[u8],
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let split = |octets: &'_ [u8]| octets.len().checked_sub(integrity.icv_len()).ok_or(OpenError::Truncated);
    let (sealed, icv) = body.split_at(split(body)?);
    let (iv, sealed) = sealed.split_first_chunk::<BLOCK_LEN>().ok_or(OpenError::Truncated)?;
    if sealed.is_empty() || !sealed.len().is_multiple_of(BLOCK_LEN) {
        return Err(OpenError::Truncated);
    }
    let (authenticated, _) = datagram.split_at(split(datagram)?);
    if !integrity.verify(key, authenticated, icv) {
        return Err(OpenError::Integrity);
    }
    let mut text = Zeroizing::new(sealed.to_vec());
    cbc.decrypt(iv, &mut text);
    Ok(text)
}

/// Appends zeros and Pad Length, so that a text of `inner_len` octets and both fill whole blocks.
fn pad(message: &mut Vec<u8>, inner_len: usize) {
    let text_len = inner_len.saturating_add(1);
    let padding = text_len.next_multiple_of(BLOCK_LEN).saturating_sub(text_len);
    message.resize(message.len().saturating_add(padding), 0);
    message.push(u8::try_from(padding).unwrap_or_default());
}

/// Takes Pad Length and as many octets off the end. Their content may be anything (RFC 7296 §3.14).
fn strip_padding(text: &mut Vec<u8>) -> Result<(), OpenError> {
    let padding = text.pop().ok_or(OpenError::Padding)?;
    let len = text.len().checked_sub(usize::from(padding)).ok_or(OpenError::Padding)?;
    text.truncate(len);
    Ok(())
}

/// Why a protected message could not be opened. Only [`OpenError::Padding`] comes from who has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The body is shorter than IV, one block and ICV, or not whole blocks.
    #[error("the encrypted payload is too short for its cipher, or not a multiple of its block")]
    Truncated,
    /// The ICV is wrong.
    #[error("the integrity check failed")]
    Integrity,
    /// Pad Length is beyond the text.
    #[error("the padding is longer than the payload")]
    Padding,
}

/// Octets before the body of an SK payload that is alone in its message.
const SK_PREFIX_LEN: usize = Header::LEN + crate::codec::payload::GENERIC_HEADER_LEN;

/// Octets before the body of an SKF payload.
const SKF_PREFIX_LEN: usize = SK_PREFIX_LEN + 4;

#[cfg(test)]
mod tests;
