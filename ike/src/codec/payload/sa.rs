//! Security Association payload (RFC 7296 §3.3): proposals, their transforms and attributes. Choosing among them is the
//! business of `sa::negotiate`.

use crate::codec::iana::{ProtocolId, TransformType};
use crate::codec::limits::{MAX_PROPOSALS, MAX_TRANSFORM_ATTRIBUTES, MAX_TRANSFORMS};
use crate::codec::reader::Reader;
use crate::codec::writer::{Writer, length8, length16};
use crate::codec::{DecodeError, Flaw};

/// SA payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityAssociation {
    /// Proposals, the preferred first; exactly one in a response.
    pub proposals: Vec<Proposal>,
}

/// One proposal (RFC 7296 §3.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Proposal Num, from 1; a response repeats the number of the proposal that was chosen.
    pub number: u8,
    /// Protocol ID.
    pub protocol: ProtocolId,
    /// SPI of the sender: empty in IKE_SA_INIT, 8 octets in a rekey of an IKE SA, 4 for ESP.
    pub spi: Vec<u8>,
    /// Transforms; those of one type are alternatives.
    pub transforms: Vec<Transform>,
}

/// One transform (RFC 7296 §3.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    /// Transform Type.
    pub kind: TransformType,
    /// Transform ID, in the registry of its type.
    pub id: u16,
    /// The Key Length attribute, in bits (RFC 7296 §3.3.5).
    pub key_bits: Option<u16>,
    /// Attributes that we do not know. A transform that has any must not be chosen (RFC 7296 §3.3.6).
    pub other_attributes: Vec<Attribute>,
}

/// A transform attribute (RFC 7296 §3.3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Attribute Type, 15 bits.
    pub kind: u16,
    /// Its value.
    pub value: AttributeValue,
}

/// The value of an attribute, in the form that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Type/Value: two octets.
    Short(u16),
    /// Type/Length/Value.
    Long(Vec<u8>),
}

impl SecurityAssociation {
    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut proposals = Vec::new();
        let mut budget = MAX_TRANSFORMS;
        let mut more = true;
        while more {
            if r.is_empty() {
                return Err(r.malformed(if proposals.is_empty() { Flaw::Empty } else { Flaw::Count }));
            }
            if proposals.len() == MAX_PROPOSALS {
                return Err(r.malformed(Flaw::TooMany));
            }
            more = more_follow(r, MORE_PROPOSALS)?;
            let proposal = Proposal::parse(&mut r.block(2)?, budget)?;
            budget = budget.saturating_sub(proposal.transforms.len());
            proposals.push(proposal);
        }
        Ok(Self { proposals })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        let mut rest = self.proposals.iter().peekable();
        while let Some(proposal) = rest.next() {
            let last = if rest.peek().is_some() { MORE_PROPOSALS } else { LAST };
            w.block([last, 0], |w| proposal.emit(w));
        }
    }
}

impl Proposal {
    fn parse(r: &mut Reader<'_>, budget: usize) -> Result<Self, DecodeError> {
        let number = r.u8()?;
        let protocol = ProtocolId(r.u8()?);
        let spi_len = usize::from(r.u8()?);
        let count = usize::from(r.u8()?);
        let spi = r.take(spi_len)?.to_vec();
        if count > budget {
            return Err(r.malformed(Flaw::TooMany));
        }
        let mut transforms = Vec::new();
        let mut more = count != 0;
        while more {
            if r.is_empty() {
                return Err(r.malformed(Flaw::Count));
            }
            more = more_follow(r, MORE_TRANSFORMS)?;
            transforms.push(Transform::parse(&mut r.block(2)?)?);
        }
        if transforms.len() != count || !r.is_empty() {
            return Err(r.malformed(Flaw::Count));
        }
        Ok(Self { number, protocol, spi, transforms })
    }

    fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.number);
        w.u8(self.protocol.0);
        w.u8(length8(self.spi.len()));
        w.u8(length8(self.transforms.len()));
        w.bytes(&self.spi);
        let mut rest = self.transforms.iter().peekable();
        while let Some(transform) = rest.next() {
            let last = if rest.peek().is_some() { MORE_TRANSFORMS } else { LAST };
            w.block([last, 0], |w| transform.emit(w));
        }
    }
}

impl Transform {
    /// A transform without attributes.
    pub const fn new(kind: TransformType, id: u16) -> Self {
        Self { kind, id, key_bits: None, other_attributes: Vec::new() }
    }

    /// The same transform with a Key Length attribute.
    #[must_use]
    pub fn with_key_bits(self, key_bits: u16) -> Self {
        Self { key_bits: Some(key_bits), ..self }
    }

    fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = TransformType(r.u8()?);
        r.skip(1)?; // RESERVED
        let mut transform = Self::new(kind, r.u16()?);
        while !r.is_empty() {
            let attribute = Attribute::parse(r)?;
            match attribute {
                Attribute { kind: KEY_LENGTH, value: AttributeValue::Short(bits) }
                    if transform.key_bits.is_none() =>
                {
                    transform.key_bits = Some(bits);
                }
                other => transform.other_attributes.push(other),
            }
            if transform.other_attributes.len() > MAX_TRANSFORM_ATTRIBUTES {
                return Err(r.malformed(Flaw::TooMany));
            }
        }
        Ok(transform)
    }

    fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.kind.0);
        w.u8(0); // RESERVED
        w.u16(self.id);
        if let Some(bits) = self.key_bits {
            Attribute { kind: KEY_LENGTH, value: AttributeValue::Short(bits) }.emit(w);
        }
        for attribute in &self.other_attributes {
            attribute.emit(w);
        }
    }
}

impl Attribute {
    fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let head = r.u16()?;
        let field = r.u16()?;
        let kind = head & !ATTRIBUTE_FORMAT;
        let value = if head & ATTRIBUTE_FORMAT == 0 {
            AttributeValue::Long(r.take(usize::from(field))?.to_vec())
        } else {
            AttributeValue::Short(field)
        };
        Ok(Self { kind, value })
    }

    fn emit(&self, w: &mut Writer<'_>) {
        let kind = self.kind & !ATTRIBUTE_FORMAT;
        match &self.value {
            AttributeValue::Short(value) => {
                w.u16(kind | ATTRIBUTE_FORMAT);
                w.u16(*value);
            }
            AttributeValue::Long(value) => {
                w.u16(kind);
                w.u16(length16(value.len()));
                w.bytes(value);
            }
        }
    }
}

/// Reads the Last Substruc and RESERVED octets.
fn more_follow(r: &mut Reader<'_>, more: u8) -> Result<bool, DecodeError> {
    let last = r.u8()?;
    r.skip(1)?; // RESERVED
    match last {
        LAST => Ok(false),
        value if value == more => Ok(true),
        _ => Err(r.malformed(Flaw::Count)),
    }
}

/// Last Substruc of the last proposal or transform, of a proposal and of a transform that is followed by another.
const LAST: u8 = 0;
const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;

/// AF bit: Type/Value instead of Type/Length/Value.
const ATTRIBUTE_FORMAT: u16 = 0x8000;

/// Key Length, the only attribute type there is (RFC 7296 §3.3.5).
const KEY_LENGTH: u16 = 14;
