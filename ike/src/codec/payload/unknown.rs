//! A payload of a type that we do not know (RFC 7296 §2.5).

use crate::codec::iana::PayloadType;
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;

/// A payload that is kept as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// Its type.
    pub kind: PayloadType,
    /// The critical bit: never set in what was received, since such a message is refused as a whole.
    pub critical: bool,
    /// All behind the generic header.
    pub body: &'a [u8],
}

impl<'a> Unknown<'a> {
    pub(super) fn parse(kind: PayloadType, critical: bool, r: &mut Reader<'a>) -> Self {
        Self { kind, critical, body: r.rest() }
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.bytes(self.body);
    }
}
