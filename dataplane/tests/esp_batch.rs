//! A batch comes out as its packets do one by one: every transform, with replays, damage and reordering among them.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod support;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::decapsulate::{Inner, Opening, OuterInfo, decapsulate, decapsulate_batch};
use gotthard_dataplane::esp::encapsulate::encapsulate_batch;
use gotthard_dataplane::esp::multibuffer;
use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::packet::Packet;
use gotthard_dataplane::replay::ReplayWindow;
use proptest::prelude::*;
use proptest::sample::Index;
use support::{Ends, v4, v6};

/// What happens to a packet on its way.
#[derive(Clone, Debug)]
enum Fate {
    Arrives,
    /// One bit of one octet flips.
    Damaged(Index, u8),
    /// Only the first octets arrive.
    Cut(Index),
    /// In its place comes something that was never ESP.
    Replaced(Vec<u8>),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Arrives),
        1 => (any::<Index>(), 0u8..8).prop_map(|(place, bit)| Fate::Damaged(place, bit)),
        1 => any::<Index>().prop_map(Fate::Cut),
        1 => proptest::collection::vec(any::<u8>(), 0..100).prop_map(Fate::Replaced),
    ]
}

fn meets(fate: &Fate, mut packet: Vec<u8>) -> Vec<u8> {
    match fate {
        Fate::Arrives => packet,
        Fate::Damaged(place, bit) => {
            let place = place.index(packet.len());
            packet[place] ^= 1 << bit;
            packet
        }
        Fate::Cut(len) => {
            packet.truncate(len.index(packet.len()));
            packet
        }
        Fate::Replaced(octets) => octets.clone(),
    }
}

/// The payloads of a batch: mostly one length, as a stream's, or mixed.
fn payloads(packets: usize) -> impl Strategy<Value = Vec<usize>> {
    let stream = (0usize..2000, 0usize..2000).prop_map(move |(full, last)| {
        let mut payloads = vec![full; packets];
        payloads[packets - 1] = last;
        payloads
    });
    prop_oneof![stream, proptest::collection::vec(0usize..2000, packets)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_batch_is_sealed_as_its_packets_are(
        transform in proptest::sample::select(Transform::ALL.to_vec()),
        esn: bool,
        version_6: bool,
        first in prop_oneof![1u64..100, 0xffff_ff00u64..0xffff_ff80],
        payloads in (1usize..=100).prop_flat_map(payloads),
    ) {
        let ends = Ends::new(transform, esn);
        let inner: Vec<_> = payloads.iter().map(|len| if version_6 { v6(*len) } else { v4(*len) }).collect();
        let expected: Vec<_> = (first..).zip(&inner).map(|(seq, inner)| ends.sealed(seq, inner)).collect();

        let last = first + inner.len() as u64 - 1;
        prop_assert_eq!(sealed_together(&ends, first..=last, &inner), Ok(expected));
    }

    #[test]
    fn a_batch_is_opened_as_its_packets_are(
        transform in proptest::sample::select(Transform::ALL.to_vec()),
        esn: bool,
        before in prop_oneof![Just(1u64), 2000u64..3000, 0xffff_f000u64..0xffff_fff0],
        packets in proptest::collection::vec((0u64..1500, 0usize..600, fate()), 1..100),
        equal: Option<u16>,
    ) {
        let mut ends = Ends::new(transform, esn);
        ends.window.mark(before).unwrap();
        let equal = equal.map(|len| usize::from(len) % 2000);
        let arrived: Vec<_> = packets.iter().map(|(ahead, payload, fate)| {
            // With ESN a number left of the window is taken for one of the next 2^32 once the window is there.
            let seq = if esn { before + ahead % 1000 } else { before + ahead };
            let seq = seq.saturating_sub(500).max(1);
            let seq = if esn { seq } else { seq.min(0xffff_ffff) };
            meets(fate, ends.sealed(seq, &v4(equal.unwrap_or(*payload))))
        }).collect();

        let mut window = ends.window.clone();
        let together = opened_together(&ends, &mut window, &arrived);
        let alone: Vec<_> = arrived.iter().map(|packet| opened_alone(&mut ends, packet)).collect();
        prop_assert_eq!(together, alone);
        prop_assert_eq!(format!("{window:?}"), format!("{:?}", ends.window));
    }
}

#[test]
fn of_a_packet_that_a_batch_holds_twice_the_second_is_refused() {
    for transform in Transform::ALL {
        let ends = Ends::new(transform, true);
        let arrived: Vec<_> = [1, 2, 3, 2, 4, 1].map(|seq| ends.sealed(seq, &v4(100))).to_vec();
        let mut window = ends.window.clone();
        let opened = opened_together(&ends, &mut window, &arrived);
        let refused: Vec<_> = (0..6).filter(|place| opened[*place] == Err(DropReason::Replay)).collect();
        assert_eq!(refused, [3, 5], "{transform:?}");
        assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 4);
    }
}

