//! What one end seals the other opens: every transform, both versions, with and without ESN, beside another AES-GCM.

#![allow(clippy::cast_possible_truncation, reason = "the low half of a sequence number")]
#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod support;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::decapsulate::OuterInfo;
use gotthard_dataplane::esp::ecn::{Ecn, outer_tos};
use gotthard_dataplane::esp::encapsulate::encapsulate;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::packet::Packet;
use gotthard_dataplane::packet::ip::IpVersion;
use proptest::prelude::*;
use support::{Ends, SPI, v4, v6};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_inner_packet_comes_out_as_it_went_in(
        transform in proptest::sample::select(Transform::ALL.to_vec()),
        esn: bool,
        version_6: bool,
        payload in 0usize..=1500,
        seq in prop_oneof![1u64..100, Just(1 << 32), 1u64 << 33..1 << 40],
    ) {
        let seq = if esn { seq } else { seq % (1 << 32) + 1 };
        let inner = if version_6 { v6(payload) } else { v4(payload) };
        let mut ends = Ends::new(transform, esn);
        if esn && seq > 1 {
            ends.window.mark(seq - 1).unwrap();
        }
        let esp = ends.sealed(seq, &inner);
        let sent = transform.header_len() + inner.len() + transform.pad_len(inner.len()) + 2 + transform.icv_len();
        prop_assert_eq!(esp.len(), sent);
        prop_assert!(!esp.windows(inner.len()).any(|window| window == inner));
        let (opened, out) = ends.opened_from(&esp, OuterInfo::default()).unwrap();
        prop_assert_eq!(opened.version, if version_6 { IpVersion::V6 } else { IpVersion::V4 });
        prop_assert_eq!(out, inner);
    }

    #[test]
    fn another_implementation_of_gcm_makes_the_same_packet(
        wide: bool,
        esn: bool,
        payload in 0usize..=1500,
        seq in 1u64..=0xffff_ffff,
    ) {
        let transform = if wide { Transform::Aes256Gcm16 } else { Transform::Aes128Gcm16 };
        let seq = if esn { seq | 3 << 32 } else { seq };
        let inner = v4(payload);
        let ends = Ends::new(transform, esn);

        let mut plaintext = inner.clone();
        let pad = transform.pad_len(inner.len());
        plaintext.extend(1..=u8::try_from(pad).unwrap());
        plaintext.extend([u8::try_from(pad).unwrap(), 4]);
        let (key, salt) = ends.keys.encryption.split_at(transform.key_len());
        let nonce: [u8; 12] = [salt, &seq.to_be_bytes()].concat().try_into().unwrap();
        let number = if esn { seq.to_be_bytes().to_vec() } else { (seq as u32).to_be_bytes().to_vec() };
        let aad = [&SPI.to_be_bytes()[..], &number].concat();
        let sealed = Payload { msg: &plaintext, aad: &aad };
        let sealed = if wide {
            Aes256Gcm::new_from_slice(key).unwrap().encrypt(&nonce.into(), sealed)
        } else {
            Aes128Gcm::new_from_slice(key).unwrap().encrypt(&nonce.into(), sealed)
        };
        let expected = [
            &SPI.to_be_bytes()[..],
            &(seq as u32).to_be_bytes(),
            &seq.to_be_bytes(),
            &sealed.unwrap(),
        ].concat();
        prop_assert_eq!(ends.sealed(seq, &inner), expected);
    }
}

#[test]
fn a_changed_octet_anywhere_fails_and_moves_no_window() {
    for transform in Transform::ALL {
        for esn in [false, true] {
            let mut ends = Ends::new(transform, esn);
            let esp = ends.sealed(9, &v4(40));
            for place in 8..esp.len() {
                let mut changed = esp.clone();
                changed[place] ^= 0x10;
                assert_eq!(ends.opened(&changed), Err(DropReason::Icv), "{transform:?} octet {place}");
            }
            assert_eq!(ends.window.top(), 0);
            assert!(ends.opened(&esp).is_ok());
        }
    }
}

#[test]
fn the_high_half_of_an_extended_number_is_authenticated() {
    for transform in [Transform::Aes256Gcm16, Transform::Aes256Cbc(Hmac::Sha256)] {
        let mut ends = Ends::new(transform, true);
        let esp = ends.sealed(5 | 1 << 32, &v4(40));
        assert_eq!(ends.opened(&esp), Err(DropReason::Icv), "taken for number 5");
        ends.window.mark(1 << 32).unwrap();
        assert!(ends.opened(&esp).is_ok());
    }
}

#[test]
fn aead_ivs_are_the_sequence_number_and_cbc_ivs_neither_repeat_nor_follow_it() {
    let ends = Ends::new(Transform::Aes256Gcm16, true);
    assert_eq!(ends.sealed(7, &v4(0))[8..16], 7u64.to_be_bytes());

    let transform = Transform::Aes256Cbc(Hmac::Sha256);
    let (one, two) = (Ends::new(transform, false), Ends::new(transform, false));
    let iv = |ends: &Ends, seq| ends.sealed(seq, &v4(0))[8..24].to_vec();
    let mut ivs: Vec<_> = (1..=1000).map(|seq| iv(&one, seq)).collect();
    ivs.extend((1..=1000).map(|seq| iv(&two, seq)));
    ivs.sort();
    ivs.dedup();
    assert_eq!(ivs.len(), 2000, "not even for the same keys and numbers in two SAs");
}

#[test]
fn dscp_and_ecn_leave_with_the_packet_and_a_congestion_mark_comes_back_in() {
    let mut inner = v6(10);
    inner[1] = 0x20; // ECT(0)
    assert_eq!(outer_tos(&inner), Ecn::Ect0 as u8);
    let mut ends = Ends::new(Transform::Aes256Gcm16, true);
    let esp = ends.sealed(1, &inner);
    let (_, out) = ends.opened_from(&esp, OuterInfo { ecn: Ecn::Ce }).unwrap();
    assert_eq!(outer_tos(&out), Ecn::Ce as u8);

    let esp = ends.sealed(2, &v4(10)); // takes no part in ECN
    assert_eq!(ends.opened_from(&esp, OuterInfo { ecn: Ecn::Ce }), Err(DropReason::CongestionNotEct));
}

#[test]
fn a_buffer_without_room_is_refused() {
    let ends = Ends::new(Transform::Aes256Gcm16, true);
    let inner = v4(10);
    for (before, behind) in [(15, 64), (16, 15)] {
        let mut buf = vec![0; before + inner.len() + behind];
        buf[before..before + inner.len()].copy_from_slice(&inner);
        let mut pkt = Packet::new(&mut buf, before..before + inner.len());
        assert_eq!(encapsulate(&ends.outbound, 1, &mut pkt), Err(DropReason::NoRoom));
    }
    let mut not_ip = [0x55; 100];
    let mut pkt = Packet::new(&mut not_ip, 20..40);
    assert_eq!(encapsulate(&ends.outbound, 1, &mut pkt), Err(DropReason::InnerHeader));
}
