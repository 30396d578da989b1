//! Vendor ID payload (RFC 7296 §3.12).

use crate::codec::reader::Reader;
use crate::codec::writer::Writer;

/// Vendor ID payload: names an implementation, mostly by a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorId<'a>(pub &'a [u8]);

impl<'a> VendorId<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Self {
        Self(r.rest())
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.bytes(self.0);
    }
}
