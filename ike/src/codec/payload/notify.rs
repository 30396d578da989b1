//! Notify payload (RFC 7296 §3.10).

use crate::codec::DecodeError;
use crate::codec::iana::{NotifyType, ProtocolId};
use crate::codec::reader::Reader;
use crate::codec::writer::{Writer, length8};

/// Notify payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify<'a> {
    /// What the SPI is of; none where there is no SPI.
    pub protocol: ProtocolId,
    /// SPI of the SA that it is about; mostly empty. Its length is for the reader of the notify to check.
    pub spi: &'a [u8],
    /// Notify Message Type.
    pub kind: NotifyType,
    /// Notification Data.
    pub data: &'a [u8],
}

impl<'a> Notify<'a> {
    /// A notify about the IKE SA of the message, or about no SA.
    pub const fn new(kind: NotifyType, data: &'a [u8]) -> Self {
        Self { protocol: ProtocolId::NONE, spi: &[], kind, data }
    }

    /// A notify about the child SA with this SPI (REKEY_SA, CHILD_SA_NOT_FOUND).
    pub const fn of_esp(kind: NotifyType, spi: &'a [u8; 4]) -> Self {
        Self { protocol: ProtocolId::ESP, spi, kind, data: &[] }
    }

    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let protocol = ProtocolId(r.u8()?);
        let spi_len = usize::from(r.u8()?);
        let kind = NotifyType(r.u16()?);
        let spi = r.take(spi_len)?;
        Ok(Self { protocol, spi, kind, data: r.rest() })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.protocol.0);
        w.u8(length8(self.spi.len()));
        w.u16(self.kind.0);
        w.bytes(self.spi);
        w.bytes(self.data);
    }
}
