//! Certificate and Certificate Request payloads (RFC 7296 §3.6, §3.7). What they carry is not read here.

use crate::codec::DecodeError;
use crate::codec::iana::CertEncoding;
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;

/// Certificate payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// Cert Encoding.
    pub encoding: CertEncoding,
    /// Certificate Data.
    pub data: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { encoding: CertEncoding(r.u8()?), data: r.rest() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.encoding.0);
        w.bytes(self.data);
    }
}

/// Certificate Request payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateRequest<'a> {
    /// Cert Encoding.
    pub encoding: CertEncoding,
    /// Certification Authority: for X.509 the SHA-1 hashes of the trusted authorities' keys, one behind the other.
    pub authority: &'a [u8],
}

impl<'a> CertificateRequest<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { encoding: CertEncoding(r.u8()?), authority: r.rest() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.encoding.0);
        w.bytes(self.authority);
    }
}
