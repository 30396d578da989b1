//! Configuration payload (RFC 7296 §3.15). Site-to-site peers have no use for it; it is read so that it can be refused
//! with a word.

use crate::codec::DecodeError;
use crate::codec::iana::CfgType;
use crate::codec::reader::Reader;
use crate::codec::writer::{Writer, length16};

/// Configuration payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration<'a> {
    /// CFG Type.
    pub kind: CfgType,
    /// Configuration Attributes.
    pub attributes: Vec<Attribute<'a>>,
}

/// One configuration attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Attribute Type, 15 bits.
    pub kind: u16,
    /// Value; empty in a request that leaves the choice to the peer.
    pub value: &'a [u8],
}

impl<'a> Configuration<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = CfgType(r.u8()?);
        r.skip(3)?; // RESERVED
        let mut attributes = Vec::new();
        while !r.is_empty() {
            let kind = r.u16()? & ATTRIBUTE_TYPE;
            let length = usize::from(r.u16()?);
            attributes.push(Attribute { kind, value: r.take(length)? });
        }
        Ok(Self { kind, attributes })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.kind.0);
        w.zeros(3);
        for attribute in &self.attributes {
            w.u16(attribute.kind & ATTRIBUTE_TYPE);
            w.u16(length16(attribute.value.len()));
            w.bytes(attribute.value);
        }
    }
}

/// The bit above is reserved.
const ATTRIBUTE_TYPE: u16 = 0x7fff;
