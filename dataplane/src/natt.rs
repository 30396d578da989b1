//! What a datagram on UDP 4500 is (RFC 3948 §2). Framing alone; who answers what is elsewhere.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Four zero octets before an IKE message on UDP 4500 (RFC 3948 §2.2).
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// The payload of a NAT keepalive (RFC 3948 §2.3).
pub const KEEPALIVE: [u8; 1] = [0xff];

/// A datagram of UDP 4500, classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A NAT keepalive: nothing is answered.
    Keepalive,
    /// An IKE message, its marker removed.
    Ike(&'a [u8]),
    /// ESP with this SPI, never 0.
    Esp {
        /// The SPI.
        spi: u32,
    },
    /// Too short to be any of them.
    Runt,
}

/// Says what `datagram` is.
#[inline]
pub fn classify(datagram: &[u8]) -> Datagram<'_> {
    match datagram.split_first_chunk::<4>() {
        Some((&NON_ESP_MARKER, message)) => Datagram::Ike(message),
        Some((spi, _)) => Datagram::Esp { spi: u32::from_be_bytes(*spi) },
        None if datagram == KEEPALIVE => Datagram::Keepalive,
        None => Datagram::Runt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_four_octets_tell_ike_from_esp() {
        assert_eq!(classify(&[0xff]), Datagram::Keepalive);
        assert_eq!(classify(&[0, 0, 0, 0, 7, 8]), Datagram::Ike(&[7, 8]));
        assert_eq!(classify(&[0, 0, 0, 0]), Datagram::Ike(&[]));
        assert_eq!(classify(&[0, 0, 1, 0, 9]), Datagram::Esp { spi: 256 });
        for runt in [&[][..], &[0xfe], &[0xff, 0xff], &[0, 0, 0]] {
            assert_eq!(classify(runt), Datagram::Runt);
        }
    }
}
