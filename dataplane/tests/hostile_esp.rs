//! Broken, forged and replayed ESP: each is dropped under its own name, ten thousand times, and nothing moves or grows.

#![allow(clippy::cast_possible_truncation, reason = "small numbers")]
#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod support;

use std::net::Ipv4Addr;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::natt::{Datagram, classify};
use gotthard_dataplane::sa::sad::Sad;
use gotthard_dataplane::stats::Counters;
use proptest::prelude::*;
use support::{Ends, SPI, v4, v4_between, v6};

const TIMES: u64 = 10_000;
const GCM: Transform = Transform::Aes256Gcm16;

/// Any plaintext under a good ICV, as only a faulty or hostile peer makes it.
struct Peer {
    cipher: Aes256Gcm,
    salt: [u8; 4],
    seq: u32,
}

impl Peer {
    fn of(ends: &Ends) -> Self {
        let (key, salt) = ends.keys.encryption.split_last_chunk().unwrap();
        Self { cipher: Aes256Gcm::new_from_slice(key).unwrap(), salt: *salt, seq: 0 }
    }

    fn seals(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.seq += 1;
        let header = [SPI.to_be_bytes(), self.seq.to_be_bytes()].concat();
        let iv = u64::from(self.seq).to_be_bytes();
        let nonce: [u8; 12] = [&self.salt[..], &iv].concat().try_into().unwrap();
        let sealed = self.cipher.encrypt(&nonce.into(), Payload { msg: plaintext, aad: &header }).unwrap();
        [&header[..], &iv, &sealed].concat()
    }
}

/// `payload`, right padding, and the next header.
fn padded(payload: &[u8], next_header: u8) -> Vec<u8> {
    let pad = u8::try_from(GCM.pad_len(payload.len())).unwrap();
    let mut plaintext = payload.to_vec();
    plaintext.extend(1..=pad);
    plaintext.extend([pad, next_header]);
    plaintext
}

/// Each of these plaintexts is sealed anew and sent `TIMES` times; all must be dropped for `reason`.
fn all_dropped(reason: DropReason, plaintexts: &[Vec<u8>]) {
    let mut ends = Ends::new(GCM, false);
    let mut peer = Peer::of(&ends);
    let mut counters = Counters::default();
    for plaintext in plaintexts.iter().cycle().take(TIMES as usize) {
        let dropped = ends.opened(&peer.seals(plaintext)).expect_err("a hostile packet came through");
        counters.dropped(dropped);
    }
    assert_eq!(counters.drops.of(reason), TIMES, "{:?}", counters.drops);
    assert_eq!(counters.drops.total(), TIMES);
    assert!(ends.opened(&peer.seals(&padded(&v4(8), 4))).is_ok(), "the SA still works");
}

#[test]
fn spis_that_are_reserved_or_unknown_find_no_sa() {
    let mut sad = Sad::new();
    sad.insert(SPI, ()).unwrap();
    let mut packet = [0xaa; 64];
    for n in 0..TIMES as u32 {
        let spi = if n % 2 == 0 { n % 256 } else { n.wrapping_mul(0x9e37_79b9) | 0x100 };
        packet[..4].copy_from_slice(&spi.to_be_bytes());
        match classify(&packet) {
            Datagram::Ike(_) => assert_eq!(spi, 0),
            Datagram::Esp { spi } => assert!(sad.get(spi).is_none()),
            other @ (Datagram::Keepalive | Datagram::Runt) => panic!("{other:?}"),
        }
    }
    assert_eq!(sad.len(), 1);
}

#[test]
fn runts_are_dropped_before_anything_is_computed() {
    for transform in Transform::ALL {
        let mut ends = Ends::new(transform, true);
        let shortest = transform.header_len() + transform.icv_len() + transform.block_len();
        let packet = ends.sealed(1, &v4(100));
        for n in 0..TIMES as usize / Transform::ALL.len() {
            let len = n % shortest;
            let expected = if len <= shortest - transform.block_len() {
                DropReason::Runt
            } else {
                DropReason::Misaligned
            };
            assert_eq!(ends.opened(&packet[..len]), Err(expected), "{transform:?} {len} octets");
        }
        assert_eq!(ends.window.top(), 0);
    }
}

