//! Cutting the host's super-packets: each segment is, octet for octet, the packet that a sender would have made, and no
//! frame, however wrong, gets further than its end.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]
#![allow(clippy::cast_possible_truncation, reason = "lengths below 65,536")]

mod offload_support;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::offload::split::Segments;
use gotthard_dataplane::offload::virtio::{DATA_VALID, ECN, GsoType, NEEDS_CSUM, VirtioHeader};
use offload_support::{ACK, CWR, DF, ECE, FIN, PSH, Packet, any_packet};
use proptest::prelude::*;

#[test]
fn tcp_is_cut_over_both_versions() {
    for v6 in [false, true] {
        let whole = Packet { flags: ACK | PSH | FIN, ..Packet::tcp(v6, 3 * 1348 + 7) };
        let segments = split(&whole, 1348);
        assert_eq!(segments, whole.cut(1348));
        let flags: Vec<u8> = segments.iter().map(|s| s[if v6 { 53 } else { 33 }]).collect();
        assert_eq!(flags, [ACK, ACK, ACK, ACK | PSH | FIN], "only the last pushes and ends");
    }
}

#[test]
fn udp_is_cut_over_both_versions() {
    for v6 in [false, true] {
        let whole = Packet::udp(v6, 5 * 1200 + 1);
        assert_eq!(split(&whole, 1200), whole.cut(1200));
    }
}

#[test]
fn congestion_window_reduced_is_said_once() {
    let whole = Packet { flags: ACK | CWR | ECE, tos: 2, ..Packet::tcp(false, 3000) };
    let (mut header, mut octets) = whole.unfinished(1000);
    header.gso_type = GsoType(header.gso_type.0 | ECN);
    let flags: Vec<u8> = collect(Segments::new(header, &mut octets).unwrap()).iter().map(|s| s[33]).collect();
    assert_eq!(flags, [ACK | ECE | CWR, ACK | ECE, ACK | ECE]);
}

#[test]
fn sequence_number_and_identification_wrap() {
    let whole = Packet { seq: u32::MAX - 1400, id: 0xffff, ..Packet::tcp(false, 4000) };
    let segments = split(&whole, 1000);
    assert_eq!(segments, whole.cut(1000));
    assert_eq!(segments[2][4..6], [0, 1]);
    assert_eq!(segments[2][24..28], 599u32.to_be_bytes());
}

