//! ICMP and ICMPv6 echo, as the probe sends and receives it (RFC 792, RFC 4443 §4). No sockets: octets in, octets out.
//!
//! **Which socket.** A raw ICMP socket of the tunnel's family needs CAP_NET_RAW, which the daemon has for the same reason
//! that it can send ESP as protocol 50. A ping socket (`SOCK_DGRAM`, `IPPROTO_ICMP`) needs no capability, but a group
//! within `net.ipv4.ping_group_range`, which is empty in every new network namespace and applies to root too: the driver
//! takes it where it is permitted and a raw one elsewhere. Either is bound to our inside address and to the tunnel's
//! device (`SO_BINDTODEVICE`), so that an echo never takes another way, and connected to the peer's inside address, so
//! that the kernel drops what others send.
//!
//! What differs is here: a raw IPv4 socket delivers the IP header ([`Framing`]); a ping socket puts its own identifier
//! into what it sends, and hands over only what carries it. So replies are told by the token, not by the identifier. The
//! kernel computes the checksum of ICMPv6 (RFC 3542 §3.1), because it covers addresses that it alone knows yet.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use gotthard_dataplane::packet::checksum;

/// What tells our echoes from those of others, and a reply from a forgery: random, and new for each socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub [u8; TOKEN]);

/// The family of the inside addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// ICMP (RFC 792).
    V4,
    /// ICMPv6 (RFC 4443).
    V6,
}

/// What a socket delivers before the ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: ping sockets, and raw sockets of IPv6.
    Bare,
    /// The IPv4 header: raw sockets of IPv4 (raw(7)).
    Ipv4Header,
}

/// An echo request: type, code, checksum, identifier, sequence number, and the token as its data.
pub fn request(family: Family, identifier: u16, sequence: u16, token: Token) -> [u8; LENGTH] {
    let kind = match family {
        Family::V4 => ECHO_REQUEST_V4,
        Family::V6 => ECHO_REQUEST_V6,
    };
    let ([i0, i1], [s0, s1]) = (identifier.to_be_bytes(), sequence.to_be_bytes());
    let [t0, t1, t2, t3, t4, t5, t6, t7] = token.0;
    let message = |[c0, c1]: [u8; 2]| [kind, 0, c0, c1, i0, i1, s0, s1, t0, t1, t2, t3, t4, t5, t6, t7];
    match family {
        Family::V4 => message(checksum::finish(checksum::add(0, &message([0, 0]))).to_be_bytes()),
        Family::V6 => message([0, 0]),
    }
}

/// The same, as an IP packet of this size; no smaller than one without padding.
pub fn padded_request(family: Family, identifier: u16, sequence: u16, token: Token, size: u16) -> Vec<u8> {
    let mut message = request(family, identifier, sequence, token).to_vec();
    // Zeros change no checksum of the internet (RFC 1071).
    message.resize(usize::from(size).saturating_sub(ip_header(family)).max(LENGTH), 0);
    message
}

/// The sequence number of a reply to one of our requests without padding; `None`: it is something else, or damaged.
pub fn reply(family: Family, framing: Framing, datagram: &[u8], token: Token) -> Option<u16> {
    let Reply { sequence, padding } = padded_reply(family, framing, datagram, token)?;
    (padding == 0).then_some(sequence)
}

/// A reply to one of our requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request's sequence number.
    pub sequence: u16,
    /// Octets of its padding.
    padding: usize,
}

impl Reply {
    /// Octets of the IP packet, where it was padded.
    pub fn padded_size(&self, family: Family) -> Option<u16> {
        let size = self.padding.saturating_add(ip_header(family)).saturating_add(LENGTH);
        u16::try_from(size).ok().filter(|_| self.padding > 0)
    }
}

/// A reply to one of our requests, padded or not; `None`: it is something else, or damaged.
pub fn padded_reply(family: Family, framing: Framing, datagram: &[u8], token: Token) -> Option<Reply> {
    let message = match framing {
        Framing::Bare => datagram,
        Framing::Ipv4Header => without_ipv4_header(datagram)?,
    };
    let (header, data) = message.split_first_chunk::<HEADER>()?;
    let [kind, code, _, _, _, _, seq_high, seq_low] = *header;
    let expected = match family {
        Family::V4 => ECHO_REPLY_V4,
        Family::V6 => ECHO_REPLY_V6,
    };
    // The checksum of ICMPv6 is the kernel's to verify, as it was to compute.
    let intact = family == Family::V6 || checksum::finish(checksum::add(0, message)) == 0;
    let padding = data.strip_prefix(&token.0)?;
    let ours = kind == expected && code == 0 && padding.iter().all(|octet| *octet == 0) && intact;
    ours.then_some(Reply { sequence: u16::from_be_bytes([seq_high, seq_low]), padding: padding.len() })
}

/// Octets of the IP header of a request.
const fn ip_header(family: Family) -> usize {
    match family {
        Family::V4 => IPV4_HEADER,
        Family::V6 => IPV6_HEADER,
    }
}

fn without_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    let first = packet.first()?;
    let length = usize::from(first & 0x0f).checked_mul(4).filter(|length| *length >= IPV4_HEADER)?;
    if first >> 4 != 4 {
        return None;
    }
    packet.get(length..)
}

