//! Encrypted payload (RFC 7296 §3.14) and Encrypted Fragment payload (RFC 7383 §2.5), as they stand on the wire. Sealing
//! and opening them is the business of `crypto`.

use crate::codec::iana::PayloadType;
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;
use crate::codec::{DecodeError, Flaw};

/// Encrypted payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encrypted<'a> {
    /// Type of the first payload inside.
    pub first: PayloadType,
    /// Where `body` starts in the datagram.
    pub offset: usize,
    /// IV, ciphertext and ICV.
    pub body: &'a [u8],
}

impl<'a> Encrypted<'a> {
    pub(super) fn parse(first: PayloadType, r: &mut Reader<'a>) -> Self {
        Self { first, offset: r.position(), body: r.rest() }
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.bytes(self.body);
    }
}

/// Encrypted Fragment payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptedFragment<'a> {
    /// Type of the first payload inside the whole message: only in fragment 1, else none.
    pub first: PayloadType,
    /// Fragment Number, from 1.
    pub number: u16,
    /// Total Fragments, not below `number`.
    pub total: u16,
    /// Where `body` starts in the datagram.
    pub offset: usize,
    /// IV, ciphertext and ICV.
    pub body: &'a [u8],
}

impl<'a> EncryptedFragment<'a> {
    pub(super) fn parse(first: PayloadType, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let number = r.u16()?;
        let total = r.u16()?;
        if number == 0 || number > total {
            return Err(r.malformed(Flaw::Fragment { number, total }));
        }
        Ok(Self { first, number, total, offset: r.position(), body: r.rest() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u16(self.number);
        w.u16(self.total);
        w.bytes(self.body);
    }
}
