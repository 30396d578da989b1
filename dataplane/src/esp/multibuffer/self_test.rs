//! Each unit is compared with another implementation before it gets a packet: a CPU, a hypervisor or a compiler that
//! computes something else costs speed, not packets.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use ring::rand::{SecureRandom, SystemRandom};

use super::Units;
use crate::esp::cbc_hmac::{CbcOpener, CbcSealer};
use crate::esp::cipher::{BATCH, Numbered};
use crate::esp::transform::{Hmac, Transform};
use crate::sa::spec::Keys;
use crate::simd::Vaes;

/// `found` without what computes something else than the reference.
pub(super) fn passed(found: Units) -> Units {
    let none = Units::default();
    let aes_ni = found.vaes.map(Vaes::aes_ni);
    let candidates: [(&str, Units, &[Transform]); 5] = [
        ("AES-NI", Units { aes_ni: found.aes_ni, ..none }, AES),
        ("VAES", Units { vaes: found.vaes, aes_ni, ..none }, AES),
        ("SHA-NI", Units { sha256_ni: found.sha256_ni, ..none }, SHA_256),
        ("AVX-512 for SHA-256", Units { sha256_x16: found.sha256_x16, ..none }, SHA_256),
        ("AVX-512 for SHA-512", Units { sha512_x8: found.sha512_x8, ..none }, SHA_512),
    ];
    let mut trusted = none;
    for (unit, units, transforms) in candidates {
        if transforms.iter().all(|transform| agrees(units, *transform).unwrap_or(false)) {
            trusted = trusted.or(units);
        } else {
            tracing::error!(unit, "fails its self-test: packets do without it");
        }
    }
    trusted
}

/// Whether batches of random packets come out as they do packet by packet; `None` where that cannot be found out.
fn agrees(units: Units, transform: Transform) -> Option<bool> {
    let keys =
        Keys { encryption: random(transform.key_len())?, integrity: random(transform.integrity_key_len())? };
    let plain = CbcSealer::new(transform, &keys, true, Units::default()).ok()?;
    let sealer = CbcSealer::new(transform, &keys, true, units).ok()?;
    let opener = CbcOpener::new(transform, &keys, true, units).ok()?;

    let mixed = random(BATCH)?.into_iter().map(|octet| octet & 0x7f).collect();
    for blocks in [vec![0x58; BATCH], mixed] {
        let frame = transform.header_len().saturating_add(transform.icv_len());
        let lengths =
            blocks.iter().map(|blocks| usize::from(*blocks).saturating_mul(16).saturating_add(frame));
        let packets: Vec<_> = lengths.map(random).collect::<Option<_>>()?;
        if !seals_alike(&plain, &sealer, &packets)? || !opens_alike(&plain, &opener, &packets)? {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether a batch is sealed as `plain` seals its packets.
pub(super) fn seals_alike(plain: &CbcSealer, sealer: &CbcSealer, packets: &[Vec<u8>]) -> Option<bool> {
    let expected = sealed(plain, packets)?;
    let mut batch = packets.to_vec();
    let mut numbered = numbered(&mut batch);
    sealer.seal_batch(&mut numbered);
    Some(numbered.iter().all(|packet| packet.result.is_ok()) && batch == expected)
}

/// Whether of a batch that `plain` sealed all packets are opened, but for one that is damaged.
pub(super) fn opens_alike(plain: &CbcSealer, opener: &CbcOpener, packets: &[Vec<u8>]) -> Option<bool> {
    let mut batch = sealed(plain, packets)?;
    let damaged = packets.len() / 2;
    *batch.get_mut(damaged)?.last_mut()? ^= 1;
    let mut numbered = numbered(&mut batch);
    opener.open_batch(&mut numbered);
    Some(numbered.iter().zip(packets).enumerate().all(|(place, (opened, packet))| {
        // The ICV is left as it came; all before it is the packet as it was.
        let covered = packet.len().saturating_sub(plain.icv_len());
        let as_before = opened.result.is_ok() && opened.octets.get(..covered) == packet.get(..covered);
        as_before != (place == damaged)
    }))
}

/// `packets` sealed one by one.
fn sealed(plain: &CbcSealer, packets: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let mut sealed = packets.to_vec();
    for packet in numbered(&mut sealed) {
        plain.seal(packet.seq, packet.octets).ok()?;
    }
    Some(sealed)
}

/// The packets with their numbers, of which both halves count.
fn numbered(packets: &mut [Vec<u8>]) -> Vec<Numbered<'_>> {
    (0xffff_fff0..).zip(packets).map(|(seq, octets)| Numbered::new(seq, octets)).collect()
}

fn random(len: usize) -> Option<Vec<u8>> {
    let mut octets = vec![0; len];
    SystemRandom::new().fill(&mut octets).ok()?;
    Some(octets)
}

const AES: &[Transform] = &[Transform::Aes128Cbc(Hmac::Sha256), Transform::Aes256Cbc(Hmac::Sha256)];
const SHA_256: &[Transform] = &[Transform::Aes128Cbc(Hmac::Sha256)];
const SHA_512: &[Transform] = &[Transform::Aes128Cbc(Hmac::Sha384), Transform::Aes128Cbc(Hmac::Sha512)];
