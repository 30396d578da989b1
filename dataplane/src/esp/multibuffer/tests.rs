//! Every unit of this machine, alone and with the others, against the plain way packet by packet.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a failed test is what a panic is for"
)]

use proptest::prelude::*;

use super::*;
use crate::drop_reason::DropReason;
use crate::esp::cbc_hmac::{CbcOpener, CbcSealer};
use crate::esp::cipher::Numbered;
use crate::esp::transform::{Hmac, Transform};
use crate::sa::spec::Keys;

const CBC: [Transform; 6] = [
    Transform::Aes128Cbc(Hmac::Sha256),
    Transform::Aes128Cbc(Hmac::Sha384),
    Transform::Aes128Cbc(Hmac::Sha512),
    Transform::Aes256Cbc(Hmac::Sha256),
    Transform::Aes256Cbc(Hmac::Sha384),
    Transform::Aes256Cbc(Hmac::Sha512),
];

/// Bits choose which of the machine's units are there.
fn units(bits: u8) -> Units {
    let all = Units::detect();
    let has = |bit: u8| bits & 1 << bit != 0;
    Units {
        vaes: all.vaes.filter(|_| has(0)),
        aes_ni: all.aes_ni.filter(|_| has(0) || has(1)),
        sha256_x16: all.sha256_x16.filter(|_| has(2)),
        sha256_ni: all.sha256_ni.filter(|_| has(3)),
        sha512_x8: all.sha512_x8.filter(|_| has(4)),
    }
}

/// Header, IV, blocks and ICV, all of them `fill` and up.
fn packet(transform: Transform, blocks: usize, fill: u8) -> Vec<u8> {
    let len = transform.header_len() + 16 * blocks + transform.icv_len();
    (0..=250).cycle().map(|n| fill.wrapping_add(n)).take(len).collect()
}

fn keys(transform: Transform, seed: u8) -> Keys {
    let octets =
        |salt: u8, len: usize| (0..=255u8).take(len).map(|n| n.wrapping_mul(29) ^ salt ^ seed).collect();
    Keys {
        encryption: octets(0x35, transform.key_len()),
        integrity: octets(0x9a, transform.integrity_key_len()),
    }
}

