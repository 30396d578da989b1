//! The primitives, as we call them, against Project Wycheproof: known answers and the mistakes that others made.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

use gotthard_ike::codec::iana::{Group, IntegrityAlgorithm, PrfAlgorithm};
use gotthard_ike::crypto::Random;
use gotthard_ike::crypto::aead::{Aead, ICV_LEN, IV_LEN};
use gotthard_ike::crypto::cbc::{BLOCK_LEN, Cbc};
use gotthard_ike::crypto::dh::DhSecret;
use gotthard_ike::crypto::prf::{Integrity, Prf};
use gotthard_ike::suite::Cipher;
use wycheproof::{aead, cipher, ecdh, mac, xdh};

#[test]
fn aes_gcm_seals_and_opens() {
    let cipher = |bits| match bits {
        128 => Some(Cipher::AES_128_GCM_16),
        256 => Some(Cipher::AES_256_GCM_16),
        _ => None,
    };
    assert!(check_aead(aead::TestName::AesGcm, cipher) > 100);
}

#[test]
fn chacha20_poly1305_seals_and_opens() {
    let cipher = |bits| (bits == 256).then_some(Cipher::CHACHA20_POLY1305);
    assert!(check_aead(aead::TestName::ChaCha20Poly1305, cipher) > 200);
}

/// Salt and IV are the two parts of the nonce; groups with another nonce or tag length are not ours.
fn check_aead(name: aead::TestName, cipher: fn(usize) -> Option<Cipher>) -> usize {
    let set = aead::TestSet::load(name).unwrap();
    let mut checked = 0;
    for group in set.test_groups {
        let Some(cipher) = cipher(group.key_size) else { continue };
        if group.nonce_size != 96 || group.tag_size != 128 {
            continue;
        }
        for test in &group.tests {
            let (salt, iv) = test.nonce.split_last_chunk::<IV_LEN>().unwrap();
            let aead = Aead::new(cipher, &[&test.key[..], salt].concat()).unwrap();
            let mut sealed = [&test.ct[..], &test.tag].concat();
            let opened = aead.open(*iv, &test.aad, &mut sealed).map(|text| text.to_vec());
            assert_eq!(opened.is_err(), test.result.must_fail(), "{name:?} {}", test.tc_id);
            if let Ok(text) = opened {
                assert_eq!(text, &test.pt[..], "{name:?} {}", test.tc_id);
                let mut text = text;
                let tag: [u8; ICV_LEN] = aead.seal(*iv, &test.aad, &mut text).unwrap();
                assert_eq!((&text[..], &tag[..]), (&test.ct[..], &test.tag[..]), "{name:?} {}", test.tc_id);
            }
            checked += 1;
        }
    }
    checked
}

/// The padding of these vectors is PKCS #5; ESP and IKE have their own, so it is made and taken off here.
#[test]
fn aes_cbc_encrypts_and_decrypts() {
    let set = cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap();
    let mut checked = 0;
    for group in set.test_groups.iter().filter(|group| group.key_size != 192) {
        for test in group.tests.iter().filter(|test| !test.result.must_fail()) {
            let cbc = Cbc::new(&test.key).unwrap();
            let iv: [u8; BLOCK_LEN] = test.nonce[..].try_into().unwrap();
            let padding = BLOCK_LEN - test.pt.len() % BLOCK_LEN;
            let padded = [&test.pt[..], &vec![u8::try_from(padding).unwrap(); padding]].concat();
            let mut text = padded.clone();
            cbc.encrypt(&iv, &mut text);
            assert_eq!(text, &test.ct[..], "{}", test.tc_id);
            cbc.decrypt(&iv, &mut text);
            assert_eq!(text, padded, "{}", test.tc_id);
            checked += 1;
        }
    }
    assert!(checked > 30);
}

#[test]
fn hmac_is_the_prf_and_truncated_the_integrity() {
    let cases = [
        (mac::TestName::HmacSha256, PrfAlgorithm::HMAC_SHA2_256, IntegrityAlgorithm::HMAC_SHA2_256_128),
        (mac::TestName::HmacSha384, PrfAlgorithm::HMAC_SHA2_384, IntegrityAlgorithm::HMAC_SHA2_384_192),
        (mac::TestName::HmacSha512, PrfAlgorithm::HMAC_SHA2_512, IntegrityAlgorithm::HMAC_SHA2_512_256),
    ];
    for (name, prf, integrity) in cases {
        let (prf, integrity) = (Prf::new(prf).unwrap(), Integrity::new(integrity).unwrap());
        let mut checked = [0; 2];
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let full = group.tag_size == prf.len() * 8;
                let matches = if full {
                    prf.compute(&test.key, &[&test.msg])[..] == test.tag[..]
                } else {
                    assert_eq!(group.tag_size, integrity.icv_len() * 8);
                    integrity.verify(&test.key, &test.msg, &test.tag)
                };
                assert_eq!(matches, !test.result.must_fail(), "{name:?} {}", test.tc_id);
                checked[usize::from(full)] += 1;
            }
        }
        assert!(checked.iter().all(|count| *count > 50), "{name:?} {checked:?}");
    }
}

#[test]
fn ecp_groups_agree_and_refuse_what_is_no_point() {
    let cases = [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, Group::ECP_256, 32),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, Group::ECP_384, 48),
    ];
    for (name, group, len) in cases {
        let mut checked = 0;
        for test in ecdh::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let Some(private) = scalar(&test.private_key, len) else { continue };
            // IKE has no octet for the form of a point: compressed ones are only a wrong length here.
            let Some(point) = test.public_key.strip_prefix(&[4]) else { continue };
            let secret = DhSecret::generate(group, &mut Given(private)).unwrap();
            match secret.agree(point) {
                Ok(shared) => {
                    assert_eq!(shared.as_bytes(), &test.shared_secret[..], "{name:?} {}", test.tc_id);
                }
                Err(error) => assert!(test.result.must_fail(), "{name:?} {}: {error}", test.tc_id),
            }
            assert!(secret.agree(&test.public_key).is_err(), "{name:?} {}", test.tc_id);
            checked += 1;
        }
        assert!(checked > 200, "{name:?} {checked}");
    }
}

/// A private value as it stands in the file, a signed number of any length, as `len` octets.
fn scalar(octets: &[u8], len: usize) -> Option<Vec<u8>> {
    let significant = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
    let missing = len.checked_sub(significant.len())?;
    Some([&vec![0; missing], significant].concat())
}

#[test]
fn x25519_agrees_and_refuses_an_all_zero_result() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut checked = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let secret = DhSecret::generate(Group::CURVE25519, &mut Given(test.private_key.to_vec())).unwrap();
        let zero = test.shared_secret.iter().all(|octet| *octet == 0);
        match secret.agree(&test.public_key) {
            Ok(shared) => assert_eq!(shared.as_bytes(), &test.shared_secret[..], "{}", test.tc_id),
            Err(error) => assert!(zero || test.result.must_fail(), "{}: {error}", test.tc_id),
        }
        checked += 1;
    }
    assert!(checked > 400);
}

/// Gives what it was given: the private value of a vector.
struct Given(Vec<u8>);

impl Random for Given {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0);
    }
}
