//! What the offload tests share: packets made field by field, with a checksum that is summed the slow way.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]
#![allow(clippy::cast_possible_truncation, reason = "lengths below 65,536")]

use gotthard_dataplane::offload::virtio::{GsoType, NEEDS_CSUM, VirtioHeader};
use proptest::prelude::*;

/// A TCP segment or UDP datagram in an IP packet.
#[derive(Clone, Debug)]
pub struct Packet {
    pub v6: bool,
    pub udp: bool,
    /// The last octets of the source and destination addresses.
    pub hosts: [u8; 2],
    pub ports: [u16; 2],
    pub tos: u8,
    pub ttl: u8,
    pub id: u16,
    /// Flags and fragment offset of IPv4.
    pub fragment: u16,
    pub flow_label: u16,
    /// IPv4 options, or an IPv6 destination-options header; whole words of 8 octets.
    pub extension: Vec<u8>,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    /// TCP options; whole words of 4 octets.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;
pub const ECE: u8 = 0x40;
pub const CWR: u8 = 0x80;
pub const DF: u16 = 0x4000;

impl Packet {
    pub fn tcp(v6: bool, payload: usize) -> Self {
        Self {
            v6,
            udp: false,
            hosts: [1, 2],
            ports: [40_000, 443],
            tos: 0,
            ttl: 64,
            id: 0x1234,
            fragment: DF,
            flow_label: 0x1d3,
            extension: Vec::new(),
            seq: 1_000_000,
            ack: 77,
            flags: ACK,
            window: 501,
            options: vec![1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6],
            payload: pattern(payload),
        }
    }

    pub fn udp(v6: bool, payload: usize) -> Self {
        Self { udp: true, ..Self::tcp(v6, payload) }
    }

