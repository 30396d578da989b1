//! Super-packets cross a worker: the host's leave as one run of packets, and what arrives as one receive reaches the host as
//! one super-packet.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod worker_support;

use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::io::Offloads;
use gotthard_dataplane::offload::virtio::{self, GsoType, VirtioHeader};
use gotthard_dataplane::sa::spec::Encapsulation;
use worker_support::{Gateway, TUN, pair, tcp_sum};

const ALL: Offloads = Offloads { header: true, tcp: true, udp: true };
const SEGMENT: u16 = 1000;

#[test]
fn a_super_packet_crosses_as_one_run_and_comes_out_as_it_went_in() {
    for transform in [Transform::Aes256Gcm16, Transform::Aes256Cbc(Hmac::Sha256)] {
        let (mut left, mut right) = offloaded(transform);
        let frame = tcp_frame(9_500);
        left.far.host_sends(TUN, &frame);
        left.drive();
        let wire = left.far.net_received();
        assert_eq!(wire.iter().map(|d| d.run).collect::<Vec<_>>(), [10; 10], "one send");

        let demands = left.stats().demands;
        assert_eq!((demands.openings, demands.segments), (0, 1), "one that must be acknowledged");

        right.arrive_coalesced(&left, &wire);
        right.drive();
        let received = right.far.host_received();
        assert_eq!(received.len(), 1, "one write");
        let (header, packet) = split(&received[0].1);
        assert_eq!((header.gso_type, header.gso_size), (GsoType::TCPV4, SEGMENT));
        let (_, sent) = split(&frame);
        assert_eq!(packet.len(), sent.len());
        assert!(packet[40..] == sent[40..], "the payload");
        assert_eq!(packet[24..28], sent[24..28], "the sequence number");
        right.assert_all_buffers_free();
        left.assert_all_buffers_free();
    }
}

#[test]
fn a_super_packet_longer_than_a_batch_loses_nothing() {
    let (mut left, mut right) = offloaded(Transform::Aes256Gcm16);
    let frame = tcp_frame(65_000);
    left.far.host_sends(TUN, &frame);
    left.drive();
    let wire = left.far.net_received();
    assert_eq!(wire.len(), 65);
    for run in [&wire[..wire[0].run], &wire[wire[0].run..]] {
        right.arrive_coalesced(&left, run);
    }
    right.drive();
    let payload: Vec<u8> =
        right.far.host_received().iter().flat_map(|(_, frame)| split(frame).1[40..].to_vec()).collect();
    assert!(payload == split(&frame).1[40..]);
}

#[test]
fn a_lone_packet_has_its_checksum_completed_on_the_way_out_and_an_empty_header_on_the_way_in() {
    let (mut left, mut right) = offloaded(Transform::Aes256Gcm16);
    let frame = tcp_frame(500);
    left.far.host_sends(TUN, &frame);
    left.drive();
    let wire = left.far.net_received();
    right.arrive_coalesced(&left, &wire);
    right.drive();
    let received = right.far.host_received();
    let (header, packet) = split(&received[0].1);
    assert_eq!((header.gso_type, header.gso_size), (GsoType::NONE, 0));
    assert_eq!(tcp_sum(false, packet), 0);
}

#[test]
fn of_what_arrives_acknowledgements_alone_are_counted_as_answers() {
    let (mut left, mut right) = offloaded(Transform::Aes256Gcm16);
    for (octets, answers) in [(60, 0), (0, 1), (9_500, 1), (0, 2)] {
        left.far.host_sends(TUN, &tcp_frame(octets));
        left.drive();
        let wire = left.far.net_received();
        right.arrive_coalesced(&left, &wire);
        right.drive();
        assert_eq!(right.stats().answers, answers, "{octets} octets of data");
    }
    assert_eq!(left.stats().demands.segments, 2);
}

#[test]
fn a_super_packet_whose_segments_do_not_fit_is_answered_once_and_not_sent() {
    let (mut left, _) = offloaded(Transform::Aes256Gcm16);
    let mut frame = tcp_frame(9_000);
    frame[4..6].copy_from_slice(&1_460u16.to_ne_bytes());
    left.far.host_sends(TUN, &frame);
    left.drive();
    assert!(left.far.net_received().is_empty());
    let answers = left.far.host_received();
    assert_eq!(answers.len(), 1);
    let (header, packet) = split(&answers[0].1);
    assert_eq!(header, VirtioHeader::default());
    assert_eq!((packet[9], packet[20], packet[21]), (1, 3, 4), "ICMP: fragmentation needed");
}

fn offloaded(transform: Transform) -> (Gateway, Gateway) {
    let (left, right) = pair(transform, Encapsulation::Udp, false);
    let mut both = [left, right];
    for gateway in &mut both {
        gateway.far.set_offloads(ALL);
        gateway.renew_tunnel();
    }
    let [mut left, mut right] = both;
    worker_support::connect(&mut left, &mut right, transform, Encapsulation::Udp);
    (left, right)
}

/// A frame as the kernel gives it: `len` octets of payload in segments of [`SEGMENT`], the checksum to be completed.
fn tcp_frame(len: usize) -> Vec<u8> {
    let total = u16::try_from(40 + len).unwrap();
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.extend([0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend((0..len).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]));
    let ip_sum = !fold(&packet[..20], 0);
    packet[10..12].copy_from_slice(&ip_sum.to_be_bytes());
    let pseudo = fold(&packet[12..20], 6 + u32::from(total) - 20);
    packet[36..38].copy_from_slice(&pseudo.to_be_bytes());
    let header = VirtioHeader {
        flags: virtio::NEEDS_CSUM,
        gso_type: if len > usize::from(SEGMENT) { GsoType::TCPV4 } else { GsoType::NONE },
        hdr_len: 40,
        gso_size: if len > usize::from(SEGMENT) { SEGMENT } else { 0 },
        csum_start: 20,
        csum_offset: 16,
    };
    [&header.to_bytes()[..], &packet].concat()
}

fn split(frame: &[u8]) -> (VirtioHeader, &[u8]) {
    let mut header = frame[..virtio::LEN].to_vec();
    let (parsed, _) = VirtioHeader::parse(&mut header).unwrap();
    (parsed, &frame[virtio::LEN..])
}

/// The one's complement sum, one word after the other.
fn fold(octets: &[u8], start: u32) -> u16 {
    let words = octets.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let mut sum: u32 = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}
