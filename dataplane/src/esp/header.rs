//! The ESP header: SPI and the low half of the sequence number (RFC 4303 §2.1, §2.2).

/// Octets of the header.
pub const LEN: usize = 8;

/// The two words in clear at the start of an ESP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspHeader {
    /// Which SA of the receiver.
    pub spi: u32,
    /// The sequence number, or its low 32 bits with ESN.
    pub seq: u32,
}

impl EspHeader {
    /// Reads the header at the start of `packet`; `None` when it is cut short.
    #[inline]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (spi, rest) = packet.split_first_chunk()?;
        let seq = rest.first_chunk()?;
        Some(Self { spi: u32::from_be_bytes(*spi), seq: u32::from_be_bytes(*seq) })
    }

    /// The header's octets.
    #[inline]
    pub fn to_bytes(self) -> [u8; LEN] {
        (u64::from(self.spi) << 32 | u64::from(self.seq)).to_be_bytes()
    }
}

/// The low half of a sequence number, which is sent.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
pub(super) const fn low_half(seq: u64) -> u32 {
    seq as u32
}

/// The high half of a sequence number, which both ends count but is not sent (RFC 4303 §2.2.1).
#[inline]
pub(super) const fn high_half(seq: u64) -> u32 {
    low_half(seq >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_written_as_it_is_read() {
        let header = EspHeader { spi: 0x0102_0304, seq: 0x0506_0708 };
        assert_eq!(header.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(EspHeader::parse(&header.to_bytes()), Some(header));
        assert_eq!(EspHeader::parse(&[0; 7]), None);
    }
}
