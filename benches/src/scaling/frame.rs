//! The super-packets that the memory's host sends: TCP, as a TUN device with offloads gives them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use gotthard_dataplane::offload::virtio::{self, GsoType, VirtioHeader};
use gotthard_dataplane::packet::checksum;

/// Writes the super-packet number `turn` of a flow, and returns its length.
pub(super) fn write(to: &mut [u8], flow: u16, turn: usize) -> usize {
    let header = VirtioHeader {
        flags: virtio::NEEDS_CSUM,
        gso_type: GsoType::TCPV4,
        hdr_len: 40,
        gso_size: SEGMENT,
        csum_start: 20,
        csum_offset: 16,
    };
    let total = 40 + SEGMENTS * SEGMENT;
    let mut packet = [0; 40];
    packet[..10].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6]);
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[12..20].copy_from_slice(&[10, 10, 0, 1, 10, 200, 0, 1]);
    let sum = checksum::finish(checksum::add(0, &packet[..20]));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let turn = u32::try_from(turn).unwrap_or(u32::MAX);
    let seq = turn.wrapping_mul(u32::from(SEGMENTS * SEGMENT));
    packet[20..22].copy_from_slice(&flow.to_be_bytes());
    packet[22..24].copy_from_slice(&5201u16.to_be_bytes());
    packet[24..28].copy_from_slice(&seq.to_be_bytes());
    packet[32..36].copy_from_slice(&[0x50, 0x10, 0xff, 0xff]);
    let pseudo = checksum::add(6 + u32::from(total) - 20, &packet[12..20]);
    packet[36..38].copy_from_slice(&(!checksum::finish(pseudo)).to_be_bytes());

    let len = virtio::LEN + usize::from(total);
    to[..virtio::LEN].copy_from_slice(&header.to_bytes());
    to[virtio::LEN..virtio::LEN + 40].copy_from_slice(&packet);
    // The payload is copied as the kernel copies it, from where it lies.
    to[virtio::LEN + 40..len].copy_from_slice(&PAYLOAD[..len - virtio::LEN - 40]);
    len
}

/// The flow of a packet, and its sequence number.
pub(super) fn number(packet: &[u8]) -> (u16, u32) {
    let flow = u16::from_be_bytes([packet[20], packet[21]]);
    (flow, u32::from_be_bytes([packet[24], packet[25], packet[26], packet[27]]))
}

/// Packets of a super-packet: what one send carries of them.
pub(super) const SEGMENTS: u16 = 44;

/// Octets of payload in each.
pub(super) const SEGMENT: u16 = 1360;

static PAYLOAD: [u8; 1 << 16] = [0x5a; 1 << 16];

/// Outer addresses.
pub(super) const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4500);
pub(super) const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4500);
