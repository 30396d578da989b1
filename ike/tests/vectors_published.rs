//! Key derivation against NIST CAVP, and the protected message of RFC 7634 appendix B.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]
#![allow(clippy::print_stderr, reason = "a test that checks nothing says so")]

use gotthard_ike::codec::iana::{EncryptionAlgorithm, Group, NotifyType, PayloadType, PrfAlgorithm};
use gotthard_ike::codec::message::Message;
use gotthard_ike::codec::payload::{self, Payload};
use gotthard_ike::crypto::prf::Prf;
use gotthard_ike::crypto::protect::{OpenError, SkCipher};
use gotthard_ike::suite::{Cipher, IkeSuite};
use serde_json::Value;

#[test]
fn prf_and_prf_plus_are_those_of_nist_cavp() {
    let Some(file) = vectors("nist-cavp-ikev2-kdf.json") else { return };
    for vector in file["vectors"].as_array().unwrap() {
        let name = &vector["name"];
        let algorithm = match vector["prf"].as_str().unwrap() {
            "PRF_HMAC_SHA2_256" => PrfAlgorithm::HMAC_SHA2_256,
            "PRF_HMAC_SHA2_384" => PrfAlgorithm::HMAC_SHA2_384,
            "PRF_HMAC_SHA2_512" => PrfAlgorithm::HMAC_SHA2_512,
            other => panic!("{name}: {other}"),
        };
        let prf = Prf::new(algorithm).unwrap();
        let [key, salt, out] = ["key", "salt", "out"].map(|field| octets(&vector[field]));
        let ours = match vector["alg"].as_str().unwrap() {
            // SKEYSEED = prf(Ni | Nr, g^ir): here the nonces are called salt, and the secret is called key.
            "KDF_PRF" => prf.compute(&salt, &[&key]),
            "KDF_PRF_PLUS" => prf.plus(&key, &[&salt], out.len()),
            other => panic!("{name}: {other}"),
        };
        assert_eq!(*ours, out, "{name}");
    }
}

#[test]
fn the_ike_message_of_rfc_7634_opens() {
    let Some(file) = vectors("rfc7634-chacha20poly1305-esp-ikev2.json") else { return };
    let vector = &file["ike"];
    let datagram = octets(&vector["expected_message"]);
    let message = Message::parse(&datagram).unwrap();
    let Some(Payload::Encrypted(sk)) = message.payloads.last() else { panic!("no SK payload") };
    let cipher = chacha20(&octets(&vector["key_and_salt"]));

    let inner = cipher.open(&datagram, sk.offset).unwrap();
    let payloads = payload::parse_chain(sk.first, &inner).unwrap();
    let [Payload::Notify(notify)] = &payloads[..] else { panic!("{payloads:?}") };
    assert_eq!((notify.kind, notify.data), (NotifyType::SET_WINDOW_SIZE, &[0, 0, 0, 10][..]));
    assert_eq!(sk.first, PayloadType::NOTIFY);

    for octet in 0..datagram.len() {
        let mut forged = datagram.clone();
        forged[octet] ^= 1;
        assert_eq!(cipher.open(&forged, sk.offset).err(), Some(OpenError::Integrity), "octet {octet}");
    }
}

fn chacha20(key_and_salt: &[u8]) -> SkCipher {
    let cipher = Cipher { algorithm: EncryptionAlgorithm::CHACHA20_POLY1305, key_bits: 256 };
    let suite =
        IkeSuite { cipher, integrity: None, prf: PrfAlgorithm::HMAC_SHA2_256, group: Group::CURVE25519 };
    SkCipher::new(&suite, key_and_salt, &[]).unwrap()
}

/// A file of public vectors; they are not part of the project, so a checkout alone has none.
fn vectors(file: &str) -> Option<Value> {
    let dir = std::env::var("GOTTHARD_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").into());
    let path = format!("{dir}/{file}");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("{path} is not there: not checked");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn octets(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}
