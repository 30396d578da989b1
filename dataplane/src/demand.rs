//! What a packet of the host's demands of the other end: TCP acknowledges whatever takes up sequence numbers (RFC 9293 §3.4),
//! so that silence after it says something of the path. A datagram of UDP, and an acknowledgement alone, demand nothing. And what
//! of the other end is nothing but such an answer.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::packet::ip::{IpHeader, TCP, UpperLayer};

/// Packets that were sent and must be answered; a super-packet of the host's is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// TCP segments that open a connection: nobody may be there to answer.
    pub openings: u64,
    /// TCP segments with data, or that end a connection: the other end has spoken before.
    pub segments: u64,
}

impl Demands {
    /// Counts a packet.
    #[inline]
    pub fn count(&mut self, packet: &[u8], ip: &IpHeader) {
        match Demand::of(packet, ip) {
            Some(Demand::Opening) => self.openings = self.openings.wrapping_add(1),
            Some(Demand::Segment) => self.segments = self.segments.wrapping_add(1),
            None => {}
        }
    }

    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            openings: self.openings.wrapping_add(other.openings),
            segments: self.segments.wrapping_add(other.segments),
        }
    }
}

/// Whether a packet of the other end's is an answer and nothing else: an acknowledgement alone, or the reply to a SYN. Data
/// acknowledge too, but come again and again where what the host answers is lost on its way.
#[inline]
#[must_use]
pub fn acknowledges(packet: &[u8]) -> bool {
    if packet.len() > LONGEST_HEADERS {
        return false;
    }
    let flags = |packet| {
        let (flags, data) = segment(packet, &IpHeader::parse(packet)?)?;
        Some((flags & (SYN | ACK | RST | FIN), data))
    };
    matches!(flags(packet), Some((ACK, 0) | (ANSWER, _)))
}

/// What one packet demands.
enum Demand {
    Opening,
    Segment,
}

impl Demand {
    /// `None`: nothing, or it is no whole TCP segment.
    fn of(packet: &[u8], ip: &IpHeader) -> Option<Self> {
        let (flags, data) = segment(packet, ip)?;
        match flags & (SYN | ACK | RST) {
            SYN => Some(Self::Opening),
            ACK if data > 0 || flags & FIN != 0 => Some(Self::Segment),
            _ => None,
        }
    }
}

/// The flags and the octets of data of a whole TCP segment.
fn segment(packet: &[u8], ip: &IpHeader) -> Option<(u8, usize)> {
    let upper = UpperLayer::find(packet, ip)?;
    if upper.protocol != TCP || upper.fragment {
        return None;
    }
    let segment = packet.get(upper.offset..)?;
    let [_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, ..] = *segment.first_chunk::<20>()?;
    Some((flags, segment.len().checked_sub(usize::from(offset >> 4).checked_mul(4)?)?))
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const ANSWER: u8 = SYN | ACK;
/// Octets of the longest headers of IPv4 and TCP, and of most of IPv6: no more than this is looked at of the packets that come.
const LONGEST_HEADERS: usize = 120;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use super::*;

    const PSH: u8 = 0x08;

    #[test]
    fn what_takes_up_sequence_numbers_demands_an_answer() {
        for (flags, payload, expected) in [
            (SYN, 0, (1, 0)),
            // Data with the SYN (RFC 7413).
            (SYN, 10, (1, 0)),
            (ACK, 1, (0, 1)),
            (ACK | PSH, 60_000, (0, 1)),
            (ACK | FIN, 0, (0, 1)),
            (ACK, 0, (0, 0)),
            (SYN | ACK, 0, (0, 0)),
            (RST, 0, (0, 0)),
            (RST | ACK, 5, (0, 0)),
            (0, 5, (0, 0)),
        ] {
            for packet in [v4(TCP, &tcp(flags, payload)), v6(&tcp(flags, payload))] {
                assert_eq!(counted(&packet), expected, "flags {flags:02x}, {payload} octets");
            }
        }
    }

    #[test]
    fn what_is_no_whole_segment_of_tcp_demands_nothing() {
        let data = tcp(ACK, 100);
        let mut fragment = v4(TCP, &data);
        fragment[7] = 1;
        let mut header_beyond_the_end = v4(TCP, &tcp(ACK, 10));
        header_beyond_the_end[32] = 0xf0;
        for packet in [fragment, header_beyond_the_end, v4(TCP, &data[..19]), v4(17, &data), v4(1, &data)] {
            assert_eq!(counted(&packet), (0, 0), "{packet:02x?}");
        }
    }

    #[test]
    fn an_acknowledgement_alone_and_the_reply_to_a_syn_are_answers() {
        for (flags, payload, expected) in [
            (ACK, 0, true),
            (SYN | ACK, 0, true),
            (SYN | ACK, 10, true),
            (ACK, 1, false),
            (ACK | PSH, 1400, false),
            (ACK | FIN, 0, false),
            (SYN, 0, false),
            (RST | ACK, 0, false),
            (0, 0, false),
        ] {
            for packet in [v4(TCP, &tcp(flags, payload)), v6(&tcp(flags, payload))] {
                assert_eq!(acknowledges(&packet), expected, "flags {flags:02x}, {payload} octets");
            }
        }
        let ack = tcp(ACK, 0);
        assert!(!acknowledges(&v4(17, &ack)) && !acknowledges(&v4(TCP, &ack[..19])) && !acknowledges(&[]));
    }

    fn counted(packet: &[u8]) -> (u64, u64) {
        let mut demands = Demands::default();
        demands.count(packet, &IpHeader::parse(packet).unwrap());
        (demands.openings, demands.segments)
    }

    fn tcp(flags: u8, payload: usize) -> Vec<u8> {
        let mut segment = vec![0, 80, 1, 187, 1, 2, 3, 4, 0, 0, 0, 0, 0x60, flags, 255, 255, 0, 0, 0, 0];
        // An option of four octets.
        segment.resize(24 + payload, 1);
        segment
    }

    fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(payload);
        packet
    }

    /// Behind an extension header.
    fn v6(payload: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, high, low, 60, 64];
        packet.extend([0xfd; 32]);
        packet.extend([TCP, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend(payload);
        packet
    }
}
