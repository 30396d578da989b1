//! Nonce payload (RFC 7296 §3.9).

use crate::codec::limits::NONCE_LEN;
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;
use crate::codec::{DecodeError, Flaw};

/// Nonce payload: 16 to 256 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce<'a>(pub &'a [u8]);

impl<'a> Nonce<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let nonce = r.rest();
        if NONCE_LEN.contains(&nonce.len()) {
            Ok(Self(nonce))
        } else {
            Err(r.malformed(Flaw::FieldLength(nonce.len())))
        }
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.bytes(self.0);
    }
}
