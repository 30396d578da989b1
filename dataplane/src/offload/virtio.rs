//! The virtio network header before each packet of a TUN queue (virtio 1.2 §5.1.6, `IFF_VNET_HDR`).
//!
//! Its integers are in the machine's own byte order, as a TUN device has them unless told otherwise.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// What is left to be done with a packet, or was done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtioHeader {
    /// [`NEEDS_CSUM`], [`DATA_VALID`]; other bits are ignored.
    pub flags: u8,
    /// How to cut the packet.
    pub gso_type: GsoType,
    /// Octets of the headers: a hint, which may be wrong (§5.1.6.2).
    pub hdr_len: u16,
    /// Octets of payload in each segment but the last.
    pub gso_size: u16,
    /// Where the checksum's cover begins; it ends with the packet.
    pub csum_start: u16,
    /// Where in its cover the checksum is.
    pub csum_offset: u16,
}

impl VirtioHeader {
    /// Takes the header off a frame; `None` where the frame is shorter.
    #[inline]
    pub fn parse(frame: &mut [u8]) -> Option<(Self, &mut [u8])> {
        let (header, packet) = frame.split_first_chunk_mut::<LEN>()?;
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] = *header;
        let header = Self {
            flags,
            gso_type: GsoType(gso_type),
            hdr_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        };
        Some((header, packet))
    }

    /// The header as it stands before a packet.
    #[inline]
    pub const fn to_bytes(self) -> [u8; LEN] {
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type.0, h0, h1, g0, g1, s0, s1, o0, o1]
    }

    /// Whether `flag` is set.
    #[inline]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// How a packet is to be cut (`gso_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GsoType(pub u8);

impl GsoType {
    /// Not at all.
    pub const NONE: Self = Self(0);
    /// As TCP over IPv4.
    pub const TCPV4: Self = Self(1);
    /// As TCP over IPv6.
    pub const TCPV6: Self = Self(4);
    /// As UDP datagrams of their own, over IPv4 or IPv6.
    pub const UDP_L4: Self = Self(5);

    /// The type without the mark that TCP's CWR flag is set ([`ECN`]), which the flag itself tells.
    #[inline]
    #[must_use]
    pub const fn base(self) -> Self {
        Self(self.0 & !ECN)
    }
}

/// Octets of the header.
pub const LEN: usize = 10;
/// Flag: the checksum at `csum_start + csum_offset` holds the sum of the pseudo-header, and is to be completed.
pub const NEEDS_CSUM: u8 = 1;
/// Flag: the checksum was verified.
pub const DATA_VALID: u8 = 2;
/// Bit of [`GsoType`]: the CWR flag belongs on the first segment only.
pub const ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = VirtioHeader {
            flags: NEEDS_CSUM,
            gso_type: GsoType(GsoType::TCPV6.0 | ECN),
            hdr_len: 72,
            gso_size: 1338,
            csum_start: 40,
            csum_offset: 16,
        };
        let mut frame = [0xaa; LEN + 3];
        frame[..LEN].copy_from_slice(&header.to_bytes());
        let (read, packet) = VirtioHeader::parse(&mut frame).unwrap();
        assert_eq!((read, packet.len()), (header, 3));
        assert_eq!(read.gso_type.base(), GsoType::TCPV6);
        assert!(read.has(NEEDS_CSUM) && !read.has(DATA_VALID));
        assert!(VirtioHeader::parse(&mut frame[..LEN - 1]).is_none());
    }
}