#[test]
fn ciphertext_that_is_no_whole_number_of_blocks_is_dropped() {
    for transform in [GCM, Transform::Aes128Cbc(Hmac::Sha256)] {
        let mut ends = Ends::new(transform, false);
        let mut packet = ends.sealed(1, &v4(200));
        for n in 0..TIMES as usize {
            let cut = 1 + n % (transform.block_len() - 1);
            let len = packet.len();
            assert_eq!(ends.opened(&packet[..len - cut]), Err(DropReason::Misaligned));
            packet[9] = packet[9].wrapping_add(1);
        }
    }
}

#[test]
fn wrong_padding_is_dropped() {
    let mut longer_than_the_payload = padded(&v4(8), 4);
    let pad_len = longer_than_the_payload.len() - 2;
    longer_than_the_payload[pad_len] = 250;
    let mut not_counting = padded(&v4(9), 4);
    let first_pad = not_counting.len() - 3;
    not_counting[first_pad] = 0xff;
    all_dropped(DropReason::Padding, &[longer_than_the_payload, not_counting, vec![0, 0, 4, 4]]);
}

#[test]
fn dummy_packets_are_dropped_and_counted_apart() {
    all_dropped(DropReason::DummyPacket, &[padded(&[0xdd; 90], 59), padded(&[], 59), padded(&v4(4), 59)]);
}

#[test]
fn anything_but_ip_inside_is_dropped() {
    let others = (0..=255).filter(|next| ![4, 41, 59].contains(next));
    all_dropped(DropReason::NextHeader, &others.map(|next| padded(&v4(20), next)).collect::<Vec<_>>());
}

#[test]
fn an_inner_version_other_than_announced_is_dropped() {
    all_dropped(DropReason::InnerVersion, &[padded(&v4(20), 41), padded(&v6(20), 4)]);
}

#[test]
fn an_inner_header_that_contradicts_itself_is_dropped() {
    let mut options_beyond_the_end = v4(4);
    options_beyond_the_end[0] = 0x4f;
    let mut header_too_short = v4(4);
    header_too_short[0] = 0x43;
    let mut total_below_header = v4(4);
    total_below_header[3] = 19;
    let plaintexts = [
        padded(&options_beyond_the_end, 4),
        padded(&header_too_short, 4),
        padded(&total_below_header, 4),
        padded(&v4(0)[..19], 4),
        padded(&v6(0)[..39], 41),
        padded(&[0x05; 40], 4),
        padded(&[], 4),
    ];
    all_dropped(DropReason::InnerHeader, &plaintexts);
}

#[test]
fn an_inner_packet_longer_than_its_payload_is_dropped() {
    let plaintexts = [padded(&v4(20)[..39], 4), padded(&v6(20)[..59], 41), padded(&v4(1400)[..20], 4)];
    all_dropped(DropReason::InnerLength, &plaintexts);
}

#[test]
fn inner_addresses_outside_the_selectors_are_dropped() {
    let [near, far] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(172, 16, 0, 1)];
    let plaintexts = [
        padded(&v4_between(Ipv4Addr::new(11, 0, 0, 0), far, 8), 4),
        padded(&v4_between(near, Ipv4Addr::new(172, 32, 0, 0), 8), 4),
        padded(&v4_between(far, near, 8), 4),
        padded(&v4_between(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, 8), 4),
    ];
    all_dropped(DropReason::Selectors, &plaintexts);
}

#[test]
fn padding_against_traffic_analysis_is_cut_off() {
    let mut ends = Ends::new(GCM, false);
    let mut peer = Peer::of(&ends);
    let mut payload = v4(60);
    payload.extend([0x77; 400]);
    assert_eq!(ends.opened(&peer.seals(&padded(&payload, 4))), Ok(v4(60)));
}

#[test]
fn a_duplicate_is_dropped_ten_thousand_times() {
    let mut ends = Ends::new(GCM, true);
    let packet = ends.sealed(77, &v4(40));
    ends.opened(&packet).unwrap();
    for _ in 0..TIMES {
        assert_eq!(ends.opened(&packet), Err(DropReason::Replay));
    }
}