    /// The packet's octets, complete.
    pub fn octets(&self) -> Vec<u8> {
        let mut transport = self.transport(&self.payload, 0);
        let sum = !fold(self.pseudo_sum(transport.len()) + sum(&transport));
        let sum = if self.udp && sum == 0 { 0xffff } else { sum };
        let place = self.checksum_offset();
        transport[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        self.around(&transport)
    }

    /// The packet as the host leaves it to be cut or completed, its virtio header apart.
    pub fn unfinished(&self, gso_size: usize) -> (VirtioHeader, Vec<u8>) {
        let gso_type = match (self.udp, self.v6) {
            _ if gso_size == 0 => GsoType::NONE,
            (true, _) => GsoType::UDP_L4,
            (false, true) => GsoType::TCPV6,
            (false, false) => GsoType::TCPV4,
        };
        let transport = self.transport(&self.payload, 0);
        let sum = fold(self.pseudo_sum(transport.len()));
        let octets = self.around(&self.transport(&self.payload, sum));
        let header = VirtioHeader {
            flags: NEEDS_CSUM,
            gso_type,
            hdr_len: 0,
            gso_size: gso_size as u16,
            csum_start: (octets.len() - transport.len()) as u16,
            csum_offset: self.checksum_offset() as u16,
        };
        (header, octets)
    }

    /// The segments that the packet is cut to.
    pub fn cut(&self, gso_size: usize) -> Vec<Vec<u8>> {
        let chunks: Vec<&[u8]> = self.payload.chunks(gso_size).collect();
        let last = chunks.len() - 1;
        let segment = |(n, chunk): (usize, &&[u8])| {
            let keep = if n == 0 { !0 } else { !CWR } & if n == last { !0 } else { !(PSH | FIN) };
            Self {
                id: self.id.wrapping_add(n as u16),
                seq: self.seq.wrapping_add((n * gso_size) as u32),
                flags: self.flags & keep,
                payload: chunk.to_vec(),
                ..self.clone()
            }
            .octets()
        };
        chunks.iter().enumerate().map(segment).collect()
    }

    /// The segments, or the packet where it has no payload.
    pub fn octets_or_cut(&self, gso_size: usize) -> Vec<Vec<u8>> {
        if self.payload.is_empty() { vec![self.octets()] } else { self.cut(gso_size) }
    }

    /// Octets of all headers.
    pub fn header_len(&self) -> usize {
        self.octets().len() - self.payload.len()
    }

    fn checksum_offset(&self) -> usize {
        if self.udp { 6 } else { 16 }
    }

    fn transport(&self, payload: &[u8], sum: u16) -> Vec<u8> {
        let mut octets = self.ports.map(u16::to_be_bytes).concat();
        if self.udp {
            octets.extend((8 + payload.len() as u16).to_be_bytes());
            octets.extend(sum.to_be_bytes());
        } else {
            octets.extend(self.seq.to_be_bytes());
            octets.extend(self.ack.to_be_bytes());
            octets.extend([((5 + self.options.len() / 4) << 4) as u8, self.flags]);
            octets.extend(self.window.to_be_bytes());
            octets.extend(sum.to_be_bytes());
            octets.extend([0, 0]);
            octets.extend(&self.options);
        }
        octets.extend(payload);
        octets
    }

    /// `transport` in its IP packet.
    fn around(&self, transport: &[u8]) -> Vec<u8> {
        let protocol = if self.udp { 17 } else { 6 };
        let mut octets;
        if self.v6 {
            let len = (self.extension.len() + transport.len()) as u16;
            octets = vec![0x60 | (self.tos >> 4), self.tos << 4];
            octets.extend(self.flow_label.to_be_bytes());
            octets.extend(len.to_be_bytes());
            octets.extend([if self.extension.is_empty() { protocol } else { 60 }, self.ttl]);
            octets.extend(self.addresses());
            let mut extension = self.extension.clone();
            if let [next, words, ..] = extension.as_mut_slice() {
                (*next, *words) = (protocol, (self.extension.len() / 8 - 1) as u8);
            }
            octets.extend(extension);
        } else {
            let header_len = 20 + self.extension.len();
            octets = vec![0x40 | (header_len / 4) as u8, self.tos];
            octets.extend(((header_len + transport.len()) as u16).to_be_bytes());
            octets.extend(self.id.to_be_bytes());
            octets.extend(self.fragment.to_be_bytes());
            octets.extend([self.ttl, protocol, 0, 0]);
            octets.extend(self.addresses());
            octets.extend(&self.extension);
            let sum = !fold(sum(&octets));
            octets[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        octets.extend(transport);
        octets
    }

    fn addresses(&self) -> Vec<u8> {
        let address = |host: u8| {
            let mut address = if self.v6 { vec![0xfd; 16] } else { vec![10, 0, 0, 0] };
            *address.last_mut().unwrap() = host;
            address
        };
        self.hosts.map(address).concat()
    }

    fn pseudo_sum(&self, transport_len: usize) -> u64 {
        sum(&self.addresses()) + transport_len as u64 + if self.udp { 17 } else { 6 }
    }
}

/// A packet of any kind that may be cut, of at most 65,535 octets.
pub fn any_packet(payload: impl Strategy<Value = usize>) -> impl Strategy<Value = Packet> {
    let path = (any::<[u8; 2]>(), any::<[u16; 2]>(), any::<u8>(), any::<u8>(), any::<u16>(), any::<u16>());
    let extension = (0..3usize).prop_flat_map(|words| proptest::collection::vec(any::<u8>(), words * 8));
    let options = (0..11usize).prop_flat_map(|words| proptest::collection::vec(any::<u8>(), words * 4));
    let tcp = (any::<u32>(), any::<u32>(), any::<u8>(), any::<u16>(), options);
    (any::<[bool; 3]>(), path, extension, tcp, payload).prop_map(|(kind, path, extension, tcp, payload)| {
        let (hosts, ports, tos, ttl, id, flow_label) = path;
        let (seq, ack, flags, window, options) = tcp;
        let [v6, udp, df] = kind;
        let fragment = if df { DF } else { 0 };
        let payload = pattern(payload);
        #[rustfmt::skip]
        let packet = Packet {
            v6, udp, hosts, ports, tos, ttl, id, fragment, flow_label, extension, seq, ack, flags, window, options,
            payload,
        };
        packet
    })
}

/// Octets that differ from place to place.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

/// The sum of the big-endian words.
pub fn sum(octets: &[u8]) -> u64 {
    octets.chunks(2).map(|w| u64::from(w[0]) * 256 + w.get(1).map_or(0, |low| u64::from(*low))).sum()
}

/// One's complement: what overflows is added at the bottom.
pub fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = sum % 0x1_0000 + sum / 0x1_0000;
    }
    sum as u16
}

/// Whether the lengths and checksums of a TCP or UDP packet without options and extension headers are right. Other packets
/// are not looked at.
pub fn is_right(packet: &[u8]) -> bool {
    let word = |place: usize| usize::from(u16::from_be_bytes([packet[place], packet[place + 1]]));
    let (header, protocol, addresses) = match packet[0] {
        0x45 => (20, packet[9], &packet[12..20]),
        0x60..=0x6f => (40, packet[6], &packet[8..40]),
        _ => return true,
    };
    let len_is_right = if header == 20 { word(2) == packet.len() } else { word(4) + 40 == packet.len() };
    let header_is_right = header == 40 || fold(sum(&packet[..20])) == 0xffff;
    let transport = &packet[header..];
    let (sum_place, transport_is_right) = match protocol {
        6 => (16, true),
        17 => (6, word(header + 4) == transport.len()),
        _ => return true,
    };
    let pseudo = sum(addresses) + u64::from(protocol) + transport.len() as u64;
    let has_sum = protocol == 6 || word(header + sum_place) != 0;
    let sum_is_right = has_sum && fold(pseudo + sum(transport)) == 0xffff;
    len_is_right && header_is_right && transport_is_right && sum_is_right
}