/// The lengths, in blocks, of the packets of a batch: all but one equal, or mixed.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let equal = (0usize..125, 0usize..125, 1usize..=80).prop_map(|(most, last, count)| {
        let mut lengths = vec![most; count];
        lengths[count - 1] = last;
        lengths
    });
    prop_oneof![equal, proptest::collection::vec(0usize..125, 1..=80)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_batch_is_sealed_and_opened_as_packet_by_packet(
        bits in 0u8..32,
        transform in proptest::sample::select(CBC.to_vec()),
        esn: bool,
        seed: u8,
        first in prop_oneof![1u64..100, 0xffff_ffe0u64..0x1_0000_0020],
        lengths in lengths(),
        damaged in proptest::collection::btree_map(0usize..80, (any::<proptest::sample::Index>(), 0u8..8), 0..4),
    ) {
        let keys = keys(transform, seed);
        let plain = CbcSealer::new(transform, &keys, esn, Units::default()).unwrap();
        let sealer = CbcSealer::new(transform, &keys, esn, units(bits)).unwrap();
        let opener = CbcOpener::new(transform, &keys, esn, units(bits)).unwrap();

        let packets: Vec<_> = lengths.iter().zip(0..).map(|(blocks, n)| packet(transform, *blocks, seed ^ n)).collect();
        let mut expected = packets.clone();
        for (seq, packet) in (first..).zip(&mut expected) {
            plain.seal(seq, packet).unwrap();
        }
        let mut batch = packets.clone();
        let mut numbered: Vec<_> = (first..).zip(&mut batch).map(|(seq, octets)| Numbered::new(seq, octets)).collect();
        sealer.seal_batch(&mut numbered);
        prop_assert!(numbered.iter().all(|packet| packet.result.is_ok()));
        prop_assert_eq!(&batch, &expected);

        for (place, (octet, bit)) in &damaged {
            if let Some(packet) = batch.get_mut(*place) {
                let octet = octet.index(packet.len() - 8) + 8;
                packet[octet] ^= 1 << bit;
            }
        }
        let mut numbered: Vec<_> = (first..).zip(&mut batch).map(|(seq, octets)| Numbered::new(seq, octets)).collect();
        opener.open_batch(&mut numbered);
        for (place, (opened, packet)) in numbered.iter().zip(&packets).enumerate() {
            if damaged.contains_key(&place) {
                prop_assert_eq!(opened.result, Err(DropReason::Icv));
            } else {
                prop_assert_eq!(opened.result, Ok(()));
                let body = transform.header_len()..packet.len() - transform.icv_len();
                prop_assert_eq!(&opened.octets[body.clone()], &packet[body]);
            }
        }
    }

    #[test]
    fn malformed_packets_fail_beside_good_ones_as_they_do_alone(
        bits in 0u8..32,
        transform in proptest::sample::select(CBC.to_vec()),
        lengths in proptest::collection::vec(0usize..200, 2..=80),
    ) {
        let keys = keys(transform, 0);
        let plain = CbcOpener::new(transform, &keys, true, Units::default()).unwrap();
        let opener = CbcOpener::new(transform, &keys, true, units(bits)).unwrap();
        let sealer = CbcSealer::new(transform, &keys, true, units(bits)).unwrap();
        let packets: Vec<Vec<u8>> = lengths.iter().map(|len| vec![0x44; *len]).collect();
        for open in [false, true] {
            let (mut alone, mut batch) = (packets.clone(), packets.clone());
            let mut numbered: Vec<_> = (1..).zip(&mut batch).map(|(seq, octets)| Numbered::new(seq, octets)).collect();
            if open { opener.open_batch(&mut numbered) } else { sealer.seal_batch(&mut numbered) }
            for (alone, packet) in alone.iter_mut().zip(&numbered) {
                let expected =
                    if open { plain.open(packet.seq, alone) } else { sealer.seal(packet.seq, alone) };
                prop_assert_eq!(packet.result, expected, "{} octets", alone.len());
            }
        }
    }
}

#[test]
fn each_unit_of_this_machine_passes_its_self_test() {
    let found = Units::detect();
    assert_eq!(self_test::passed(found).name(), found.name());
    assert_eq!(selected(), found.name());
    assert_eq!(self_test::passed(Units::default()).name(), "plain");
}

#[test]
fn the_self_test_sees_what_seals_or_opens_otherwise() {
    for transform in CBC {
        let packets: Vec<_> = (0..20).map(|blocks| packet(transform, blocks, 7)).collect();
        let plain = CbcSealer::new(transform, &keys(transform, 1), true, Units::default()).unwrap();
        for seed in [1, 2] {
            let keys = keys(transform, seed);
            let sealer = CbcSealer::new(transform, &keys, true, Units::detect()).unwrap();
            let opener = CbcOpener::new(transform, &keys, true, Units::detect()).unwrap();
            assert_eq!(self_test::seals_alike(&plain, &sealer, &packets), Some(seed == 1));
            assert_eq!(self_test::opens_alike(&plain, &opener, &packets), Some(seed == 1));
        }
    }
}

#[test]
fn the_name_lists_what_is_in_use() {
    let all = units(0xff);
    assert_eq!(
        Units { vaes: None, sha256_x16: None, sha512_x8: None, ..all }.name(),
        names([all.aes_ni.map(|_| "aes-ni"), all.sha256_ni.map(|_| "sha-ni")])
    );
    assert_eq!(
        Units { vaes: None, aes_ni: None, sha256_ni: None, ..all }.name(),
        names([all.sha256_x16.map(|_| "avx512"), None])
    );
}

fn names(names: [Option<&str>; 2]) -> String {
    let names: Vec<_> = names.into_iter().flatten().collect();
    if names.is_empty() { "plain".into() } else { names.join("+") }
}