/// Octets of the token.
pub const TOKEN: usize = 8;
/// Octets of an echo message.
pub const LENGTH: usize = HEADER + TOKEN;
/// Of every request; a ping socket puts its own there. Replies are told by their token.
pub const IDENTIFIER: u16 = 0x6774;
/// Octets to read of a datagram: an IPv4 header with all options, and more than a reply of ours, so that one which is
/// longer does not pass for it.
pub const ROOM: usize = 128;
/// The same where replies are padded: no tunnel's MTU is larger than that of an Ethernet.
pub const PADDED_ROOM: usize = 1600;

/// Octets before the data (RFC 792).
const HEADER: usize = 8;
/// Octets of an IPv4 header without options.
const IPV4_HEADER: usize = 20;
/// Octets of an IPv6 header without extensions.
const IPV6_HEADER: usize = 40;

const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: Token = Token(*b"gotthard");

    /// As a peer answers: the type changes, and with it the checksum.
    fn answered(family: Family, mut message: Vec<u8>) -> Vec<u8> {
        message[0] = if family == Family::V4 { ECHO_REPLY_V4 } else { ECHO_REPLY_V6 };
        message[2..4].fill(0);
        let sum = checksum::finish(checksum::add(0, &message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    /// Behind an IPv4 header that says its length in `first`.
    fn in_ipv4(first: u8, header: usize, message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; header];
        packet.extend_from_slice(message);
        packet[0] = first;
        packet
    }

    #[test]
    fn a_request_is_what_rfc_792_draws() {
        let message = request(Family::V4, 0x1234, 7, OURS);
        assert_eq!(message[..2], [8, 0]);
        assert_eq!(message[4..8], [0x12, 0x34, 0, 7]);
        assert_eq!(checksum::finish(checksum::add(0, &message)), 0);
        let message = request(Family::V6, 0x1234, 7, OURS);
        assert_eq!(message[..4], [128, 0, 0, 0], "the kernel computes the checksum");
    }

    #[test]
    fn a_reply_is_known_by_its_token_whatever_socket_it_came_from() {
        let reply_v4 = answered(Family::V4, request(Family::V4, 1, 65535, OURS).to_vec());
        assert_eq!(reply(Family::V4, Framing::Bare, &reply_v4, OURS), Some(65535));
        assert_eq!(reply(Family::V4, Framing::Ipv4Header, &in_ipv4(0x45, 20, &reply_v4), OURS), Some(65535));
        assert_eq!(reply(Family::V4, Framing::Ipv4Header, &in_ipv4(0x4f, 60, &reply_v4), OURS), Some(65535));
        let reply_v6 = answered(Family::V6, request(Family::V6, 1, 3, OURS).to_vec());
        assert_eq!(reply(Family::V6, Framing::Bare, &reply_v6, OURS), Some(3));
    }

    #[test]
    fn a_padded_echo_is_as_large_as_asked_and_no_answer_to_one_that_is_not() {
        for (family, framing) in [(Family::V4, Framing::Ipv4Header), (Family::V6, Framing::Bare)] {
            let message = padded_request(family, 1, 9, OURS, 1438);
            assert_eq!(message.len() + ip_header(family), 1438);
            let answer = answered(family, message);
            let datagram = if family == Family::V4 { in_ipv4(0x45, 20, &answer) } else { answer.clone() };
            let heard = padded_reply(family, framing, &datagram, OURS).expect("a reply");
            assert_eq!((heard.sequence, heard.padded_size(family)), (9, Some(1438)));
            assert_eq!(reply(family, framing, &datagram, OURS), None);
        }
        assert_eq!(padded_request(Family::V4, 1, 9, OURS, 10).len(), LENGTH);
        let plain = answered(Family::V6, request(Family::V6, 1, 3, OURS).to_vec());
        let heard = padded_reply(Family::V6, Framing::Bare, &plain, OURS).expect("a reply");
        assert_eq!(heard.padded_size(Family::V6), None);
    }

    #[test]
    fn what_is_no_reply_to_us_is_none() {
        let request_v4 = request(Family::V4, 1, 2, OURS);
        let good = answered(Family::V4, request_v4.to_vec());
        let other = answered(Family::V4, request(Family::V4, 1, 2, Token([0; TOKEN])).to_vec());
        let mut damaged = good.clone();
        damaged[6] ^= 1;
        let longer = [good.as_slice(), &[0, 1]].concat();
        for octets in [&request_v4[..], &other, &damaged, &longer, &good[..LENGTH - 1], &[]] {
            assert_eq!(reply(Family::V4, Framing::Bare, octets, OURS), None);
        }
        assert_eq!(reply(Family::V6, Framing::Bare, &good, OURS), None);
        for (first, header) in [(0x44, 20), (0x44, 16), (0x65, 20), (0x46, 20), (0x4f, 20)] {
            let packet = in_ipv4(first, header, &good);
            assert_eq!(reply(Family::V4, Framing::Ipv4Header, &packet, OURS), None, "{first:#x}");
        }
        assert_eq!(reply(Family::V4, Framing::Ipv4Header, &[], OURS), None);
    }

    proptest! {
        #[test]
        fn whatever_a_socket_delivers_is_read_without_harm(
            octets in prop::collection::vec(any::<u8>(), 0..80),
            v6 in any::<bool>(),
            bare in any::<bool>(),
        ) {
            let family = if v6 { Family::V6 } else { Family::V4 };
            let framing = if bare { Framing::Bare } else { Framing::Ipv4Header };
            prop_assert_eq!(reply(family, framing, &octets, OURS), None);
        }
    }
}
