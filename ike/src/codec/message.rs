//! A whole IKE message: header and payloads (RFC 7296 §3.1, §3.2).

use super::error::DecodeError;
use super::header::Header;
use super::iana::{NotifyType, PayloadType};
use super::payload::{self, Payload, select::Select};
use super::reader::Reader;
use super::writer::Writer;

/// A message as it arrived. What is inside an SK payload is a chain of its own, see [`payload::parse_chain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The header.
    pub header: Header,
    /// The payloads in the clear, in the order of arrival; SK or SKF is the last.
    pub payloads: Vec<Payload<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a datagram, from the IKE header on (behind the non-ESP marker where there is one).
    ///
    /// Who has to answer a message that cannot be read finds its header with [`Header::parse`].
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(datagram);
        let header = Header::read(&mut r).map_err(|_| DecodeError::Runt(datagram.len()))?;
        if header.major != MAJOR_VERSION {
            return Err(DecodeError::MajorVersion(header.major));
        }
        if usize::try_from(header.length) != Ok(datagram.len()) {
            return Err(DecodeError::Length { header: header.length, datagram: datagram.len() });
        }
        let payloads = payload::read_chain(header.next_payload, r, payload::Place::Message)?;
        Ok(Self { header, payloads })
    }

    /// True if the last payload is SK or SKF.
    pub fn is_protected(&self) -> bool {
        matches!(self.payloads.last(), Some(Payload::Encrypted(_) | Payload::EncryptedFragment(_)))
    }

    /// Finds payloads by what they are.
    pub fn select(&self) -> Select<'_, 'a> {
        Select(&self.payloads)
    }
}

/// The type of the notify with which a datagram begins, read without the rest of it: what it says of itself before
/// anything is checked. `None`: no message, or it begins with something else.
pub fn leading_notify(datagram: &[u8]) -> Option<NotifyType> {
    let mut r = Reader::new(datagram);
    if Header::read(&mut r).ok()?.next_payload != PayloadType::NOTIFY {
        return None;
    }
    r.take(payload::GENERIC_HEADER_LEN).ok()?;
    let [_protocol, _spi_len] = r.array().ok()?;
    r.u16().ok().map(NotifyType)
}

/// Writes a message in the clear; the header's next payload and length are set.
pub fn emit_clear(header: Header, payloads: &[Payload<'_>]) -> Vec<u8> {
    let mut chain = Vec::new();
    let next_payload = payload::emit_chain(payloads, &mut chain);
    let mut out = emit_header(header, next_payload, chain.len());
    out.append(&mut chain);
    out
}

/// Writes what stands before the protected body of a message: the header and the generic header of its only payload,
/// SK (RFC 7296 §3.14), with the lengths of a body of `body_len` octets.
pub fn emit_sk_prefix(header: Header, first: PayloadType, body_len: usize) -> Vec<u8> {
    emit_prefix(header, PayloadType::SK, first, &[], body_len)
}

/// Writes what stands before the protected body of a fragment, as [`emit_sk_prefix`] does: the header, the generic
/// header of SKF and the fragment's numbers (RFC 7383 §2.5). Only fragment 1 names the first inner payload.
pub fn emit_skf_prefix(
    header: Header,
    first: PayloadType,
    number: u16,
    total: u16,
    body_len: usize,
) -> Vec<u8> {
    let first = if number == 1 { first } else { PayloadType::NONE };
    let [n0, n1] = number.to_be_bytes();
    let [t0, t1] = total.to_be_bytes();
    emit_prefix(header, PayloadType::SKF, first, &[n0, n1, t0, t1], body_len)
}

fn emit_prefix(
    header: Header,
    kind: PayloadType,
    first: PayloadType,
    numbers: &[u8],
    body_len: usize,
) -> Vec<u8> {
    let payload_len = body_len.saturating_add(payload::GENERIC_HEADER_LEN).saturating_add(numbers.len());
    let mut out = emit_header(header, kind, payload_len);
    let mut w = Writer::new(&mut out);
    w.u8(first.0);
    w.u8(0); // not critical, RESERVED
    w.u16(super::writer::length16(payload_len));
    w.bytes(numbers);
    out
}

fn emit_header(header: Header, next_payload: PayloadType, chain_len: usize) -> Vec<u8> {
    let total = chain_len.saturating_add(Header::LEN);
    let length = u32::try_from(total).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(total);
    Header { next_payload, length, ..header }.emit(&mut Writer::new(&mut out));
    out
}

const MAJOR_VERSION: u8 = 2;
