//! Putting the packets of a burst together: which continue a group, which end it, and that the host can cut a super-packet
//! into the packets it was made of.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]
#![allow(clippy::cast_possible_truncation, reason = "lengths below 65,536")]

mod offload_support;

use gotthard_dataplane::offload::coalesce::Coalescer;
use gotthard_dataplane::offload::split::Segments;
use gotthard_dataplane::offload::virtio::{self, DATA_VALID, GsoType, NEEDS_CSUM, VirtioHeader};
use offload_support::{ACK, CWR, DF, ECE, FIN, PSH, Packet, RST, SYN, URG, any_packet};
use proptest::prelude::*;

#[test]
fn consecutive_tcp_segments_become_what_the_sender_had() {
    for v6 in [false, true] {
        let whole = Packet { flags: ACK | PSH, ..Packet::tcp(v6, 5 * 1000 + 300) };
        let [group] = coalesced(&whole.cut(1000)).try_into().unwrap();
        let (header, octets) = whole.unfinished(1000);
        assert_eq!(group.header, VirtioHeader { hdr_len: whole.header_len() as u16, ..header });
        assert!(group.octets == octets, "also the sum of the pseudo-header is where it belongs");
        assert_eq!(group.packets, 6);
    }
}

#[test]
fn consecutive_udp_datagrams_become_what_the_sender_had() {
    for v6 in [false, true] {
        let whole = Packet::udp(v6, 5 * 1000 + 300);
        let [group] = coalesced(&whole.cut(1000)).try_into().unwrap();
        let (header, octets) = whole.unfinished(1000);
        assert_eq!(group.header, VirtioHeader { hdr_len: whole.header_len() as u16, ..header });
        assert_eq!(header.gso_type, GsoType::UDP_L4);
        assert!(group.octets == octets);
    }
}

#[test]
fn a_shorter_segment_is_the_last() {
    for udp in [false, true] {
        let mut stream = Stream::new(Packet { udp, ..Packet::tcp(false, 0) });
        let packets = [100, 100, 99, 99, 99].map(|len| stream.next(len));
        assert_eq!(sizes(&packets), [3, 2], "udp: {udp}");
    }
}

#[test]
fn a_longer_segment_starts_a_group() {
    for udp in [false, true] {
        let mut stream = Stream::new(Packet { udp, ..Packet::tcp(false, 0) });
        let packets = [100, 101, 101].map(|len| stream.next(len));
        assert_eq!(sizes(&packets), [1, 2], "udp: {udp}");
    }
}

#[test]
fn a_gap_a_repetition_and_a_step_back_end_a_group() {
    for step in [100, -100, -1] {
        let mut stream = Stream::new(Packet::tcp(false, 0));
        let before = [stream.next(100), stream.next(100)];
        stream.0.seq = stream.0.seq.wrapping_add_signed(step);
        let after = [stream.next(100), stream.next(100)];
        assert_eq!(sizes(&[before, after].concat()), [2, 2]);
    }
}

