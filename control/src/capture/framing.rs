//! The outer headers of an ESP packet, as the kernel puts them before it or takes them away: ESP in UDP (RFC 3948) or as IP
//! protocol 50 (RFC 4303), over IPv4 or IPv6.

use std::net::{IpAddr, SocketAddr};

use gotthard_dataplane::packet::checksum;

/// A whole IP packet around an ESP packet; ports of zero: protocol 50. `None`: addresses of two families, or too long.
pub fn esp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let mut inside = Vec::with_capacity(UDP_LEN + payload.len());
    let protocol = if source.port() == 0 {
        ESP
    } else {
        inside.extend(source.port().to_be_bytes());
        inside.extend(destination.port().to_be_bytes());
        inside.extend(u16::try_from(UDP_LEN + payload.len()).ok()?.to_be_bytes());
        // No checksum, as RFC 3948 §2.1 wants it.
        inside.extend([0, 0]);
        UDP
    };
    inside.extend(payload);
    let mut packet = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = u16::try_from(V4_LEN + inside.len()).ok()?.to_be_bytes();
            let [total_0, total_1] = total;
            let mut header = vec![0x45, 0, total_0, total_1, 0, 0, DONT_FRAGMENT, 0, TTL, protocol, 0, 0];
            header.extend(source.octets().into_iter().chain(destination.octets()));
            let [sum_0, sum_1] = checksum::finish(checksum::add(0, &header)).to_be_bytes();
            header.splice(SUM_AT..SUM_AT + 2, [sum_0, sum_1]);
            header
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let [len_0, len_1] = u16::try_from(inside.len()).ok()?.to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, len_0, len_1, protocol, TTL];
            header.extend(source.octets().into_iter().chain(destination.octets()));
            header
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    packet.append(&mut inside);
    Some(packet)
}

const UDP: u8 = 17;
const ESP: u8 = 50;
const TTL: u8 = 64;
const DONT_FRAGMENT: u8 = 0x40;
const UDP_LEN: usize = 8;
const V4_LEN: usize = 20;
/// Where the checksum of an IPv4 header is.
const SUM_AT: usize = 10;

#[cfg(test)]
mod tests {
    use gotthard_dataplane::packet::ip::IpHeader;

    use super::*;

    #[test]
    fn headers_are_those_of_the_wire() {
        for (source, destination, protocol, before) in [
            ("192.0.2.1:4500", "198.51.100.1:4500", 17, 28),
            ("192.0.2.1:0", "198.51.100.1:0", 50, 20),
            ("[2001:db8::1]:4500", "[2001:db8::2]:4500", 17, 48),
            ("[2001:db8::1]:0", "[2001:db8::2]:0", 50, 40),
        ] {
            let (source, destination): (SocketAddr, SocketAddr) =
                (source.parse().unwrap(), destination.parse().unwrap());
            let packet = esp(source, destination, b"sealed").unwrap();
            let header = IpHeader::parse(&packet).unwrap();
            assert_eq!((header.source, header.destination), (source.ip(), destination.ip()));
            assert_eq!((header.protocol, header.total_len), (protocol, packet.len()));
            assert_eq!(&packet[before..], b"sealed");
        }
    }

    #[test]
    fn what_no_packet_can_be_is_none() {
        let [four, six]: [SocketAddr; 2] =
            ["192.0.2.1:0".parse().unwrap(), "[2001:db8::1]:0".parse().unwrap()];
        assert_eq!(esp(four, six, &[]), None);
        assert_eq!(esp(four, four, &vec![0; 65_536]), None);
    }
}