#[test]
fn packets_left_of_the_window_and_number_zero_are_dropped() {
    let mut ends = Ends::with_window(GCM, false, 64);
    let zero = ends.sealed(0, &v4(40));
    let newest = ends.sealed(TIMES + 64, &v4(40));
    ends.opened(&newest).unwrap();
    for seq in 1..=TIMES {
        let late = ends.sealed(seq, &v4(0));
        assert_eq!(ends.opened(&late), Err(DropReason::ReplayLate));
        assert_eq!(ends.opened(&zero), Err(DropReason::SequenceZero));
    }
}

#[test]
fn a_forged_packet_never_moves_the_window() {
    for esn in [false, true] {
        let mut ends = Ends::new(GCM, esn);
        let genuine = ends.sealed(10, &v4(40));
        ends.opened(&genuine).unwrap();
        let mut forged = ends.sealed(11, &v4(40));
        for n in 0..TIMES as u32 {
            // Near, far, and half of the space away.
            let seq = [11 + n % 900, n.wrapping_mul(0x9e37_79b9), (1 << 31) + 10 + n][n as usize % 3];
            forged[4..8].copy_from_slice(&seq.max(11).to_be_bytes());
            forged[20] ^= 0x40;
            forged[30] = forged[30].wrapping_add(1) | 1;
            // With ESN the top of the first subspace lies before the window's start.
            assert!(matches!(ends.opened(&forged), Err(DropReason::Icv | DropReason::ReplayLate)));
            assert_eq!(ends.window.top(), 10);
        }
        let next = ends.sealed(11, &v4(40));
        assert!(ends.opened(&next).is_ok());
    }
}

#[test]
fn a_genuine_jump_of_half_the_space_is_followed() {
    for esn in [false, true] {
        let mut ends = Ends::new(GCM, esn);
        for seq in [1, 1 << 31, (1 << 31) + 1] {
            let packet = ends.sealed(seq, &v4(40));
            assert!(ends.opened(&packet).is_ok());
        }
    }
}

#[test]
fn a_loss_of_more_than_two_to_the_32_fails_closed() {
    let mut ends = Ends::new(GCM, true);
    let first = ends.sealed(1, &v4(40));
    ends.opened(&first).unwrap();
    for n in 0..TIMES {
        let lost = ends.sealed((1 << 32) + 2000 + n, &v4(40));
        assert_eq!(ends.opened(&lost), Err(DropReason::Icv));
    }
    assert_eq!(ends.window.top(), 1);
}

#[test]
fn traffic_crosses_the_wrap_of_the_low_half_reordered_both_ways() {
    for transform in [GCM, Transform::Aes256Cbc(Hmac::Sha256)] {
        let mut ends = Ends::with_window(transform, true, 128);
        let wrap = 1u64 << 32;
        ends.window.mark(wrap - 101).unwrap();
        // Each pair is swapped, so that numbers of one subspace arrive after some of the next.
        for pair in (wrap - 100)..(wrap + 100) {
            let seq = pair ^ 1;
            let packet = ends.sealed(seq, &v4(40));
            assert!(ends.opened(&packet).is_ok(), "{seq:#x}");
            assert_eq!(ends.opened(&packet), Err(DropReason::Replay));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_octets_panic(
        transform in proptest::sample::select(Transform::ALL.to_vec()),
        packet in proptest::collection::vec(any::<u8>(), 0..200),
        esn: bool,
    ) {
        let mut ends = Ends::new(transform, esn);
        prop_assert!(ends.opened(&packet).is_err());
        prop_assert_eq!(ends.window.top(), 0);
    }

    #[test]
    fn no_plaintext_under_a_good_icv_panics(mut plaintext in proptest::collection::vec(any::<u8>(), 1..50), next in 0u8..3) {
        plaintext.resize(plaintext.len().next_multiple_of(4), 0x45);
        let trailer = plaintext.len() - 2;
        plaintext[trailer] %= 2;
        plaintext[trailer + 1] = [4, 41, 59][usize::from(next)];
        let mut ends = Ends::new(GCM, false);
        let mut peer = Peer::of(&ends);
        let _ = ends.opened(&peer.seals(&plaintext));
        prop_assert_eq!(ends.window.top(), 1, "it was genuine, so its number is used");
    }
}
