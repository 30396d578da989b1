//! Key Exchange payload (RFC 7296 §3.4).

use crate::codec::DecodeError;
use crate::codec::iana::Group;
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;

/// Key Exchange payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExchange<'a> {
    /// Diffie-Hellman Group Num.
    pub group: Group,
    /// Key Exchange Data: the public value; its length and its range are the group's business.
    pub public: &'a [u8],
}

impl<'a> KeyExchange<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let group = Group(r.u16()?);
        r.skip(2)?; // RESERVED
        Ok(Self { group, public: r.rest() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u16(self.group.0);
        w.zeros(2);
        w.bytes(self.public);
    }
}