#[test]
fn push_and_fin_end_a_group_and_belong_to_it() {
    for flag in [PSH, FIN, PSH | FIN] {
        let mut stream = Stream::new(Packet::tcp(false, 0));
        let mut packets = vec![stream.next(100), stream.next(100)];
        stream.0.flags |= flag;
        packets.push(stream.next(100));
        stream.0.flags &= !flag;
        packets.extend([stream.next(100), stream.next(100)]);
        let groups = coalesced(&packets);
        assert_eq!(groups.iter().map(|g| g.packets).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(groups[0].octets[33], ACK | flag);
        assert_eq!(groups[1].octets[33], ACK);
    }
    let mut stream = Stream::new(Packet { flags: ACK | PSH, ..Packet::tcp(false, 0) });
    assert_eq!(sizes(&[stream.next(100), stream.next(100)]), [1, 1], "also the first");
}

#[test]
fn a_change_of_what_segments_have_in_common_ends_a_group() {
    type Change = fn(&mut Packet);
    let changes: [(&str, Change); 8] = [
        ("ack", |p| p.ack += 1),
        ("window", |p| p.window += 1),
        ("options", |p| p.options[5] += 1),
        ("options' length", |p| p.options.truncate(8)),
        ("flags", |p| p.flags |= ECE),
        ("tos", |p| p.tos = 0x03),
        ("ttl", |p| p.ttl -= 1),
        ("ports", |p| p.ports[0] += 1),
    ];
    for v6 in [false, true] {
        for (name, change) in changes {
            assert_eq!(sizes(&changed(Packet::tcp(v6, 0), change)), [2, 2], "{name}, v6: {v6}");
        }
    }
    assert_eq!(sizes(&changed(Packet::tcp(true, 0), |p| p.flow_label += 1)), [2, 2]);
    assert_eq!(sizes(&changed(Packet::tcp(false, 0), |p| p.fragment = 0)), [2, 2]);
    for (name, change) in &changes[5..] {
        assert_eq!(sizes(&changed(Packet::udp(false, 0), *change)), [2, 2], "{name}");
    }
}

/// Two packets of 100 octets, a change, two packets.
fn changed(packet: Packet, change: fn(&mut Packet)) -> Vec<Vec<u8>> {
    let mut stream = Stream::new(packet);
    let mut packets = vec![stream.next(100), stream.next(100)];
    change(&mut stream.0);
    packets.extend([stream.next(100), stream.next(100)]);
    packets
}

#[test]
fn the_identification_counts_on_unless_nobody_may_fragment() {
    for udp in [false, true] {
        let with_id = |fragment, ids: [u16; 3]| {
            let mut stream = Stream::new(Packet { udp, fragment, ..Packet::tcp(false, 0) });
            let packets = ids.map(|id| {
                stream.0.id = id;
                stream.next(100)
            });
            sizes(&packets)
        };
        assert_eq!(with_id(0, [0xfffe, 0xffff, 0]), [3]);
        assert_eq!(with_id(0, [1, 1, 2]), [1, 2]);
        assert_eq!(with_id(0, [1, 3, 2]), [1, 1, 1]);
        assert_eq!(with_id(DF, [7, 7, 3]), [3]);
    }
}

#[test]
fn segments_that_are_not_a_stream_in_full_flow_go_alone() {
    for flags in [SYN, SYN | ACK, RST, ACK | RST, ACK | URG, ACK | CWR, 0, PSH, FIN] {
        let stream = Stream::new(Packet { flags, ..Packet::tcp(false, 0) });
        assert_eq!(lone_in_the_middle(stream), [2, 1, 2], "{flags:#x}");
    }
    let mut stream = Stream::new(Packet::tcp(false, 0));
    let acks = [stream.next(0), stream.next(0)];
    assert_eq!(sizes(&acks), [1, 1], "an acknowledgment without payload says something each time");
    assert!(coalesced(&acks).iter().all(|g| g.header == VirtioHeader::default()));
}

#[test]
fn packets_with_more_in_their_headers_go_alone() {
    for v6 in [false, true] {
        for udp in [false, true] {
            let packet = Packet { udp, extension: vec![1; 8], ..Packet::tcp(v6, 0) };
            assert_eq!(lone_in_the_middle(Stream::new(packet)), [2, 1, 2]);
        }
    }
    for fragment in [0x2000, 1, 0x8000] {
        let packet = Packet { fragment, ..Packet::udp(false, 0) };
        assert_eq!(lone_in_the_middle(Stream::new(packet)), [2, 1, 2]);
    }
}

/// Two ordinary packets, the one to look at, two ordinary ones.
fn lone_in_the_middle(mut stream: Stream) -> Vec<u16> {
    let odd = stream.0.clone();
    let ordinary = |odd: &Packet, stream: &mut Stream| {
        stream.0 = Packet { seq: stream.0.seq, id: stream.0.id, udp: odd.udp, ..Packet::tcp(odd.v6, 0) };
        [stream.next(100), stream.next(100)]
    };
    let before = ordinary(&odd, &mut stream);
    stream.0 = Packet { seq: stream.0.seq, id: stream.0.id, ..odd.clone() };
    let middle = stream.next(100);
    let after = ordinary(&odd, &mut stream);
    sizes(&[before.as_slice(), &[middle], &after].concat())
}

#[test]
fn a_wrong_checksum_goes_alone_and_as_it_is() {
    for v6 in [false, true] {
        for udp in [false, true] {
            let transport = if v6 { 40 } else { 20 };
            let whole = Packet { udp, ..Packet::tcp(v6, 500) };
            // A payload octet, a port, and the checksum of IPv4's header.
            for place in [transport + 50, transport + 1, 11].into_iter().filter(|place| !v6 || *place != 11) {
                let mut packets = whole.cut(100);
                packets[2][place] ^= 0x10;
                let groups = coalesced(&packets);
                let lone = groups.iter().find(|g| g.octets == packets[2]).unwrap();
                assert_eq!((lone.packets, lone.header), (1, VirtioHeader::default()));
                assert_eq!(groups.iter().map(|g| g.packets).sum::<u16>(), 5);
                assert!(groups.len() >= 2);
            }
        }
    }
}

#[test]
fn a_wrong_first_packet_gathers_none() {
    let mut packets = Packet::tcp(false, 300).cut(100);
    packets[0][60] ^= 1;
    assert_eq!(sizes(&packets), [1, 2]);
}

#[test]
fn udp_without_a_checksum_is_left_alone() {
    let mut packets = Packet::udp(false, 300).cut(100);
    for packet in &mut packets {
        packet[26..28].fill(0);
    }
    let groups = coalesced(&packets);
    assert_eq!(groups.len(), 3);
    assert!(groups.iter().zip(&packets).all(|(group, packet)| group.octets == *packet));
}

#[test]
fn a_lone_packet_whose_checksum_is_right_says_so() {
    let packet = Packet::tcp(false, 100).octets();
    let [group] = coalesced(std::slice::from_ref(&packet)).try_into().unwrap();
    assert_eq!(group.header, VirtioHeader { flags: DATA_VALID, ..VirtioHeader::default() });
    assert_eq!(group.octets, packet);
}

#[test]
fn flows_mix_and_each_keeps_its_order() {
    let mut streams: Vec<Stream> = (0..4)
        .map(|n| Stream::new(Packet { hosts: [n, 9], udp: n == 1, ..Packet::tcp(n == 2, 0) }))
        .collect();
    let packets: Vec<_> = (0..40).map(|n| streams[n % 4].next(100)).collect();
    assert_eq!(sizes(&packets), [10, 10, 10, 10]);
}

#[test]
fn the_eldest_group_ends_when_too_many_are_open() {
    let mut streams: Vec<Stream> =
        (0..17).map(|n| Stream::new(Packet { hosts: [n, 9], ..Packet::tcp(false, 0) })).collect();
    let mut packets: Vec<_> = streams.iter_mut().map(|stream| stream.next(100)).collect();
    packets.extend(streams[1..].iter_mut().map(|stream| stream.next(100)));
    packets.push(streams[0].next(100));
    assert_eq!(sizes(&packets), [vec![1], vec![2; 16], vec![1]].concat());
}

#[test]
fn other_protocols_between_the_same_hosts_end_a_group_and_those_of_others_do_not() {
    let mut icmp = Packet::udp(false, 30).octets();
    icmp[9] = 1;
    for (hosts, expected) in [([1, 2], vec![1, 1, 1]), ([1, 3], vec![2, 1])] {
        let mut stream = Stream::new(Packet { hosts, ..Packet::tcp(false, 0) });
        assert_eq!(sizes(&[stream.next(100), icmp.clone(), stream.next(100)]), expected);
    }
}

#[test]
fn a_super_packet_stays_within_the_lengths_of_ip_and_the_segments_of_udp() {
    for v6 in [false, true] {
        let mut stream = Stream::new(Packet::tcp(v6, 0));
        let packets: Vec<_> = (0..60).map(|_| stream.next(1400)).collect();
        let groups = coalesced(&packets);
        assert_eq!(groups[0].packets, 46);
        assert!(groups.iter().all(|g| g.octets.len() <= 65_535));
    }
    for udp in [false, true] {
        let mut stream = Stream::new(Packet { udp, ..Packet::tcp(false, 0) });
        let packets: Vec<_> = (0..70).map(|_| stream.next(100)).collect();
        assert_eq!(sizes(&packets), [64, 6]);
    }
}

#[test]
fn queues_do_not_mix() {
    let mut stream = Stream::new(Packet::tcp(false, 0));
    let mut coalescer = Coalescer::new(true, true);
    for queue in [3, 4, 3] {
        let packet = stream.next(100);
        coalescer.push(queue, 0, 0..packet.len(), &packet);
    }
    let queues: Vec<_> = coalescer.groups().map(|g| (g.queue(), g.packets())).collect();
    assert_eq!(queues, [(3, 1), (4, 1), (3, 1)]);
}

#[test]
fn only_what_the_device_takes_is_put_together() {
    let mut tcp = Stream::new(Packet::tcp(false, 0));
    let mut udp = Stream::new(Packet::udp(false, 0));
    let packets = [tcp.next(100), tcp.next(100), udp.next(100), udp.next(100)];
    for (takes_tcp, takes_udp, expected) in
        [(true, false, vec![2, 1, 1]), (false, true, vec![1, 1, 2]), (false, false, vec![1; 4])]
    {
        let groups = gather(&mut Coalescer::new(takes_tcp, takes_udp), &packets);
        assert_eq!(groups.iter().map(|g| g.packets).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_burst_leaves_nothing_to_the_next() {
    let mut stream = Stream::new(Packet::tcp(false, 0));
    let mut coalescer = Coalescer::new(true, true);
    for _ in 0..3 {
        let packets = [stream.next(100), stream.next(100)];
        let groups = gather(&mut coalescer, &packets);
        assert_eq!(groups.iter().map(|g| g.packets).collect::<Vec<_>>(), [2]);
        coalescer.clear();
    }
    assert_eq!(coalescer.groups().count(), 0);
}

#[test]
fn a_head_that_is_cut_short_is_left_alone() {
    let packets = Packet::tcp(false, 300).cut(100);
    let mut coalescer = Coalescer::new(true, true);
    for (place, packet) in packets.iter().enumerate() {
        coalescer.push(0, place, 0..packet.len(), packet);
    }
    let group = coalescer.groups().next().unwrap();
    for len in 0..virtio::LEN + 52 {
        let mut head = vec![0xee; len];
        group.write_header(&mut head);
        assert!(head.iter().skip(virtio::LEN).all(|octet| *octet == 0xee));
    }
}

proptest! {
    /// Down to the octet, but for the identification of packets that nobody may fragment.
    #[test]
    fn what_was_put_together_is_cut_into_the_same_packets(
        flows in proptest::collection::vec(any_packet(1..6000usize), 1..4),
        size in 100..1500usize,
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 200),
    ) {
        let mut rest: Vec<_> = flows.iter().map(|flow| flow.cut(size).into_iter()).collect();
        let mut packets = Vec::new();
        for index in order {
            let flow = index.get(&rest).clone().next();
            let Some(packet) = flow else { continue };
            rest[index.index(flows.len())].next();
            packets.push(packet);
        }
        let groups = coalesced(&packets);
        prop_assert_eq!(groups.iter().map(|g| usize::from(g.packets)).sum::<usize>(), packets.len());
        prop_assert_eq!(sorted(groups.into_iter().flat_map(Whole::cut)), sorted(packets));
    }

    #[test]
    fn what_was_cut_is_put_together_again(whole in any_packet(1..30_000usize), size in 600..1500usize) {
        let whole = Packet { extension: Vec::new(), flags: ACK | whole.flags & (PSH | FIN | ECE), ..whole };
        let (header, mut octets) = whole.unfinished(size);
        let expected = octets.clone();
        let segments = cut(header, &mut octets);
        let [group] = coalesced(&segments).try_into().unwrap();
        if segments.len() == 1 {
            prop_assert_eq!(group.octets, whole.octets());
        } else {
            prop_assert_eq!(group.header.flags, NEEDS_CSUM);
            prop_assert!(group.octets == expected);
        }
    }

    #[test]
    fn damaged_packets_neither_panic_nor_change(
        flows in proptest::collection::vec(any_packet(0..400usize), 1..4),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), 0..80usize, any::<u8>()), 0..8),
        cuts in proptest::collection::vec((any::<proptest::sample::Index>(), 0..100usize), 0..3),
    ) {
        let mut packets: Vec<_> = flows.iter().flat_map(|flow| flow.octets_or_cut(90)).collect();
        for (which, place, value) in damage {
            let packet = which.index(packets.len());
            if let Some(octet) = packets[packet].get_mut(place) { *octet = value; }
        }
        for (which, len) in cuts {
            let packet = which.index(packets.len());
            packets[packet].truncate(len);
        }
        let groups = coalesced(&packets);
        prop_assert_eq!(groups.iter().map(|g| usize::from(g.packets)).sum::<usize>(), packets.len());
        prop_assert_eq!(sorted(groups.into_iter().flat_map(Whole::cut)), sorted(packets));
    }
}

