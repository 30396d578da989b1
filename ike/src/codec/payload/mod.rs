//! Payloads (RFC 7296 §3.2 to §3.16, RFC 7383 §2.5), one file each, and the chain that they form.

pub mod auth;
pub mod cert;
pub mod configuration;
pub mod delete;
mod dn;
pub mod eap;
pub mod encrypted;
pub mod id;
pub mod ke;
pub mod nonce;
pub mod notify;
pub mod sa;
pub mod select;
pub mod ts;
pub mod unknown;
pub mod vendor_id;

use self::auth::Authentication;
use self::cert::{Certificate, CertificateRequest};
use self::configuration::Configuration;
use self::delete::Delete;
use self::eap::Eap;
use self::encrypted::{Encrypted, EncryptedFragment};
use self::id::Identification;
use self::ke::KeyExchange;
use self::nonce::Nonce;
use self::notify::Notify;
use self::sa::SecurityAssociation;
use self::ts::TrafficSelectors;
use self::unknown::Unknown;
use self::vendor_id::VendorId;
use super::error::DecodeError;
use super::iana::PayloadType;
use super::limits::MAX_PAYLOADS;
use super::reader::Reader;
use super::writer::Writer;

/// One payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// SA.
    Sa(SecurityAssociation),
    /// KE.
    Ke(KeyExchange<'a>),
    /// IDi.
    IdI(Identification<'a>),
    /// IDr.
    IdR(Identification<'a>),
    /// CERT.
    Cert(Certificate<'a>),
    /// CERTREQ.
    CertReq(CertificateRequest<'a>),
    /// AUTH.
    Auth(Authentication<'a>),
    /// Ni or Nr.
    Nonce(Nonce<'a>),
    /// N.
    Notify(Notify<'a>),
    /// D.
    Delete(Delete),
    /// V.
    VendorId(VendorId<'a>),
    /// TSi.
    TsI(TrafficSelectors<'a>),
    /// TSr.
    TsR(TrafficSelectors<'a>),
    /// SK: always the last of a message.
    Encrypted(Encrypted<'a>),
    /// SKF: always the last of a message.
    EncryptedFragment(EncryptedFragment<'a>),
    /// CP.
    Configuration(Configuration<'a>),
    /// EAP.
    Eap(Eap<'a>),
    /// A type that we do not know, without the critical bit.
    Unknown(Unknown<'a>),
}

impl<'a> Payload<'a> {
    /// Its number.
    pub const fn kind(&self) -> PayloadType {
        match self {
            Self::Sa(_) => PayloadType::SA,
            Self::Ke(_) => PayloadType::KE,
            Self::IdI(_) => PayloadType::ID_I,
            Self::IdR(_) => PayloadType::ID_R,
            Self::Cert(_) => PayloadType::CERT,
            Self::CertReq(_) => PayloadType::CERTREQ,
            Self::Auth(_) => PayloadType::AUTH,
            Self::Nonce(_) => PayloadType::NONCE,
            Self::Notify(_) => PayloadType::NOTIFY,
            Self::Delete(_) => PayloadType::DELETE,
            Self::VendorId(_) => PayloadType::VENDOR_ID,
            Self::TsI(_) => PayloadType::TS_I,
            Self::TsR(_) => PayloadType::TS_R,
            Self::Encrypted(_) => PayloadType::SK,
            Self::EncryptedFragment(_) => PayloadType::SKF,
            Self::Configuration(_) => PayloadType::CP,
            Self::Eap(_) => PayloadType::EAP,
            Self::Unknown(unknown) => unknown.kind,
        }
    }

    /// Reads the body of a payload of type `kind`.
    ///
    /// The critical bit of a payload that we know is ignored (RFC 7296 §2.5).
    fn parse(
        kind: PayloadType,
        critical: bool,
        next: PayloadType,
        r: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let payload = match kind {
            PayloadType::SA => Self::Sa(SecurityAssociation::parse(r)?),
            PayloadType::KE => Self::Ke(KeyExchange::parse(r)?),
            PayloadType::ID_I => Self::IdI(Identification::parse(r)?),
            PayloadType::ID_R => Self::IdR(Identification::parse(r)?),
            PayloadType::CERT => Self::Cert(Certificate::parse(r)?),
            PayloadType::CERTREQ => Self::CertReq(CertificateRequest::parse(r)?),
            PayloadType::AUTH => Self::Auth(Authentication::parse(r)?),
            PayloadType::NONCE => Self::Nonce(Nonce::parse(r)?),
            PayloadType::NOTIFY => Self::Notify(Notify::parse(r)?),
            PayloadType::DELETE => Self::Delete(Delete::parse(r)?),
            PayloadType::VENDOR_ID => Self::VendorId(VendorId::parse(r)),
            PayloadType::TS_I => Self::TsI(TrafficSelectors::parse(r)?),
            PayloadType::TS_R => Self::TsR(TrafficSelectors::parse(r)?),
            PayloadType::SK => Self::Encrypted(Encrypted::parse(next, r)),
            PayloadType::SKF => Self::EncryptedFragment(EncryptedFragment::parse(next, r)?),
            PayloadType::CP => Self::Configuration(Configuration::parse(r)?),
            PayloadType::EAP => Self::Eap(Eap::parse(r)?),
            _ if critical => return Err(DecodeError::UnsupportedCritical(kind)),
            _ => Self::Unknown(Unknown::parse(kind, critical, r)),
        };
        r.finish()?;
        Ok(payload)
    }

    fn emit_body(&self, w: &mut Writer<'_>) {
        match self {
            Self::Sa(payload) => payload.emit(w),
            Self::Ke(payload) => payload.emit(w),
            Self::IdI(payload) | Self::IdR(payload) => payload.emit(w),
            Self::Cert(payload) => payload.emit(w),
            Self::CertReq(payload) => payload.emit(w),
            Self::Auth(payload) => payload.emit(w),
            Self::Nonce(payload) => payload.emit(w),
            Self::Notify(payload) => payload.emit(w),
            Self::Delete(payload) => payload.emit(w),
            Self::VendorId(payload) => payload.emit(w),
            Self::TsI(payload) | Self::TsR(payload) => payload.emit(w),
            Self::Encrypted(payload) => payload.emit(w),
            Self::EncryptedFragment(payload) => payload.emit(w),
            Self::Configuration(payload) => payload.emit(w),
            Self::Eap(payload) => payload.emit(w),
            Self::Unknown(payload) => payload.emit(w),
        }
    }

    /// The type of the first payload inside, for the two payloads whose Next Payload field says that.
    const fn inner_first(&self) -> Option<PayloadType> {
        if let Self::Encrypted(Encrypted { first, .. })
        | Self::EncryptedFragment(EncryptedFragment { first, .. }) = self
        {
            Some(*first)
        } else {
            None
        }
    }

    const fn critical(&self) -> bool {
        matches!(self, Self::Unknown(Unknown { critical: true, .. }))
    }
}

/// Reads the chain inside an SK payload, whose Next Payload field is `first`.
pub fn parse_chain(first: PayloadType, octets: &[u8]) -> Result<Vec<Payload<'_>>, DecodeError> {
    read_chain(first, Reader::new(octets), Place::InsideEncrypted)
}

/// Appends a chain to `out` and returns the type of its first payload, for the Next Payload field before it.
///
/// An SK or SKF payload must be the last: its Next Payload field names what is inside it.
pub fn emit_chain(payloads: &[Payload<'_>], out: &mut Vec<u8>) -> PayloadType {
    let mut w = Writer::new(out);
    let mut rest = payloads.iter().peekable();
    while let Some(payload) = rest.next() {
        let following = rest.peek().map_or(PayloadType::NONE, |next| next.kind());
        let next = payload.inner_first().unwrap_or(following);
        let flags = if payload.critical() { CRITICAL } else { 0 };
        w.block([next.0, flags], |w| payload.emit_body(w));
    }
    payloads.first().map_or(PayloadType::NONE, Payload::kind)
}

/// Where a chain is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the IKE header.
    Message,
    /// Inside an SK payload, where no other may be.
    InsideEncrypted,
}

pub(super) fn read_chain(
    first: PayloadType,
    mut r: Reader<'_>,
    place: Place,
) -> Result<Vec<Payload<'_>>, DecodeError> {
    let mut payloads = Vec::new();
    let mut kind = first;
    while kind != PayloadType::NONE {
        if payloads.len() == MAX_PAYLOADS {
            return Err(DecodeError::TooManyPayloads);
        }
        r = r.of(kind);
        let next = PayloadType(r.u8()?);
        let critical = r.u8()? & CRITICAL != 0;
        let mut body = r.block(2)?;
        let encrypted = matches!(kind, PayloadType::SK | PayloadType::SKF);
        if encrypted && (place == Place::InsideEncrypted || !r.is_empty()) {
            return Err(DecodeError::NotLast(kind));
        }
        payloads.push(Payload::parse(kind, critical, next, &mut body)?);
        kind = if encrypted { PayloadType::NONE } else { next };
    }
    if r.is_empty() { Ok(payloads) } else { Err(DecodeError::Trailing(r.remaining())) }
}

/// Octets of the generic payload header (RFC 7296 §3.2).
pub const GENERIC_HEADER_LEN: usize = 4;

const CRITICAL: u8 = 0x80;
