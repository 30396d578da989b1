//! The IKE header (RFC 7296 §3.1).

use super::error::DecodeError;
use super::iana::{ExchangeType, PayloadType};
use super::reader::Reader;
use super::writer::Writer;

/// IKE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// SPI of the original initiator.
    pub spi_i: u64,
    /// SPI of the original responder; zero in its first request.
    pub spi_r: u64,
    /// Type of the first payload. What emits a message sets it.
    pub next_payload: PayloadType,
    /// Major version: 2.
    pub major: u8,
    /// Minor version: 0 from us; any is accepted.
    pub minor: u8,
    /// Exchange Type.
    pub exchange: ExchangeType,
    /// Flags.
    pub flags: Flags,
    /// Message ID.
    pub message_id: u32,
    /// Octets of the whole message. What emits a message sets it.
    pub length: u32,
}

impl Header {
    /// Octets of an IKE header.
    pub const LEN: usize = 28;

    /// The header of a message of ours; `next_payload` and `length` are set when the message is emitted.
    pub const fn new(spi_i: u64, spi_r: u64, exchange: ExchangeType, flags: Flags, message_id: u32) -> Self {
        let next_payload = PayloadType::NONE;
        Self { spi_i, spi_r, next_payload, major: 2, minor: 0, exchange, flags, message_id, length: 0 }
    }

    /// Reads the header at the start of a datagram, of whatever version.
    pub fn parse(datagram: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(datagram)).map_err(|_| DecodeError::Runt(datagram.len()))
    }

    /// Writes the header as its fields are.
    pub fn emit(&self, w: &mut Writer<'_>) {
        w.u64(self.spi_i);
        w.u64(self.spi_r);
        w.u8(self.next_payload.0);
        w.u8((self.major << 4) | (self.minor & 0x0f));
        w.u8(self.exchange.0);
        w.u8(self.flags.to_octet());
        w.u32(self.message_id);
        w.u32(self.length);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let spi_i = r.u64()?;
        let spi_r = r.u64()?;
        let next_payload = PayloadType(r.u8()?);
        let version = r.u8()?;
        Ok(Self {
            spi_i,
            spi_r,
            next_payload,
            major: version >> 4,
            minor: version & 0x0f,
            exchange: ExchangeType(r.u8()?),
            flags: Flags::from_octet(r.u8()?),
            message_id: r.u32()?,
            length: r.u32()?,
        })
    }
}

/// Flags of the IKE header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// I: the sender is the original initiator of the IKE SA.
    pub initiator: bool,
    /// R: a response.
    pub response: bool,
    /// V: the sender could speak a higher major version. Ignored on receipt, never set by us.
    pub version: bool,
}

impl Flags {
    /// Reads the octet; reserved bits are ignored.
    pub const fn from_octet(octet: u8) -> Self {
        Self {
            initiator: octet & INITIATOR != 0,
            response: octet & RESPONSE != 0,
            version: octet & VERSION != 0,
        }
    }

    /// The octet; reserved bits are zero.
    pub const fn to_octet(self) -> u8 {
        let initiator = if self.initiator { INITIATOR } else { 0 };
        let response = if self.response { RESPONSE } else { 0 };
        let version = if self.version { VERSION } else { 0 };
        initiator | response | version
    }
}

const INITIATOR: u8 = 0x08;
const VERSION: u8 = 0x10;
const RESPONSE: u8 = 0x20;
