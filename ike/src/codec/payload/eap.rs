//! Extensible Authentication Protocol payload (RFC 7296 §3.16).

use crate::codec::reader::Reader;
use crate::codec::writer::Writer;
use crate::codec::{DecodeError, Flaw};

/// EAP payload: one EAP message (RFC 3748 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eap<'a> {
    /// Code.
    pub code: u8,
    /// Identifier.
    pub identifier: u8,
    /// Type and Type_Data; empty in Success and Failure.
    pub data: &'a [u8],
}

impl<'a> Eap<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = r.u8()?;
        let identifier = r.u8()?;
        let mut body = r.block(2)?;
        if !r.is_empty() {
            return Err(r.malformed(Flaw::Trailing));
        }
        Ok(Self { code, identifier, data: body.rest() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.block([self.code, self.identifier], |w| w.bytes(self.data));
    }
}