#[test]
fn a_packet_that_is_not_cut_gets_its_checksum_completed() {
    for udp in [false, true] {
        for v6 in [false, true] {
            let packet = Packet { udp, ..Packet::tcp(v6, 333) };
            assert_eq!(split(&packet, 0), [packet.octets()]);
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_ones() {
    let mut packet = Packet::udp(false, 20);
    let plain = packet.octets();
    // What the checksum is, added to the payload, makes it zero.
    packet.payload[..2].copy_from_slice(&[0, 0]);
    let sum = u16::from_be_bytes([packet.octets()[26], packet.octets()[27]]);
    packet.payload[..2].copy_from_slice(&sum.to_be_bytes());
    assert_ne!(packet.octets(), plain);
    for gso_size in [0, 10, 20] {
        let segments = split(&packet, gso_size);
        assert!(segments.iter().all(|s| s[26..28] != [0, 0]), "{gso_size}");
        assert_eq!(segments[0][26..28] == [0xff, 0xff], gso_size != 10, "{gso_size}");
    }
}

#[test]
fn a_complete_packet_is_left_alone() {
    let octets = Packet::tcp(false, 100).octets();
    for flags in [0, DATA_VALID] {
        let mut frame = octets.clone();
        let header = VirtioHeader { flags, ..VirtioHeader::default() };
        let segments = Segments::new(header, &mut frame).unwrap();
        assert_eq!((segments.longest(), segments.next_len()), (octets.len(), Some(octets.len())));
        assert_eq!(collect(segments), [octets.as_slice()]);
    }
}

#[test]
fn what_a_device_verified_may_be_cut_too() {
    for udp in [false, true] {
        let whole = Packet { udp, ..Packet::tcp(true, 3000) };
        let (header, _) = whole.unfinished(1000);
        let header = VirtioHeader { flags: DATA_VALID, csum_start: 0, csum_offset: 0, ..header };
        assert_eq!(collect(Segments::new(header, &mut whole.octets()).unwrap()), whole.cut(1000));
        let header = VirtioHeader { flags: 0, ..header };
        assert_eq!(refused(header, &whole.octets()), DropReason::Offload, "nobody vouches for the checksum");
    }
}

#[test]
fn the_inner_checksum_of_a_packet_in_a_packet_is_completed() {
    let (inner, inside) = Packet::tcp(false, 50).unfinished(0);
    let outer = Packet { payload: inside, ..Packet::udp(false, 0) };
    let mut octets = outer.octets();
    let start = outer.header_len() as u16 + inner.csum_start;
    let header = VirtioHeader { flags: NEEDS_CSUM, csum_start: start, csum_offset: 16, ..inner };
    let [segment] = collect(Segments::new(header, &mut octets).unwrap()).try_into().unwrap();
    assert_eq!(segment[outer.header_len()..], Packet::tcp(false, 50).octets());
}

#[test]
fn a_frame_that_is_to_be_cut_stays_as_it_is() {
    let (header, mut octets) = Packet::tcp(false, 9000).unfinished(1400);
    let before = octets.clone();
    collect(Segments::new(header, &mut octets).unwrap());
    assert!(octets == before, "an ICMP answer quotes it");
}

#[test]
fn too_little_room_changes_nothing() {
    let whole = Packet::tcp(false, 2500);
    let (header, mut octets) = whole.unfinished(1000);
    let mut segments = Segments::new(header, &mut octets).unwrap();
    let expected = whole.cut(1000);
    let mut space = [0; 2000];
    for segment in &expected {
        let len = segments.next_len().unwrap();
        assert_eq!(len, segment.len());
        assert_eq!(segments.write_next(&mut space[..len - 1]), None);
        assert_eq!(segments.write_next(&mut space), Some(len));
        assert_eq!(space[..len], *segment);
    }
    assert_eq!((segments.next_len(), segments.write_next(&mut space)), (None, None));
}

#[test]
fn a_header_that_the_packet_does_not_bear_out_is_refused() {
    let (good, octets) = Packet::tcp(false, 3000).unfinished(1000);
    assert!(Segments::new(good, &mut octets.clone()).is_ok());
    for header in [
        VirtioHeader { gso_size: 0, ..good },
        VirtioHeader { gso_type: GsoType::TCPV6, ..good },
        VirtioHeader { gso_type: GsoType::UDP_L4, ..good },
        VirtioHeader { gso_type: GsoType(3), ..good }, // fragmentation of UDP by the device, which none offers
        VirtioHeader { gso_type: GsoType(0x55), ..good },
        VirtioHeader { csum_start: 24, ..good },
        VirtioHeader { csum_offset: 6, ..good },
        VirtioHeader { flags: 0, ..good },
    ] {
        assert_eq!(refused(header, &octets), DropReason::Offload, "{header:?}");
    }

    let plain = VirtioHeader { gso_type: GsoType::NONE, ..good };
    assert!(Segments::new(plain, &mut octets.clone()).is_ok());
    for header in [
        VirtioHeader { csum_start: 0, ..plain },
        VirtioHeader { csum_start: 19, ..plain },
        VirtioHeader { csum_offset: 6, ..plain },
        VirtioHeader { csum_start: octets.len() as u16, ..plain },
        VirtioHeader { csum_start: octets.len() as u16 - 17, ..plain },
        VirtioHeader { csum_start: 0xffff, csum_offset: 0xffff, ..plain },
    ] {
        assert_eq!(refused(header, &octets), DropReason::Offload, "{header:?}");
    }
}

#[test]
fn a_packet_that_cannot_be_cut_is_refused() {
    let (header, octets) = Packet::tcp(false, 3000).unfinished(1000);
    assert_eq!(refused(header, &octets[..3000]), DropReason::InnerLength);
    assert_eq!(refused(header, &octets[..19]), DropReason::InnerHeader);
    assert_eq!(refused(header, &[]), DropReason::InnerHeader);

    for fragment in [DF | 0x2000, 1] {
        let (header, octets) = Packet { fragment, ..Packet::tcp(false, 3000) }.unfinished(1000);
        assert_eq!(refused(header, &octets), DropReason::Offload, "a fragment");
        assert_eq!(refused(VirtioHeader { gso_type: GsoType::NONE, ..header }, &octets), DropReason::Offload);
    }
    let (header, empty) = Packet::tcp(false, 0).unfinished(1000);
    assert_eq!(refused(header, &empty), DropReason::Offload, "no payload");
    for offset in [0x40, 0xf0] {
        let mut packet = Packet::tcp(false, 20).unfinished(10);
        packet.1[32] = offset;
        assert_eq!(refused(packet.0, &packet.1), DropReason::Offload, "a TCP header of {offset:#x}");
    }
}

proptest! {
    #[test]
    fn segments_are_what_a_sender_would_have_made(whole in any_packet(1..20_000usize), size in 100..3000usize) {
        let segments = split(&whole, size);
        let longest = segments.iter().map(Vec::len).max().unwrap();
        let (header, mut octets) = whole.unfinished(size);
        prop_assert_eq!(Segments::new(header, &mut octets).unwrap().longest(), longest);
        prop_assert_eq!(segments, whole.cut(size));
    }

    #[test]
    fn a_checksum_is_completed_in_any_packet(packet in any_packet(0..2000usize)) {
        prop_assert_eq!(split(&packet, 0), [packet.octets()]);
    }

    #[test]
    fn wrong_frames_neither_panic_nor_grow(
        whole in any_packet(0..300usize),
        size in 0..100usize,
        header in any::<(u8, u8, u16, u16, u16)>(),
        take_header in any::<[bool; 5]>(),
        damage in proptest::collection::vec((0..120usize, any::<u8>()), 0..4),
        cut in 0..400usize,
        keep_length in any::<bool>(),
    ) {
        let (mut virtio, mut octets) = whole.unfinished(size);
        if take_header[0] { virtio.flags = header.0; }
        if take_header[1] { virtio.gso_type = GsoType(header.1); }
        if take_header[2] { virtio.gso_size = header.2; }
        if take_header[3] { virtio.csum_start = header.3; }
        if take_header[4] { virtio.csum_offset = header.4; }
        if !keep_length { octets.truncate(cut); }
        for (place, value) in damage {
            if let Some(octet) = octets.get_mut(place) { *octet = value; }
        }
        let len = octets.len();
        if let Ok(mut segments) = Segments::new(virtio, &mut octets) {
            let (longest, mut space, mut payload) = (segments.longest(), vec![0; len], 0);
            while let Some(next) = segments.next_len() {
                prop_assert!(next <= longest && longest <= len);
                prop_assert_eq!(segments.write_next(&mut space[..next]), Some(next));
                payload += 1;
                prop_assert!(payload <= len);
            }
        }
    }
}

fn split(packet: &Packet, gso_size: usize) -> Vec<Vec<u8>> {
    let (header, mut octets) = packet.unfinished(gso_size);
    collect(Segments::new(header, &mut octets).unwrap())
}

fn collect(mut segments: Segments<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(len) = segments.next_len() {
        let mut segment = vec![0xee; len + 3];
        assert_eq!(segments.write_next(&mut segment), Some(len));
        assert_eq!(segment.split_off(len), [0xee; 3], "nothing behind the segment is touched");
        all.push(segment);
    }
    all
}

fn refused(header: VirtioHeader, octets: &[u8]) -> DropReason {
    Segments::new(header, &mut octets.to_vec()).unwrap_err()
}