#[test]
fn a_bad_icv_in_any_lane_costs_that_packet_only() {
    for transform in Transform::ALL {
        let ends = Ends::new(transform, true);
        let good: Vec<_> = (1..=64).map(|seq| ends.sealed(seq, &v4(300))).collect();
        for damaged in 0..64 {
            let mut arrived = good.clone();
            *arrived[damaged].last_mut().unwrap() ^= 1;
            let mut window = ends.window.clone();
            let opened = opened_together(&ends, &mut window, &arrived);
            for (place, opened) in opened.iter().enumerate() {
                if place == damaged {
                    assert_eq!(*opened, Err(DropReason::Icv));
                } else {
                    assert_eq!(opened.as_ref().unwrap().1, v4(300));
                }
            }
            assert!(window.check(damaged as u64 + 1).is_ok(), "the genuine packet may still come");
        }
    }
}

#[test]
fn a_batch_needs_numbers_and_ip_packets_or_none_of_it_may_leave() {
    for transform in Transform::ALL {
        let ends = Ends::new(transform, false);
        let mut inner = vec![v4(100); 20];
        assert_eq!(sealed_together(&ends, 1..=19, &inner), Err(DropReason::SequenceExhausted));
        inner[13][0] = 0x55;
        assert_eq!(sealed_together(&ends, 1..=20, &inner), Err(DropReason::InnerHeader));
        assert_eq!(sealed_together(&ends, 1..=20, &[]), Ok(Vec::new()));
    }
}

#[test]
fn the_path_in_use_has_a_name() {
    assert!(!multibuffer::selected().is_empty());
}

fn sealed_together(
    ends: &Ends,
    sequences: std::ops::RangeInclusive<u64>,
    inner: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, DropReason> {
    let (headroom, tailroom) = (ends.outbound.headroom(), ends.outbound.tailroom());
    let mut buffers: Vec<_> = inner
        .iter()
        .map(|inner| [&vec![0xee; headroom], &inner[..], &vec![0xee; tailroom]].concat())
        .collect();
    let mut packets: Vec<_> = buffers
        .iter_mut()
        .zip(inner)
        .map(|(buffer, inner)| Packet::new(buffer, headroom..headroom + inner.len()))
        .collect();
    encapsulate_batch(&ends.outbound, sequences, &mut packets)?;
    Ok(packets.iter().map(|packet| packet.as_slice().to_vec()).collect())
}

type Opened = Result<(Inner, Vec<u8>), DropReason>;

fn opened_together(ends: &Ends, window: &mut ReplayWindow, arrived: &[Vec<u8>]) -> Vec<Opened> {
    let mut buffers = arrived.to_vec();
    let mut batch: Vec<_> = buffers
        .iter_mut()
        .map(|buffer| {
            let len = buffer.len();
            Opening::new(Packet::new(buffer, 0..len), OuterInfo::default())
        })
        .collect();
    decapsulate_batch(&ends.inbound, window, &mut batch);
    batch
        .iter()
        .map(|opening| opening.result.map(|inner| (inner, opening.packet.as_slice().to_vec())))
        .collect()
}

fn opened_alone(ends: &mut Ends, packet: &[u8]) -> Opened {
    let mut buffer = packet.to_vec();
    let mut pkt = Packet::new(&mut buffer, 0..packet.len());
    let inner = decapsulate(&ends.inbound, &mut ends.window, &mut pkt, OuterInfo::default())?;
    Ok((inner, pkt.as_slice().to_vec()))
}