/// The packets in an order of their own, without the identification that one has no use for that nobody may fragment.
fn sorted(packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut packets: Vec<_> = packets.into_iter().collect();
    for packet in packets.iter_mut().filter(|p| p.len() >= 20 && p[0] == 0x45 && p[6..8] == [0x40, 0]) {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packets.sort();
    packets
}

/// What would be written to the TUN device.
#[derive(Debug)]
struct Whole {
    packets: u16,
    header: VirtioHeader,
    octets: Vec<u8>,
}

impl Whole {
    /// The packets that the host cuts it to.
    fn cut(mut self) -> Vec<Vec<u8>> {
        if self.packets == 1 { vec![self.octets] } else { cut(self.header, &mut self.octets) }
    }
}

fn coalesced(packets: &[Vec<u8>]) -> Vec<Whole> {
    gather(&mut Coalescer::new(true, true), packets)
}

/// Puts the packets into buffers of two packets each, with room before each, and writes out the groups.
fn gather(coalescer: &mut Coalescer, packets: &[Vec<u8>]) -> Vec<Whole> {
    let mut buffers: Vec<Vec<u8>> = Vec::new();
    for (place, pair) in packets.chunks(2).enumerate() {
        let mut buffer = Vec::new();
        for packet in pair {
            buffer.extend([0xee; virtio::LEN]);
            let start = buffer.len();
            buffer.extend(packet);
            coalescer.push(0, place, start..buffer.len(), packet);
        }
        buffers.push(buffer);
    }
    let mut written = Vec::new();
    for group in coalescer.groups() {
        let mut pieces = group.pieces();
        let (place, first) = pieces.next().unwrap();
        let head = &mut buffers[place][first.start - virtio::LEN..first.end];
        group.write_header(head);
        let mut octets = head.to_vec();
        for (place, piece) in pieces {
            octets.extend(&buffers[place][piece]);
        }
        let (header, packet) = VirtioHeader::parse(&mut octets).unwrap();
        written.push(Whole { packets: group.packets(), header, octets: packet.to_vec() });
    }
    written
}

fn sizes(packets: &[Vec<u8>]) -> Vec<u16> {
    coalesced(packets).iter().map(|whole| whole.packets).collect()
}

fn cut(header: VirtioHeader, octets: &mut [u8]) -> Vec<Vec<u8>> {
    let mut segments = Segments::new(header, octets).unwrap();
    let mut all = Vec::new();
    while let Some(len) = segments.next_len() {
        let mut segment = vec![0; len];
        segments.write_next(&mut segment).unwrap();
        all.push(segment);
    }
    all
}

/// A sender: what the next packet is.
struct Stream(Packet);

impl Stream {
    fn new(packet: Packet) -> Self {
        Self(packet)
    }

    fn next(&mut self, len: usize) -> Vec<u8> {
        self.0.payload = offload_support::pattern(len);
        let octets = self.0.octets();
        self.0.seq = self.0.seq.wrapping_add(len as u32);
        self.0.id = self.0.id.wrapping_add(1);
        octets
    }
}
