//! Delete payload (RFC 7296 §3.11).

use crate::codec::iana::ProtocolId;
use crate::codec::reader::Reader;
use crate::codec::writer::{Writer, length16};
use crate::codec::{DecodeError, Flaw};

/// Delete payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// What is deleted: the IKE SA of the message itself, or child SAs.
    pub protocol: ProtocolId,
    /// SPIs of the child SAs, as the sender of this payload receives with them. None for an IKE SA.
    pub spis: Vec<u32>,
}

impl Delete {
    /// Deletes the IKE SA that protects the message.
    pub const fn ike() -> Self {
        Self { protocol: ProtocolId::IKE, spis: Vec::new() }
    }

    /// Deletes the child SA with which the sender receives at `spi`.
    pub fn esp(spi: u32) -> Self {
        Self { protocol: ProtocolId::ESP, spis: vec![spi] }
    }

    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let protocol = ProtocolId(r.u8()?);
        let spi_len = usize::from(r.u8()?);
        let count = usize::from(r.u16()?);
        // Only a length that is there is allocated: the count alone is the peer's word.
        if spi_len.checked_mul(count) != Some(r.remaining()) {
            return Err(r.malformed(Flaw::Count));
        }
        if spi_len != usize::from(spi_len_of(protocol)) && (count != 0 || spi_len != 0) {
            return Err(r.malformed(Flaw::FieldLength(spi_len)));
        }
        let mut spis = Vec::with_capacity(if spi_len == 0 { 0 } else { count });
        while !r.is_empty() {
            spis.push(r.u32()?);
        }
        Ok(Self { protocol, spis })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        let spi_len = spi_len_of(self.protocol);
        w.u8(self.protocol.0);
        w.u8(spi_len);
        if spi_len == 0 {
            w.u16(0);
            return;
        }
        w.u16(length16(self.spis.len()));
        for spi in &self.spis {
            w.u32(*spi);
        }
    }
}

/// SPI Size: an IKE SA is named by the header of the message.
const fn spi_len_of(protocol: ProtocolId) -> u8 {
    if matches!(protocol, ProtocolId::IKE) { 0 } else { 4 }
}
