//! Authentication payload (RFC 7296 §3.8).

use crate::codec::DecodeError;
use crate::codec::iana::AuthMethod;
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;

/// Authentication payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// Auth Method.
    pub method: AuthMethod,
    /// Authentication Data.
    pub data: &'a [u8],
}

impl<'a> Authentication<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let method = AuthMethod(r.u8()?);
        r.skip(3)?; // RESERVED
        Ok(Self { method, data: r.rest() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.method.0);
        w.zeros(3);
        w.bytes(self.data);
    }
}
